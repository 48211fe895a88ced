//! One file for each target.

pub(crate) mod configuration;
pub(crate) mod discovery;
pub(crate) mod key_import;
pub(crate) mod management_answer;
pub(crate) mod registration_answer;
pub(crate) mod state_document;
pub(crate) mod token_answer;
