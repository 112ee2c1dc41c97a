//! `gantry completions`: what a shell needs to complete our commands.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{FAILED, stdout};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The shell; its own documentation says where the script belongs
    shell: Shell,
}

pub(super) fn main(arguments: &Arguments) -> u8 {
    let mut script = Vec::new();
    let mut command = super::Arguments::command();
    clap_complete::generate(arguments.shell, &mut command, "gantry", &mut script);
    match stdout::write(&script) {
        Ok(()) => 0,
        Err(error) => stdout::unprinted(&error, FAILED),
    }
}
