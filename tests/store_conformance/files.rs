//! The places of a `FileStore`.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bff::disk::{Disk, HostDisk, PRIVATE};
use bff::local_files::Directories;
use bff::store::{FileStore, Store};
use tempfile::TempDir;

use crate::disk::{Loss, Promise, SimDisk};
use crate::site::Site;
use crate::steps::{Fault, Random, Steps, Target};

/// How many steps of one call are made to fail, each in every way.
const STEPS: usize = 20;

const FAULTS: [Fault; 3] = [Fault::Fail, Fault::FailAfter, Fault::FailWithin];

/// Where the keys are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Layout {
    OneDirectory,
    KeysElsewhere,
}

/// Directories of one disk.
#[derive(Debug)]
pub(crate) struct Files {
    disk: Medium,
    root: PathBuf,
    keys: PathBuf,
    state: PathBuf,
}

#[derive(Debug)]
enum Medium {
    Host { _root: TempDir },
    Memory(SimDisk),
}

impl Files {
    pub(crate) fn on_host(layout: Layout) -> Box<dyn Site> {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().to_path_buf();
        Box::new(Self::new(Medium::Host { _root: root }, &path, layout))
    }

    pub(crate) fn in_memory(layout: Layout) -> Box<dyn Site> {
        Box::new(Self::simulated(layout))
    }

    pub(crate) fn simulated(layout: Layout) -> Self {
        let disk = Medium::Memory(SimDisk::new(Promise::AllKept));
        Self::new(disk, Path::new("/volume"), layout)
    }

    fn new(disk: Medium, root: &Path, layout: Layout) -> Self {
        let state = root.join("state");
        let keys = match layout {
            Layout::OneDirectory => state.clone(),
            Layout::KeysElsewhere => root.join("keys"),
        };
        let root = root.to_path_buf();
        let site = Self {
            disk,
            root,
            keys,
            state,
        };
        let disk = site.disk(Target::Nothing);
        for path in [&site.keys, &site.state] {
            bff::disk::create_directory(disk.as_ref(), path).unwrap();
        }
        disk.sync_directory(&site.root).unwrap();
        site
    }

    fn disk(&self, target: Target) -> Arc<dyn Disk> {
        match &self.disk {
            Medium::Host { .. } => Arc::new(HostDisk),
            Medium::Memory(disk) => {
                // Where keys are apart, it is because they are mounted read-only.
                let error = if self.keys == self.state {
                    ErrorKind::StorageFull
                } else {
                    ErrorKind::ReadOnlyFilesystem
                };
                Arc::new(disk.mount(Arc::new(Steps::new(target)), error))
            }
        }
    }

    /// A file of the state; none if it is not there.
    pub(crate) fn read(&self, name: &str) -> Option<Vec<u8>> {
        let disk = self.disk(Target::Nothing);
        disk.read(&self.state.join(name)).ok()
    }

    /// Writes a file of the state so that it stays, as nobody should but the program.
    pub(crate) fn write(&self, name: &str, text: &[u8]) {
        let (disk, path) = (self.disk(Target::Nothing), self.state.join(name));
        drop(disk.remove(&path));
        let mut file = disk.create(&path, PRIVATE).unwrap();
        file.write(text).unwrap();
        file.sync().unwrap();
        disk.sync_directory(&self.state).unwrap();
    }

    /// Removes a file of the state.
    pub(crate) fn remove(&self, name: &str) {
        let disk = self.disk(Target::Nothing);
        disk.remove(&self.state.join(name)).unwrap();
        disk.sync_directory(&self.state).unwrap();
    }

    /// Leaves this much room on the disk, in bytes.
    pub(crate) fn limit_room(&self, room: usize) {
        match &self.disk {
            Medium::Memory(disk) => disk.limit_room(room),
            Medium::Host { .. } => panic!("no disk of a test"),
        }
    }

    /// The names of the files of the state, as the next start finds them.
    pub(crate) fn names_after_a_start(&self) -> Vec<String> {
        let disk = self.disk(Target::Nothing);
        let directories = Directories::open(Arc::clone(&disk), &self.keys, &self.state, "a test");
        drop(directories.unwrap());
        let mut paths = disk.list(&self.state).unwrap();
        paths.sort();
        let name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
        paths.iter().map(name).collect()
    }

    fn store(&self, target: Target) -> Arc<dyn Store> {
        Arc::new(FileStore::new(self.disk(target), &self.keys, &self.state))
    }
}

impl Site for Files {
    fn open(&self) -> Arc<dyn Store> {
        self.store(Target::Nothing)
    }

    fn open_failing(&self, number: usize) -> Option<Arc<dyn Store>> {
        let can_fail = matches!(self.disk, Medium::Memory(_)) && number < STEPS * FAULTS.len();
        let target = Target::Step(number / FAULTS.len(), FAULTS[number % FAULTS.len()]);
        can_fail.then(|| self.store(target))
    }

    fn is_shared(&self) -> bool {
        false
    }

    fn lose_power(&self) {
        if let Medium::Memory(disk) = &self.disk {
            disk.crash(Loss::Everything, &mut Random::new(0));
        }
    }

    fn spoil(&self) {
        for name in ["state.json", "state.previous.json"] {
            if let Some(text) = self.read(name) {
                self.write(name, &text[..text.len() / 2]);
            }
        }
    }

    fn strays(&self) -> Vec<String> {
        let mut paths = self.disk(Target::Nothing).list(&self.root).unwrap();
        paths.retain(|path| *path != self.keys && *path != self.state);
        paths
            .iter()
            .map(|path| path.display().to_string())
            .collect()
    }

    fn name(&self) -> String {
        self.root.display().to_string()
    }
}
