//! The commands: one file each. Data goes to stdout, everything else to stderr.

mod completions;
mod doctor;
mod executions;
mod fields;
mod files;
mod images;
mod json;
mod message;
mod outcome;
mod progress;
mod remote;
mod removal;
mod run;
mod scripts;
mod serve;
mod signals;
mod stdout;
mod streams;
mod table;
mod token;

use std::process::ExitCode;

use clap::{ArgMatches, CommandFactory, Parser, Subcommand};

use crate::config::{self, Settings};

/// Exit code of a command that has failed itself, unlike its script.
const FAILED: u8 = 1;

/// Runs every script in its own fresh, hardened container.
#[derive(Debug, Parser)]
#[command(name = "gantry", version, propagate_version = true, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs one file in one sandbox: no server, no registry
    Run(Box<run::Arguments>),
    /// Runs the server: registry, HTTP API and worker in one process
    Serve(Box<serve::Arguments>),
    /// Checks the engine, this machine and the database, and says what to do
    Doctor(doctor::Arguments),
    /// Builds, lists and removes the images that sandboxes are made of
    #[command(subcommand)]
    Images(images::Command),
    /// Registers, changes and tests scripts on a server
    Scripts(Box<scripts::Arguments>),
    /// Runs scripts on a server, and shows what came of it
    Executions(Box<executions::Arguments>),
    /// Sends files to a server, fetches and lists them
    Files(Box<files::Arguments>),
    /// Makes, lists and revokes the tokens of a server
    Token(token::Arguments),
    /// Prints a script that completes these commands in a shell
    Completions(completions::Arguments),
}

/// Parses the command line and runs the command.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return refuse(&error),
    };
    start_log(matches!(arguments.command, Command::Serve(_)));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            message::error(&format!("no runtime: {error}"), None);
            return ExitCode::from(FAILED);
        }
    };
    let code = runtime.block_on(dispatch(arguments));
    // A thread that still reads a terminal must not keep the process.
    runtime.shutdown_background();
    ExitCode::from(code)
}

async fn dispatch(arguments: Arguments) -> u8 {
    let settings = arguments.settings;
    match arguments.command {
        Command::Run(arguments) => run::main(*arguments, &settings).await,
        Command::Serve(arguments) => serve::main(*arguments, &settings).await,
        Command::Doctor(arguments) => doctor::main(&arguments, &settings).await,
        Command::Images(command) => images::main(command, &settings).await,
        Command::Scripts(arguments) => scripts::main(*arguments).await,
        Command::Executions(arguments) => executions::main(*arguments).await,
        Command::Files(arguments) => files::main(*arguments).await,
        Command::Token(arguments) => token::main(arguments).await,
        Command::Completions(arguments) => completions::main(&arguments),
    }
}

/// A command line that is not one. Where a script's code is what a command ends
/// with, it must not be one that a script could have answered with.
fn refuse(error: &clap::Error) -> ExitCode {
    // Nothing is to be done when the terminal is gone.
    let _ = error.print();
    match error.exit_code() {
        0 => ExitCode::SUCCESS,
        _ if is_for_a_run() => ExitCode::from(outcome::GANTRY_FAILED),
        _ => ExitCode::from(2),
    }
}

/// True if the command line is that of a command that exits with a script's code, however
/// wrong its arguments are.
fn is_for_a_run() -> bool {
    let lenient = Arguments::command().ignore_errors(true);
    let matches = lenient.try_get_matches_from(std::env::args_os());
    match matches.ok().as_ref().and_then(ArgMatches::subcommand) {
        Some(("run", _)) => true,
        Some(("executions", below)) => matches!(below.subcommand_name(), Some("run" | "wait")),
        Some(("scripts", below)) => below.subcommand_name() == Some("test"),
        Some(_) => false,
        // It is wrong before the command's name.
        None => std::env::args_os().any(|argument| argument == "run"),
    }
}

fn start_log(is_server: bool) {
    let filter = tracing_subscriber::EnvFilter::try_new(config::log_filter(is_server))
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if config::is_log_json() {
        log.json().init();
    } else {
        log.with_ansi(message::is_terminal() && config::is_colour_wanted()).init();
    }
}
