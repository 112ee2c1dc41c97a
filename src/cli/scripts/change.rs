//! `gantry scripts register` and `update`.

use std::path::PathBuf;

use clap::Args;

use super::environment;
use super::flags::{ScriptFlags, Sent, changed_script, clearable, new_script};
use crate::cli::remote::{self, Failure};
use crate::cli::{message, stdout};
use crate::client::wire::{Pending, Script};
use crate::client::{Client, Document};
use crate::domain::sanitize::sanitize;

#[derive(Debug, Args)]
pub(super) struct RegisterArguments {
    /// The script: .py, a compiled program, or a shell script; or a folder with the files
    /// of one that has many. Its content is sent
    file: PathBuf,

    #[command(flatten)]
    flags: ScriptFlags,

    #[command(flatten)]
    after: After,
}

#[derive(Debug, Args)]
pub(super) struct UpdateArguments {
    /// The script's name or its id
    script: String,

    /// Its new content
    #[arg(required_if_eq("server_path", "true"))]
    file: Option<PathBuf>,

    #[command(flatten)]
    flags: ScriptFlags,

    /// Take this from it; may be repeated
    #[arg(long, value_name = "FIELD", value_parser = clearable())]
    clear: Vec<&'static str>,

    #[command(flatten)]
    after: After,
}

/// What is done when the server has it.
#[derive(Debug, Args)]
struct After {
    /// Wait until its environment is built, and show how that goes
    #[arg(long)]
    wait: bool,

    /// Print the script as JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn register(
    client: &Client,
    arguments: &RegisterArguments,
) -> Result<u8, Failure> {
    let Sent { fields, bundle } = new_script(&arguments.file, &arguments.flags)?;
    let document = match bundle {
        Some(bundle) => client.register_bundle(&fields, bundle).await?,
        None => client.register_script(&fields).await?,
    };
    finish(client, "registered", document, &arguments.after).await
}

pub(super) async fn update(client: &Client, arguments: &UpdateArguments) -> Result<u8, Failure> {
    let changed = changed_script(arguments.file.as_deref(), &arguments.flags, &arguments.clear);
    let Sent { fields, bundle } = changed?;
    let document = match bundle {
        Some(bundle) => client.update_bundle(&arguments.script, &fields, bundle).await?,
        None => client.update_script(&arguments.script, &fields).await?,
    };
    finish(client, "updated", document, &arguments.after).await
}

async fn finish(
    client: &Client,
    done: &str,
    mut document: Document,
    after: &After,
) -> Result<u8, Failure> {
    let script: Script = document.read()?;
    let shown = |field: &str| sanitize(script.shown(field).as_str());
    let (name, version) = (shown("name"), shown("version"));
    let pending = script.object::<Pending>("pending");
    let hint = match pending {
        Some(_) => "the version before goes on running: mend it with `gantry scripts update`",
        None => "the script is registered and can't run: mend it with `gantry scripts update`",
    };
    if !after.json {
        stdout::line(&format!("{done} {name}, version {version}"))?;
    }
    let environment = match pending {
        Some(pending) => {
            let next = sanitize(pending.version.as_str());
            message::note(&format!("version {next} runs as soon as its environment is ready"));
            pending.environment
        }
        None => script.object("environment"),
    };
    let mut built = Ok(());
    if let Some(environment) = environment {
        built = environment::report(client, &environment, after.wait, hint).await;
    }
    if after.json {
        if after.wait {
            document = client.script(script.shown("id").as_str()).await?;
        }
        remote::print_json(&document)?;
    }
    built.map(|()| 0)
}
