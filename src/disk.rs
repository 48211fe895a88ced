//! Files, one durable step at a time. Used by `store` and `local_files`.

mod durable_write;
mod file_system;
mod host_disk;

pub use durable_write::{
    ReplaceError, anchor, create_directory, create_exclusive, is_not_ours, link, replace_own,
    settle, sweep,
};
pub use file_system::{Disk, DiskFile, Held, Kind, Lock, PRIVATE, PUBLIC};
pub use host_disk::HostDisk;
