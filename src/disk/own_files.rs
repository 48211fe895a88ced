//! Files of ours, looked at each time they are opened.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use secrecy::zeroize::Zeroizing;

use super::access::{Access, Finding, Secured, secure_directory, secure_file};
use super::file_system::Disk;

/// Opens files of ours. What their creation promised is looked at on what was opened, mended where
/// that is possible, and otherwise said once.
#[derive(Debug)]
pub struct OwnFiles {
    disk: Arc<dyn Disk>,
    said: Mutex<BTreeSet<String>>,
}

impl OwnFiles {
    /// Those of this disk.
    pub fn new(disk: Arc<dyn Disk>) -> Self {
        Self {
            disk,
            said: Mutex::default(),
        }
    }

    /// The contents of a file of ours.
    ///
    /// # Errors
    ///
    /// Any I/O error. Access that cannot be mended is none: the file is read all the same.
    pub fn read(&self, path: &Path, access: Access) -> io::Result<Zeroizing<Vec<u8>>> {
        let mut file = self.disk.open_own(path)?;
        let secured = secure_file(file.as_ref(), access, &self.disk.user()?)?;
        self.report(path, &secured)?;
        file.contents()
    }

    /// Takes the permission to write from all but the owner of a directory of ours, and gives it to
    /// this group.
    ///
    /// # Errors
    ///
    /// Any I/O error of the look itself.
    pub fn secure_directory(&self, path: &Path, group: Option<u32>) -> io::Result<()> {
        let directory = self.disk.open_directory(path)?;
        let secured = secure_directory(directory.as_ref(), group, &self.disk.user()?)?;
        self.report(path, &secured)
    }

    fn report(&self, path: &Path, secured: &Secured) -> io::Result<()> {
        let shown = path.display();
        if let Some((before, after)) = secured.changed {
            tracing::info!(
                path = %shown,
                "Changed the permissions of {shown} from {before:04o} to {after:04o}"
            );
        }
        for finding in &secured.findings {
            let text = self.described(path, finding)?;
            let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
            if said.insert(text.clone()) {
                tracing::warn!(path = %shown, "{text}");
            }
        }
        Ok(())
    }

    fn described(&self, path: &Path, finding: &Finding) -> io::Result<String> {
        let path = path.display();
        Ok(match finding {
            Finding::Foreign { owner } => {
                let user = self.disk.user()?.id;
                format!(
                    "{path} belongs to user {owner}, who can read and change it; hint: run `chown \
                     {user} {path}` as root"
                )
            }
            Finding::Linked { links } => format!(
                "{path} has {links} names (hard links): who can open another one reads and changes \
                 the same file; hint: `find / -xdev -samefile {path}` lists them, remove the others"
            ),
            Finding::Open { found, mode, group } => {
                let mut mend = format!("chmod {mode:o} {path}");
                if let Some(group) = group {
                    // Before the mode: it must not be the wrong group that may read.
                    mend = format!("chgrp {group} {path} && {mend}");
                }
                let mut text = format!("{path} has mode {:04o}", found.mode);
                let (owner, group) = (found.owner, found.group);
                let _ = write!(
                    text,
                    ", owner {owner} and group {group}, which bff may not change"
                );
                format!("{text}; hint: run `{mend}` as user {owner} or as root")
            }
        })
    }
}
