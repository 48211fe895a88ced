//! The files that the application reads: `active.pem` and the client file.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::{self, Disk, PUBLIC, ReplaceError};
use crate::jose::Kid;

/// The files that an application reads. Each is compared with what it should hold, and written
/// only if it differs.
#[derive(Clone, Debug)]
pub struct Outlets {
    disk: Arc<dyn Disk>,
    keys: PathBuf,
    state: PathBuf,
    client_file: Option<PathBuf>,
}

/// A file that could not be brought up to date.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}", .path.display())]
pub struct OutletError {
    path: PathBuf,
    source: io::Error,
    setting: &'static str,
}

impl OutletError {
    #[cfg(test)]
    pub(crate) fn of(path: &Path, source: io::Error, setting: &'static str) -> Self {
        Self {
            path: path.to_path_buf(),
            source,
            setting,
        }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What an operator can do now.
    pub fn hint(&self) -> String {
        let setting = self.setting;
        match self.source.kind() {
            io::ErrorKind::AlreadyExists => format!("move it away, or change {setting}"),
            // A file that is a mount point cannot be replaced.
            io::ErrorKind::ResourceBusy => {
                format!("mount the directory of {setting} instead of the file")
            }
            _ => format!("let the user that runs bff write there, or change {setting}"),
        }
    }
}

const ACTIVE: &str = "active.pem";

impl Outlets {
    /// Those in the directories of keys and state, and `BFF_CLIENT_CRED_PATH`.
    pub fn new(disk: Arc<dyn Disk>, keys: &Path, state: &Path, client_file: Option<&Path>) -> Self {
        Self {
            disk,
            keys: keys.to_path_buf(),
            state: state.to_path_buf(),
            client_file: client_file.map(Path::to_path_buf),
        }
    }

    /// Removes what an interrupted write of the client file left behind: its directory may be
    /// another one than ours.
    pub fn sweep(&self) {
        let Some(path) = &self.client_file else {
            return;
        };
        // A directory that cannot be listed is reported when the file is written.
        for path in disk::sweep_beside(self.disk.as_ref(), path).unwrap_or_default() {
            tracing::info!(path = %path.display(), "Removed an unfinished file");
        }
    }

    /// Whether there is a client file to keep up to date.
    pub fn has_client_file(&self) -> bool {
        self.client_file.is_some()
    }

    /// Makes `active.pem` point to the PEM of that key, in one atomic step. Says whether it pointed
    /// elsewhere before.
    ///
    /// # Errors
    ///
    /// [`OutletError`]; the link then points where it did before.
    pub fn show_key(&self, kid: &Kid) -> Result<bool, OutletError> {
        let name = format!("{}.pem", kid.file_stem());
        let directory = if matches!(self.disk.kind(&self.keys.join(&name)), Ok(Some(_))) {
            &self.keys
        } else {
            &self.state
        };
        let path = directory.join(ACTIVE);
        let target = Path::new(&name);
        if self
            .disk
            .read_link(&path)
            .is_ok_and(|there| there == target)
        {
            return Ok(false);
        }
        match disk::link(self.disk.as_ref(), &path, target) {
            Ok(()) => Ok(true),
            Err(source) => Err(OutletError {
                path,
                source,
                setting: "BFF_KEYS_DIR",
            }),
        }
    }

    /// Writes the client file, if it holds anything else. Says whether it was written.
    ///
    /// # Errors
    ///
    /// [`OutletError`].
    pub fn show_client(&self, contents: &str) -> Result<bool, OutletError> {
        let Some(path) = &self.client_file else {
            return Ok(false);
        };
        let contents = contents.as_bytes();
        if self.disk.read(path).is_ok_and(|there| there == contents) {
            return Ok(false);
        }
        match disk::replace_own(self.disk.as_ref(), path, contents, PUBLIC) {
            Ok(()) => Ok(true),
            Err(error) => Err(OutletError {
                path: path.clone(),
                source: ReplaceError::into_io(error),
                setting: "BFF_CLIENT_CRED_PATH",
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::disk::HostDisk;

    #[test]
    fn a_key_file_of_an_operator_is_never_replaced_by_the_link() {
        let volume = tempfile::tempdir().unwrap();
        let path = volume.path().join(ACTIVE);
        fs::write(&path, "the only copy").unwrap();
        let outlets = Outlets::new(Arc::new(HostDisk), volume.path(), volume.path(), None);

        let error = outlets.show_key(&"k1".parse().unwrap()).unwrap_err();

        assert!(error.hint().contains("move it away"), "{error}");
        assert_eq!(fs::read_to_string(path).unwrap(), "the only copy");
    }

    #[test]
    fn what_an_interrupted_write_left_beside_the_client_file_is_swept_and_nothing_else() {
        let (volume, shared) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let client = shared.path().join("client.json");
        let [ours, theirs] = [".client.json.0badcafe", ".other.json.0badcafe"]
            .map(|name| shared.path().join(format!("{name}.bff-tmp")));
        fs::write(&ours, "{").unwrap();
        fs::write(&theirs, "{").unwrap();

        let disk = Arc::new(HostDisk);
        Outlets::new(disk, volume.path(), volume.path(), Some(&client)).sweep();

        assert!(!ours.exists() && theirs.exists());
    }

    #[test]
    fn what_differs_is_written_and_what_does_not_is_left_alone() {
        let volume = tempfile::tempdir().unwrap();
        let client = volume.path().join("client.json");
        let disk = Arc::new(HostDisk);
        let outlets = Outlets::new(disk, volume.path(), volume.path(), Some(&client));
        let kid = "k1".parse().unwrap();

        assert!(outlets.show_key(&kid).unwrap());
        assert!(!outlets.show_key(&kid).unwrap());
        assert!(outlets.show_client("one").unwrap());
        assert!(!outlets.show_client("one").unwrap());
        fs::remove_file(&client).unwrap();
        assert!(outlets.show_client("one").unwrap());
    }
}
