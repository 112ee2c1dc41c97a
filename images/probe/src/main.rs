//! Runs in a sandbox as a script of type `binary` and tries all that a hostile script
//! would try. Nothing that it does can harm a machine where it succeeds: what would be
//! changed gets values that change nothing, and what would fill or exhaust something
//! is bounded and tried by a child, which it outlives. It prints one JSON document.

mod attempt;
mod files;
mod identity;
mod kernel;
mod limits;
mod network;
mod processes;

use std::io::{self, Write};

use attempt::Attempts;

fn main() -> io::Result<()> {
    // Tries to be executed from where nothing should be.
    if std::env::args().nth(1).as_deref() == Some(files::EXECUTED) {
        return Ok(());
    }
    let mut attempts = Attempts::default();
    // What is open is looked at before anything is opened.
    processes::attempt(&mut attempts);
    identity::attempt(&mut attempts);
    network::attempt(&mut attempts);
    files::attempt(&mut attempts);
    kernel::attempt(&mut attempts);
    // What may exhaust the sandbox comes last.
    limits::attempt(&mut attempts);
    let document = serde_json::to_vec(&attempts.found)?;
    io::stdout().write_all(&document)
}
