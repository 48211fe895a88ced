//! The file system of this host.

#![expect(clippy::disallowed_methods, reason = "this is where files are written")]

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown, symlink,
};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use nix::unistd::{AccessFlags, Gid, Uid, access, getgroups};
use secrecy::zeroize::Zeroizing;

use super::access::{Access, Attributes, Opened, PRIVATE, User};
use super::file_system::{Disk, DiskFile, Held, Kind, Lock, NotAFile, OwnFile};

/// The file system of this host.
#[derive(Clone, Copy, Debug, Default)]
pub struct HostDisk;

impl Disk for HostDisk {
    fn is_directory(&self, path: &Path) -> bool {
        path.is_dir()
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        DirBuilder::new().mode(0o700).create(path)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<PathBuf>> {
        fs::read_dir(directory)?
            .map(|entry| Ok(entry?.path()))
            .collect()
    }

    fn kind(&self, path: &Path) -> io::Result<Option<Kind>> {
        match fs::symlink_metadata(path) {
            Ok(found) if found.is_file() => Ok(Some(Kind::File)),
            Ok(found) if found.is_symlink() => Ok(Some(Kind::Link)),
            Ok(_) => Ok(Some(Kind::Other)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path)
    }

    fn open_own(&self, path: &Path) -> io::Result<Box<dyn OwnFile>> {
        let path = &self.inside(path);
        // Without waiting: a pipe has to be told from a file before anything is read.
        let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(flags.bits())
            .open(path)
            .map_err(|error| match self.kind(path) {
                Ok(Some(Kind::Link | Kind::Other)) => io::Error::other(NotAFile),
                _ => error,
            })?;
        if file.metadata()?.is_file() {
            Ok(Box::new(file))
        } else {
            Err(io::Error::other(NotAFile))
        }
    }

    fn open_directory(&self, path: &Path) -> io::Result<Box<dyn Opened>> {
        Ok(Box::new(File::open(path)?))
    }

    fn user(&self) -> io::Result<User> {
        let mut groups: Vec<u32> = getgroups()?.into_iter().map(Gid::as_raw).collect();
        groups.push(Gid::effective().as_raw());
        let id = Uid::effective().as_raw();
        Ok(User { id, groups })
    }

    fn create(&self, path: &Path, access: Access) -> io::Result<Box<dyn DiskFile>> {
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(access.mode & !0o077)
            .open(path)?;
        if let Some(group) = access.group {
            fchown(&file, None, Some(group))?;
        }
        // Whatever umask the process has.
        file.set_permissions(Permissions::from_mode(access.mode))?;
        Ok(Box::new(file))
    }

    fn append(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
        let file = OpenOptions::new()
            .append(true)
            .custom_flags(flags.bits())
            .open(path)?;
        if file.metadata()?.is_file() {
            Ok(Box::new(file))
        } else {
            Err(io::Error::other(NotAFile))
        }
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(File::open(path)?))
    }

    fn read_link(&self, path: &Path) -> io::Result<PathBuf> {
        fs::read_link(path)
    }

    fn symlink(&self, target: &Path, path: &Path) -> io::Result<()> {
        symlink(target, path)
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::hard_link(from, to)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn is_same(&self, one: &Path, other: &Path) -> io::Result<bool> {
        let place = |path: &Path| fs::metadata(path).map(|found| (found.dev(), found.ino()));
        Ok(place(one)? == place(other)?)
    }

    fn is_writable(&self, directory: &Path) -> bool {
        access(directory, AccessFlags::W_OK).is_ok()
    }

    fn lock(&self, path: &Path, owner: &str) -> io::Result<Lock> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(PRIVATE.mode)
            .custom_flags(OFlag::O_NOFOLLOW.bits())
            .open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut owner = String::new();
                drop(file.read_to_string(&mut owner));
                return Ok(Lock::Taken(owner.trim().to_owned()));
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
        // It is held on a full disk too: only its owner is not known to others then.
        let noted = file.set_len(0);
        drop(noted.and_then(|()| file.write_all(owner.as_bytes())));
        Ok(Lock::Held(Box::new(file)))
    }

    fn lock_directory(&self, path: &Path) -> io::Result<Option<Lock>> {
        let directory = File::open(path)?;
        Ok(match directory.try_lock() {
            Ok(()) => Some(Lock::Held(Box::new(directory))),
            Err(TryLockError::WouldBlock) => Some(Lock::Taken(String::new())),
            Err(TryLockError::Error(_)) => None,
        })
    }
}

impl HostDisk {
    /// The file behind a link that stays in its directory: Kubernetes mounts each file of a Secret
    /// as a link into a hidden directory beside it.
    fn inside(self, path: &Path) -> PathBuf {
        let resolved = || {
            let directory = fs::canonicalize(path.parent()?).ok()?;
            let target = fs::canonicalize(path).ok()?;
            target.starts_with(directory).then_some(target)
        };
        match self.kind(path) {
            Ok(Some(Kind::Link)) => resolved().unwrap_or_else(|| path.to_owned()),
            _ => path.to_owned(),
        }
    }
}

impl Opened for File {
    fn attributes(&self) -> io::Result<Attributes> {
        let found = self.metadata()?;
        Ok(Attributes {
            owner: found.uid(),
            group: found.gid(),
            mode: found.mode() & 0o7777,
            links: found.nlink(),
        })
    }

    fn set_mode(&self, mode: u32) -> io::Result<()> {
        self.set_permissions(Permissions::from_mode(mode))
    }

    fn set_group(&self, group: u32) -> io::Result<()> {
        fchown(self, None, Some(group))
    }
}

impl OwnFile for File {
    fn contents(&mut self) -> io::Result<Zeroizing<Vec<u8>>> {
        // A buffer that grows leaves copies behind.
        let length = usize::try_from(self.metadata()?.len()).unwrap_or_default();
        let mut contents = Zeroizing::new(Vec::with_capacity(length + 1));
        self.read_to_end(&mut contents)?;
        Ok(contents)
    }
}

impl DiskFile for File {
    fn write(&mut self, contents: &[u8]) -> io::Result<()> {
        self.write_all(contents)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_all()
    }

    fn sync_data(&mut self) -> io::Result<()> {
        Self::sync_data(self)
    }
}

impl Held for File {}
