//! Room on a volume that is kept for one commit.

use std::io;
use std::path::{Path, PathBuf};

use openssl::rand::rand_bytes;

use crate::disk::{Disk, PRIVATE};

/// A file whose blocks are given to a commit that finds no others.
#[derive(Debug, Default)]
pub(super) struct Reserve(Option<PathBuf>);

/// Named as an unfinished file is: what a crash leaves is swept at the next start.
const NAME: &str = ".state.reserve.bff-tmp";

/// What a commit needs besides its documents: their names, and the file beside them.
const BESIDES: usize = 128 * 1024;

impl Reserve {
    /// Takes room for two documents of these sizes, in place of what was taken before.
    ///
    /// # Errors
    ///
    /// Any I/O error; nothing is kept then.
    pub(super) fn take(
        &mut self,
        disk: &dyn Disk,
        directory: &Path,
        documents: [usize; 2],
    ) -> io::Result<()> {
        let path = directory.join(NAME);
        self.0 = None;
        match disk.remove(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // A file system that compresses has to find as many blocks as any other.
        let mut filling = vec![0; documents.iter().sum::<usize>() + BESIDES];
        rand_bytes(&mut filling)?;
        let mut file = disk.create(&path, PRIVATE)?;
        let written = file.write(&filling).and_then(|()| file.sync());
        written.inspect_err(|_| drop(disk.remove(&path)))?;
        self.0 = Some(path);
        Ok(())
    }

    /// Gives the room back. Says whether there was any.
    pub(super) fn free(&mut self, disk: &dyn Disk) -> bool {
        let Some(path) = self.0.take() else {
            return false;
        };
        let removed = disk.remove(&path);
        // Some file systems free the blocks only then.
        let synced = path.parent().map(|parent| disk.sync_directory(parent));
        drop(synced);
        removed.is_ok()
    }
}

/// Whether an error says that there is no room.
pub(super) fn is_no_room(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}
