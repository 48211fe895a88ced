//! The last revision and the revoked keys, beside the document: they show that a document is older.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::bad_document::checksum;
use super::damaged_files::keep_aside;
use crate::disk::{self, Disk, OwnFiles, PRIVATE};
use crate::state::{Rev, State};

/// What a commit leaves beside its document.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Revision {
    /// The revision that was committed.
    pub rev: Rev,
    /// The RFC 7638 thumbprints of the keys that were revoked by then.
    pub revoked: Vec<String>,
}

/// A file to which each commit appends a line.
#[derive(Debug)]
pub(super) struct RevisionsFile {
    path: PathBuf,
    /// Its length, where it is known to end with a whole line.
    length: Option<usize>,
}

/// In which shape it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Shape {
    Damaged,
    Missing,
    /// The last line was not written to its end.
    Unfinished,
    Whole,
}

const NAME: &str = "state.revisions";

/// From this length on, in bytes, it begins anew with the next line: the last one says it all.
const LONGEST: usize = 32 * 1024;

impl RevisionsFile {
    pub(super) fn of(state: &Path) -> Self {
        Self {
            path: state.join(NAME),
            length: None,
        }
    }

    /// The last line that can be read.
    pub(super) fn last(&self, files: &OwnFiles) -> Option<Revision> {
        self.read(files).0
    }

    /// Adds the line of a revision that is in place, unless it is there. A failure is told: the
    /// state is committed all the same.
    pub(super) fn note(&mut self, disk: &dyn Disk, files: &OwnFiles, rev: Rev, state: &State) {
        let revoked: BTreeSet<&String> = state.revoked().iter().collect();
        let revision = Revision {
            rev,
            revoked: revoked.into_iter().cloned().collect(),
        };
        if let Err(error) = self.add(disk, files, &revision) {
            self.length = None;
            tracing::error!(
                path = %self.path.display(),
                rev = rev.number(),
                "cannot write {} ({error}), so that a restored older state would not be noticed; \
                 hint: let the user that runs bff write to BFF_STATE_DIR",
                self.path.display()
            );
        }
    }

    fn add(&mut self, disk: &dyn Disk, files: &OwnFiles, revision: &Revision) -> io::Result<()> {
        if self.length.is_none() {
            let (last, shape, length) = self.read(files);
            match shape {
                Shape::Whole if last.as_ref() == Some(revision) => {
                    self.length = Some(length);
                    return Ok(());
                }
                Shape::Whole => self.length = Some(length),
                Shape::Damaged => self.keep_damaged(disk)?,
                Shape::Missing | Shape::Unfinished => {}
            }
        }
        let line = line(revision)?;
        let appended = self.length.take().filter(|length| *length < LONGEST);
        if let Some(length) = appended {
            match disk::append_own(disk, &self.path, &line) {
                Ok(()) => {
                    self.length = Some(length + line.len());
                    return Ok(());
                }
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Err(_) => {}
            }
        }
        disk::replace_own(disk, &self.path, &line, PRIVATE).map_err(disk::ReplaceError::into_io)?;
        self.length = Some(line.len());
        Ok(())
    }

    fn keep_damaged(&self, disk: &dyn Disk) -> io::Result<()> {
        let aside = keep_aside(disk, &self.path)?;
        tracing::error!(
            path = %aside.display(),
            "{} was damaged, is kept as {}, and begins anew; hint: docs/restore.md",
            self.path.display(),
            aside.display()
        );
        Ok(())
    }

    fn read(&self, files: &OwnFiles) -> (Option<Revision>, Shape, usize) {
        match files.read(&self.path, PRIVATE) {
            Ok(text) => {
                let (last, shape) = parse(&text);
                (last, shape, text.len())
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => (None, Shape::Missing, 0),
            Err(error) => {
                tracing::error!(
                    path = %self.path.display(),
                    "cannot read {} ({error}), so that a restored older state is not noticed; hint: \
                     let the user that runs bff read it",
                    self.path.display()
                );
                (None, Shape::Unfinished, 0)
            }
        }
    }
}

/// A line: a checksum, and what it is of.
fn line(revision: &Revision) -> io::Result<Vec<u8>> {
    let text = serde_json::to_string(revision)?;
    Ok(format!("{} {text}\n", checksum(text.as_bytes())).into_bytes())
}

fn parse(text: &[u8]) -> (Option<Revision>, Shape) {
    let mut lines = text.split_inclusive(|byte| *byte == b'\n').peekable();
    let (mut last, mut shape) = (None, Shape::Whole);
    while let Some(line) = lines.next() {
        match parse_line(line) {
            Some(revision) => last = Some(revision),
            // The end of a file that a crash has interrupted, or the holes of its last sectors.
            None if lines.peek().is_none() && (!line.ends_with(b"\n") || line.contains(&0)) => {
                shape = Shape::Unfinished;
            }
            None => return (last, Shape::Damaged),
        }
    }
    (last, shape)
}

fn parse_line(line: &[u8]) -> Option<Revision> {
    let line = std::str::from_utf8(line.strip_suffix(b"\n")?).ok()?;
    let (written, text) = line.split_once(' ')?;
    let is_intact = checksum(text.as_bytes()) == written;
    is_intact.then(|| serde_json::from_str(text).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_whole_line_counts_and_what_is_behind_it_tells_a_crash_from_damage() {
        let [first, second] = [1, 2].map(|number| Revision {
            rev: serde_json::from_value(number.into()).unwrap(),
            revoked: vec![format!("thumbprint {number}")],
        });
        let lines = [&first, &second].map(|revision| line(revision).unwrap());
        let whole = lines.concat();
        let with = |rest: &[u8]| [&whole[..], rest].concat();

        for (text, last, shape) in [
            (Vec::new(), None, Shape::Whole),
            (whole.clone(), Some(&second), Shape::Whole),
            (
                whole[..whole.len() - 1].to_vec(),
                Some(&first),
                Shape::Unfinished,
            ),
            (with(b"\0\0\0\n"), Some(&second), Shape::Unfinished),
            (with(b"garbage\n"), Some(&second), Shape::Damaged),
            (with(&whole[3..]), Some(&second), Shape::Damaged),
            (b"garbage\n".to_vec(), None, Shape::Damaged),
        ] {
            assert_eq!(parse(&text), (last.cloned(), shape), "{text:?}");
        }
        for index in 0..whole.len() {
            let mut changed = whole.clone();
            changed[index] ^= 1;
            let (last, shape) = parse(&changed);
            assert!(
                last.as_ref() != Some(&second) || shape != Shape::Whole,
                "{index}"
            );
        }
    }
}
