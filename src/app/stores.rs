//! Which store the configuration names.

use std::sync::Arc;

use crate::config::KeysConfig;
use crate::disk::HostDisk;
use crate::store::{FileStore, Store};

/// The store of this configuration. A writer must hold the lock of the directories; a reader need
/// not.
pub fn store_of(config: &KeysConfig) -> Arc<dyn Store> {
    let disk = Arc::new(HostDisk);
    let store = FileStore::new(disk, &config.keys_dir, &config.state_dir);
    Arc::new(store.with_group(config.group))
}
