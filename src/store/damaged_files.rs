//! Damaged files, kept for whoever wants to know what was in them.

use std::io;
use std::path::{Path, PathBuf};

use crate::disk::Disk;

/// How many are kept of one file: the last ones.
const KEPT: usize = 5;

/// Moves a damaged file aside, under a name that nothing has, and says where it is.
///
/// # Errors
///
/// Any I/O error; the file may be in either place then.
pub(super) fn keep_aside(disk: &dyn Disk, path: &Path) -> io::Result<PathBuf> {
    let directory = path.parent().unwrap_or(Path::new("."));
    let names = Names::of(path);
    let mut numbers: Vec<u64> = disk
        .list(directory)?
        .iter()
        .filter_map(|path| names.number(path))
        .collect();
    numbers.sort_unstable();
    let number = numbers.last().map_or(1, |last| last.saturating_add(1));
    let aside = directory.join(names.name(number));
    disk.rename(path, &aside)?;
    disk.sync_directory(directory)?;
    let too_many = (numbers.len() + 1).saturating_sub(KEPT);
    for number in numbers.iter().take(too_many) {
        // One that cannot be removed is one more for the next time.
        drop(disk.remove(&directory.join(names.name(*number))));
    }
    Ok(aside)
}

/// The names of the copies of one file.
struct Names {
    stem: String,
    extension: String,
}

impl Names {
    fn of(path: &Path) -> Self {
        let text = |part: Option<&std::ffi::OsStr>| {
            part.map_or_else(String::new, |part| part.to_string_lossy().into_owned())
        };
        Self {
            stem: text(path.file_stem()),
            extension: text(path.extension()),
        }
    }

    fn name(&self, number: u64) -> String {
        format!("{}.damaged-{number}.{}", self.stem, self.extension)
    }

    fn number(&self, path: &Path) -> Option<u64> {
        let name = path.file_name()?.to_str()?;
        let number = name.strip_prefix(&self.stem)?.strip_prefix(".damaged-")?;
        let number = number.strip_suffix(&self.extension)?.strip_suffix('.')?;
        number.parse().ok()
    }
}
