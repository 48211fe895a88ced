//! A file system in memory that loses what was not synced.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bff::disk::{
    Access, Attributes, Disk, DiskFile, Held, Kind as Found, Lock, Opened, OwnFile, User,
};
use secrecy::zeroize::Zeroizing;

use crate::steps::{Fault, Kind, Random, Steps};

/// What a sector of a disk writes whole or not at all, in bytes.
const SECTOR: usize = 512;

/// What of the unsynced is left.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Loss {
    /// All: only the program has ended.
    Nothing,
    /// None.
    Everything,
    /// The first changes of each directory, and some sectors of each file.
    Tail,
    /// Some changes, and some sectors.
    Some,
}

/// Which promise the disk does not keep.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Promise {
    #[default]
    AllKept,
    DirectorySync,
    FileSync,
}

/// The platters; outlives the program.
#[derive(Clone, Debug)]
pub(crate) struct SimDisk(Arc<Mutex<Volume>>);

/// The disk as one run of the program sees it.
#[derive(Debug)]
pub(crate) struct Mount {
    disk: SimDisk,
    steps: Arc<Steps>,
    /// The error of a failure.
    error: ErrorKind,
}

#[derive(Debug)]
struct Volume {
    nodes: Vec<Node>,
    promise: Promise,
    /// How many bytes all files may hold; `None` if there is no limit.
    capacity: Option<usize>,
}

#[derive(Debug)]
enum Node {
    File(Contents),
    Directory(Directory),
    Link(PathBuf),
}

#[derive(Debug, Default)]
struct Contents {
    durable: Vec<u8>,
    now: Vec<u8>,
    /// A failed sync has lost what was written: a later one does not bring it back.
    forgotten: bool,
}

#[derive(Debug, Default)]
struct Directory {
    durable: BTreeMap<String, usize>,
    now: BTreeMap<String, usize>,
    pending: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    Link(String, usize),
    Rename(String, String, usize),
    Unlink(String),
}

fn apply(change: &Change, entries: &mut BTreeMap<String, usize>) {
    match change {
        Change::Link(name, node) => {
            entries.insert(name.clone(), *node);
        }
        Change::Rename(from, to, node) => {
            if entries.get(from) == Some(node) {
                entries.remove(from);
            }
            entries.insert(to.clone(), *node);
        }
        Change::Unlink(name) => {
            entries.remove(name);
        }
    }
}

impl SimDisk {
    /// An empty disk with one directory, `/volume`.
    pub(crate) fn new(promise: Promise) -> Self {
        let entries = BTreeMap::from([("volume".to_owned(), 1)]);
        let root = Directory {
            durable: entries.clone(),
            now: entries,
            pending: Vec::new(),
        };
        let nodes = vec![Node::Directory(root), Node::Directory(Directory::default())];
        Self(Arc::new(Mutex::new(Volume {
            nodes,
            promise,
            capacity: None,
        })))
    }

    pub(crate) fn mount(&self, steps: Arc<Steps>, error: ErrorKind) -> Mount {
        Mount {
            disk: self.clone(),
            steps,
            error,
        }
    }

    /// Leaves this much room, in bytes.
    pub(crate) fn limit_room(&self, room: usize) {
        let mut volume = self.lock();
        volume.capacity = Some(volume.used() + room);
    }

