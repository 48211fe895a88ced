//! The `bff` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    bff::cli::main()
}
