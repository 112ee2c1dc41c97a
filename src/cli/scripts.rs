//! `gantry scripts`: the scripts that a server runs.

mod change;
mod environment;
mod flags;
mod settings;
mod show;
mod test;
mod versions;

use clap::{Args, Subcommand};

use super::outcome::GANTRY_FAILED;
use super::remote::{self, Failure};
use super::{FAILED, stdout};
use crate::client::{Client, Fields};
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
    /// Lists scripts
    List(show::ListArguments),
    /// Shows one script
    Show(show::ShowArguments),
    /// Registers a file as a script
    Register(Box<change::RegisterArguments>),
    /// Changes a script: what is given, and nothing else
    Update(Box<change::UpdateArguments>),
    /// Lets a script be run
    Enable(Named),
    /// Lets a script not be run for the time being
    Disable(Named),
    /// Deactivates a script; it stays with its history
    Remove(Named),
    /// Runs a script now, with test input; exits with the script's code
    Test(test::TestArguments),
    /// Lists the versions of a script
    Versions(versions::ListArguments),
    /// Makes a version the current one
    Activate(versions::ActivateArguments),
    /// Prints what is run: the bytes of the current version, or of another
    Source(versions::SourceArguments),
}

#[derive(Debug, Args)]
struct Named {
    /// Its name or its id
    name: String,
}

pub(super) async fn main(arguments: Arguments) -> u8 {
    let failed = match &arguments.command {
        Command::Test(_) => GANTRY_FAILED,
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
        Command::Register(arguments) => change::register(client, &arguments).await,
        Command::Update(arguments) => change::update(client, &arguments).await,
        Command::Enable(script) => set_enabled(client, &script.name, true).await,
        Command::Disable(script) => set_enabled(client, &script.name, false).await,
        Command::Remove(script) => remove(client, &script.name).await,
        Command::Test(arguments) => test::test(client, &arguments).await,
        Command::Versions(arguments) => versions::list(client, &arguments).await,
        Command::Activate(arguments) => versions::activate(client, &arguments).await,
        Command::Source(arguments) => versions::source(client, &arguments).await,
    }
}

async fn set_enabled(client: &Client, script: &str, is_enabled: bool) -> Result<u8, Failure> {
    let mut fields = Fields::default();
    fields.set("is_enabled", &is_enabled)?;
    client.update_script(script, &fields).await?;
    let done = if is_enabled { "enabled" } else { "disabled" };
    stdout::line(&format!("{done} {}", sanitize(script)))?;
    Ok(0)
}

async fn remove(client: &Client, script: &str) -> Result<u8, Failure> {
    client.deactivate_script(script).await?;
    stdout::line(&format!("deactivated {}", sanitize(script)))?;
    Ok(0)
}
