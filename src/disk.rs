//! Files, one durable step at a time. Used by `store` and `local_files`.

mod access;
mod durable_write;
mod file_system;
mod host_disk;
mod own_files;

pub use access::{
    Access, Attributes, Finding, Opened, PRIVATE, PUBLIC, Secured, User, can_give,
    secure_directory, secure_file,
};
pub use durable_write::{
    ReplaceError, anchor, append_own, create_directory, create_exclusive, is_not_ours, link,
    replace_own, settle, sweep, sweep_beside,
};
pub use file_system::{Disk, DiskFile, Held, Kind, Lock, NotAFile, OwnFile};
pub use host_disk::HostDisk;
pub use own_files::OwnFiles;
