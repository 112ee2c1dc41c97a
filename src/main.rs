//! The command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    gantry::cli::main()
}