    /// The power goes, or only the program does.
    pub(crate) fn crash(&self, loss: Loss, random: &mut Random) {
        if loss == Loss::Nothing {
            return;
        }
        for node in &mut self.lock().nodes {
            match node {
                Node::File(contents) => contents.crash(loss, random),
                Node::Directory(directory) => directory.crash(loss, random),
                // A short link lies in its inode: it is there or not, with its name.
                Node::Link(_) => {}
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Volume> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Contents {
    fn crash(&mut self, loss: Loss, random: &mut Random) {
        if loss != Loss::Everything && !self.forgotten {
            let length = match random.below(3) {
                0 => self.durable.len(),
                1 => self.now.len(),
                _ => random.below(self.now.len() + 1),
            };
            let mut kept = vec![0; length];
            for start in (0..length).step_by(SECTOR) {
                let end = (start + SECTOR).min(length);
                let source = if random.coin() {
                    &self.now
                } else {
                    &self.durable
                };
                if let Some(rest) = source.get(start..) {
                    let length = rest.len().min(end - start);
                    kept[start..start + length].copy_from_slice(&rest[..length]);
                }
            }
            if self.durable != self.now {
                self.durable = kept;
            }
        }
        self.now = self.durable.clone();
        self.forgotten = false;
    }
}

impl Directory {
    fn crash(&mut self, loss: Loss, random: &mut Random) {
        let first = match loss {
            Loss::Tail => random.below(self.pending.len() + 1),
            _ => self.pending.len(),
        };
        for change in self.pending.drain(..).take(first) {
            let kept = match loss {
                Loss::Nothing | Loss::Tail => true,
                Loss::Everything => false,
                Loss::Some => random.coin(),
            };
            if kept {
                apply(&change, &mut self.durable);
            }
        }
        self.now = self.durable.clone();
    }

    fn change(&mut self, change: Change) {
        apply(&change, &mut self.now);
        self.pending.push(change);
    }
}

impl Volume {
    fn find(&self, path: &Path) -> io::Result<usize> {
        let mut at = 0;
        for component in path.components() {
            if let Component::Normal(name) = component {
                let Node::Directory(directory) = &self.nodes[at] else {
                    return Err(ErrorKind::NotADirectory.into());
                };
                at = *directory
                    .now
                    .get(name.to_str().unwrap())
                    .ok_or(ErrorKind::NotFound)?;
            }
        }
        Ok(at)
    }

    /// How many bytes the files hold that have a name.
    fn used(&self) -> usize {
        let (mut used, mut pending) = (0, vec![0]);
        while let Some(at) = pending.pop() {
            match &self.nodes[at] {
                Node::File(contents) => used += contents.now.len(),
                Node::Directory(directory) => pending.extend(directory.now.values()),
                Node::Link(_) => {}
            }
        }
        used
    }

    /// What of `contents` there is room for.
    fn fitting<'a>(&self, contents: &'a [u8]) -> &'a [u8] {
        let room = |capacity: usize| capacity.saturating_sub(self.used());
        let room = self.capacity.map_or(contents.len(), room);
        &contents[..room.min(contents.len())]
    }

    fn directory(&mut self, path: &Path) -> io::Result<&mut Directory> {
        let at = self.find(path)?;
        match &mut self.nodes[at] {
            Node::Directory(directory) => Ok(directory),
            Node::File(_) | Node::Link(_) => Err(ErrorKind::NotADirectory.into()),
        }
    }

    fn file(&mut self, node: usize) -> &mut Contents {
        match &mut self.nodes[node] {
            Node::File(contents) => contents,
            Node::Directory(_) | Node::Link(_) => panic!("no file"),
        }
    }

    fn link(&mut self, path: &Path, node: Node) -> io::Result<usize> {
        let number = self.nodes.len();
        let directory = self.directory(path.parent().unwrap())?;
        if directory.now.contains_key(name(path)) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        directory.change(Change::Link(name(path).to_owned(), number));
        self.nodes.push(node);
        Ok(number)
    }
}

fn name(path: &Path) -> &str {
    path.file_name().map_or("/", |name| name.to_str().unwrap())
}

impl Mount {
    /// One step: does `work` unless something goes wrong.
    fn step<T>(
        &self,
        kind: Kind,
        what: &str,
        path: &Path,
        work: impl FnOnce(&mut Volume) -> io::Result<T>,
    ) -> io::Result<T> {
        let fault = self.steps.take(kind, || format!("{what} {}", masked(path)));
        let result = match fault {
            Some(Fault::KillBefore) => self.steps.die(),
            Some(Fault::Fail) => return Err(self.error.into()),
            _ => work(&mut self.disk.lock()),
        };
        match fault {
            Some(Fault::KillAfter) => self.steps.die(),
            Some(Fault::FailAfter) => result.and(Err(ErrorKind::Other.into())),
            _ => result,
        }
    }

    fn handle(&self, node: usize, path: &Path) -> Box<dyn DiskFile> {
        Box::new(Handle {
            mount: Self {
                disk: self.disk.clone(),
                steps: Arc::clone(&self.steps),
                error: self.error,
            },
            node,
            path: path.to_path_buf(),
        })
    }
}

/// A path without what is random about its name.
fn masked(path: &Path) -> String {
    let name = name(path);
    let masked = if name.contains(".pem") {
        "key"
    } else if name.contains("state.previous.json") {
        "state.previous.json"
    } else if name.contains("state.revisions") {
        "state.revisions"
    } else {
        name.split(".json").next().unwrap()
    };
    let temporary = if name.ends_with(".bff-tmp") {
        " (temporary)"
    } else {
        ""
    };
    format!("{masked}{temporary}")
}

impl Disk for Mount {
    fn is_directory(&self, path: &Path) -> bool {
        self.disk.lock().directory(path).is_ok()
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        self.step(Kind::Change, "mkdir", path, |volume| {
            volume
                .link(path, Node::Directory(Directory::default()))
                .map(drop)
        })
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.step(Kind::Change, "fsync directory", path, |volume| {
            if volume.promise != Promise::DirectorySync {
                let directory = volume.directory(path)?;
                directory.durable = directory.now.clone();
                directory.pending.clear();
            }
            Ok(())
        })
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<PathBuf>> {
        self.step(Kind::Look, "list", directory, |volume| {
            let names = volume.directory(directory)?.now.keys();
            Ok(names.map(|name| directory.join(name)).collect())
        })
    }

    fn kind(&self, path: &Path) -> io::Result<Option<Found>> {
        self.step(Kind::Look, "stat", path, |volume| {
            Ok(volume.find(path).ok().map(|node| match volume.nodes[node] {
                Node::File(_) => Found::File,
                Node::Link(_) => Found::Link,
                Node::Directory(_) => Found::Other,
            }))
        })
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.step(Kind::Look, "read", path, |volume| {
            let node = volume.find(path)?;
            Ok(volume.file(node).now.clone())
        })
    }

    fn open_own(&self, path: &Path) -> io::Result<Box<dyn OwnFile>> {
        Ok(Box::new(Own(self.read(path)?)))
    }

    fn open_directory(&self, path: &Path) -> io::Result<Box<dyn Opened>> {
        self.disk.lock().directory(path)?;
        Ok(Box::new(Own(Vec::new())))
    }

    fn user(&self) -> io::Result<User> {
        Ok(User {
            id: 0,
            groups: Vec::new(),
        })
    }

    fn create(&self, path: &Path, _access: Access) -> io::Result<Box<dyn DiskFile>> {
        let node = self.step(Kind::Change, "create", path, |volume| {
            volume.link(path, Node::File(Contents::default()))
        })?;
        Ok(self.handle(node, path))
    }

    fn append(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.open(path)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let node = self.step(Kind::Look, "open", path, |volume| volume.find(path))?;
        Ok(self.handle(node, path))
    }

    fn read_link(&self, path: &Path) -> io::Result<PathBuf> {
        let volume = self.disk.lock();
        match &volume.nodes[volume.find(path)?] {
            Node::Link(target) => Ok(target.clone()),
            _ => Err(ErrorKind::InvalidInput.into()),
        }
    }

    fn symlink(&self, target: &Path, path: &Path) -> io::Result<()> {
        self.step(Kind::Change, "link", path, |volume| {
            volume.link(path, Node::Link(target.to_path_buf()))?;
            Ok(())
        })
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step(Kind::Change, "hard link to", to, |volume| {
            let node = volume.find(from)?;
            let directory = volume.directory(to.parent().unwrap())?;
            if directory.now.contains_key(name(to)) {
                return Err(ErrorKind::AlreadyExists.into());
            }
            directory.change(Change::Link(name(to).to_owned(), node));
            Ok(())
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        assert_eq!(from.parent(), to.parent(), "renamed within a directory");
        self.step(Kind::Change, "rename to", to, |volume| {
            let node = volume.find(from)?;
            let change = Change::Rename(name(from).to_owned(), name(to).to_owned(), node);
            volume.directory(to.parent().unwrap())?.change(change);
            Ok(())
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.step(Kind::Change, "remove", path, |volume| {
            volume.find(path)?;
            let directory = volume.directory(path.parent().unwrap())?;
            directory.change(Change::Unlink(name(path).to_owned()));
            Ok(())
        })
    }

    fn is_same(&self, one: &Path, other: &Path) -> io::Result<bool> {
        let volume = self.disk.lock();
        Ok(volume.find(one)? == volume.find(other)?)
    }

    fn is_writable(&self, _directory: &Path) -> bool {
        !self.steps.is_read_only()
    }

    fn lock_directory(&self, path: &Path) -> io::Result<Option<Lock>> {
        self.step(Kind::Look, "lock directory", path, |volume| {
            volume.directory(path)?;
            Ok(Some(Lock::Held(Box::new(Unlocked))))
        })
    }

    /// The run before is over whenever there is another one, so that nobody has the lock.
    fn lock(&self, path: &Path, owner: &str) -> io::Result<Lock> {
        self.step(Kind::Change, "lock", path, |volume| {
            let node = match volume.find(path) {
                Ok(node) => node,
                Err(_) => volume.link(path, Node::File(Contents::default()))?,
            };
            volume.file(node).now = owner.as_bytes().to_vec();
            Ok(Lock::Held(Box::new(Unlocked)))
        })
    }
}

/// What was read from a file, which is as it should be.
#[derive(Debug)]
struct Own(Vec<u8>);

impl Opened for Own {
    fn attributes(&self) -> io::Result<Attributes> {
        Ok(Attributes {
            owner: 0,
            group: 0,
            mode: 0o600,
            links: 1,
        })
    }

    fn set_mode(&self, _mode: u32) -> io::Result<()> {
        Ok(())
    }

    fn set_group(&self, _group: u32) -> io::Result<()> {
        Ok(())
    }
}

impl OwnFile for Own {
    fn contents(&mut self) -> io::Result<Zeroizing<Vec<u8>>> {
        Ok(Zeroizing::new(self.0.clone()))
    }
}

#[derive(Debug)]
struct Unlocked;

impl Held for Unlocked {}

#[derive(Debug)]
struct Handle {
    mount: Mount,
    node: usize,
    path: PathBuf,
}

impl DiskFile for Handle {
    fn write(&mut self, contents: &[u8]) -> io::Result<()> {
        let steps = &self.mount.steps;
        let fault = steps.take(Kind::Write, || format!("write {}", masked(&self.path)));
        let written = match fault {
            Some(Fault::KillBefore) => steps.die(),
            Some(Fault::Fail) => return Err(self.mount.error.into()),
            Some(Fault::KillWithin | Fault::FailWithin) => &contents[..contents.len() / 2],
            _ => contents,
        };
        let mut volume = self.mount.disk.lock();
        let fitting = volume.fitting(written);
        volume.file(self.node).now.extend_from_slice(fitting);
        drop(volume);
        match fault {
            Some(Fault::KillWithin | Fault::KillAfter) => steps.die(),
            Some(Fault::FailWithin) => Err(ErrorKind::StorageFull.into()),
            _ if fitting.len() < written.len() => Err(ErrorKind::StorageFull.into()),
            _ => Ok(()),
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        let node = self.node;
        let result = self
            .mount
            .step(Kind::Change, "fsync", &self.path, |volume| {
                let keeps = volume.promise != Promise::FileSync;
                let contents = volume.file(node);
                if keeps && !contents.forgotten {
                    contents.durable = contents.now.clone();
                }
                Ok(())
            });
        if result.is_err() {
            let mut volume = self.mount.disk.lock();
            let contents = volume.file(node);
            contents.forgotten = contents.durable != contents.now;
        }
        result
    }

    fn sync_data(&mut self) -> io::Result<()> {
        self.sync()
    }
}
