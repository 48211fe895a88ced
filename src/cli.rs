//! The command line: the only module that prints.

mod assertion_command;
mod command_error;
mod command_line;
mod context;
mod exit;
mod healthcheck_command;
mod keys_command;
mod mint_iat_command;
mod output;
mod register_command;
mod rotate_command;
mod running_service;
mod serve_command;
mod standard_input;
mod status_command;

#[cfg(test)]
pub(crate) use command_error::CommandError;
pub use command_line::main;
#[cfg(test)]
pub(crate) use exit::{Exit, Failure};
