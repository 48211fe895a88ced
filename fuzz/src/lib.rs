//! What `bff` reads from others, as functions of bytes that panic if a promise is broken.
//!
//! Each has two front ends: one in `fuzz_targets/` for cargo fuzz, and `fuzz-mutate`, which needs
//! nothing but a stable toolchain. A function must not depend on anything but its input.

mod answer;
mod checks;
pub mod mutation;
mod targets;

pub use targets::configuration::configuration;
pub use targets::discovery::discovery;
pub use targets::key_import::key_import;
pub use targets::management_answer::management_answer;
pub use targets::registration_answer::registration_answer;
pub use targets::state_document::state_document;
pub use targets::token_answer::token_answer;

/// A function of bytes that panics if a promise is broken.
pub type Target = fn(&[u8]);

/// Every target by its name, which is also that of its corpus and of its front end.
pub const TARGETS: [(&str, Target); 7] = [
    ("configuration", configuration),
    ("discovery", discovery),
    ("key_import", key_import),
    ("management_answer", management_answer),
    ("registration_answer", registration_answer),
    ("state_document", state_document),
    ("token_answer", token_answer),
];
