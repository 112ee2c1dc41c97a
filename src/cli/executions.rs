//! `gantry executions`: what a server runs, has run, and is to run.

mod artifacts;
mod confinement;
mod end;
mod logs;
mod run;
mod show;
mod wait;

use clap::{Args, Subcommand};

use super::outcome::GANTRY_FAILED;
use super::remote::{self, Failure};
use super::{FAILED, message, stdout};
use crate::client::wire::Execution;
use crate::client::{Client, ClientError};
use crate::config::ClientSettings;
use crate::domain::sanitize::sanitize;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    settings: ClientSettings,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Lists executions, newest first
    List(show::ListArguments),
    /// Shows all of one execution but its logs
    Show(show::ShowArguments),
    /// Prints what the script has printed: its stdout on stdout, its stderr on
    /// stderr
    Logs(logs::Arguments),
    /// Waits for the end and exits as `gantry run` would have
    Wait(wait::Arguments),
    /// Cancels an execution
    Cancel(CancelArguments),
    /// Runs a script on the server and exits with its code; Ctrl-C cancels it
    Run(Box<run::Arguments>),
    /// Lists the files that the script left, or takes them
    Artifacts(artifacts::Arguments),
}

#[derive(Debug, Args)]
struct CancelArguments {
    /// The execution's id
    id: String,

    /// Print the execution as JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn main(arguments: Arguments) -> u8 {
    let failed = match &arguments.command {
        Command::Run(_) | Command::Wait(_) => GANTRY_FAILED,
        _ => FAILED,
    };
    let done = match remote::connect(&arguments.settings) {
        Ok(client) => dispatch(&client, arguments.command).await,
        Err(failure) => Err(failure),
    };
    remote::code(done, failed)
}

async fn dispatch(client: &Client, command: Command) -> Result<u8, Failure> {
    match command {
        Command::List(arguments) => show::list(client, arguments).await,
        Command::Show(arguments) => show::show(client, &arguments).await,
        Command::Logs(arguments) => logs::main(client, &arguments).await,
        Command::Wait(arguments) => wait::main(client, &arguments).await,
        Command::Cancel(arguments) => cancel(client, &arguments).await,
        Command::Run(arguments) => run::main(client, &arguments).await,
        Command::Artifacts(arguments) => artifacts::main(client, &arguments).await,
    }
}

async fn cancel(client: &Client, arguments: &CancelArguments) -> Result<u8, Failure> {
    let document = client.cancel(&arguments.id).await?;
    if arguments.json {
        remote::print_json(&document)?;
        return Ok(0);
    }
    let execution: Execution = document.read()?;
    let id = sanitize(&arguments.id);
    match execution.status.as_str() {
        "cancelled" => stdout::line(&format!("cancelled {id}"))?,
        status => {
            stdout::line(&format!("{id} is {}", sanitize(status)))?;
            message::note("its script is being ended; `gantry executions wait` waits for that");
        }
    }
    Ok(0)
}

/// Reads all of an execution. What is too large to be held is no reason to lose
/// what the end was.
async fn read_end(client: &Client, id: &str, seen: Execution) -> Result<Execution, Failure> {
    match client.execution(id).await {
        Ok(document) => Ok(document.read()?),
        Err(ClientError::TooLarge(_)) => Ok(seen),
        Err(error) => Err(error.into()),
    }
}
