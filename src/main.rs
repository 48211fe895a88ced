//! The `bff` program.

fn main() {}
