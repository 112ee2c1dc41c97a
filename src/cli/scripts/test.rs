//! `gantry scripts test`.

use clap::Args;

use super::flags::environment;
use crate::cli::outcome::{self, GANTRY_FAILED};
use crate::cli::remote::{self, Failure};
use crate::cli::run::file;
use crate::cli::{message, streams};
use crate::client::wire::{Execution, TestRun};
use crate::client::{Client, Fields};
use crate::domain::sanitize::sanitize;

#[derive(Debug, Args)]
pub(super) struct TestArguments {
    /// The script's name or its id
    name: String,

    /// What it reads from stdin: JSON, @FILE, or - for this command's stdin
    #[arg(long, value_name = "JSON|@FILE|-", default_value = "{}")]
    input: String,

    /// An argument beside its own; may be repeated
    #[arg(long = "arg", value_name = "ARG", allow_hyphen_values = true)]
    args: Vec<String>,

    /// An environment variable beside its own; may be repeated
    #[arg(long = "env", value_name = "NAME=VALUE", allow_hyphen_values = true)]
    env: Vec<String>,

    /// A file that it finds below /work/in under this name: sha256:HEX, tree:sha256:HEX
    /// or execution:ID/PATH; may be repeated
    #[arg(long = "file", value_name = "NAME=REF")]
    files: Vec<String>,

    /// Print the whole answer as JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn test(client: &Client, arguments: &TestArguments) -> Result<u8, Failure> {
    let mut fields = Fields::default();
    fields.set_json("test_data", file::read_input(&arguments.input).await?.as_str())?;
    fields.set_list("args", &arguments.args)?;
    if !arguments.env.is_empty() {
        fields.set("env", &environment(&arguments.env)?)?;
    }
    if !arguments.files.is_empty() {
        fields.set("files", &file::by_name("--file", &arguments.files)?)?;
    }
    let document = client.test_script(&arguments.name, &fields).await?;
    // What both have in common has the same names.
    let (run, execution): (TestRun, Execution) = (document.read()?, document.read()?);
    if arguments.json {
        remote::print_json(&document)?;
    } else {
        streams::err(run.stderr.as_str().to_owned()).await;
        streams::out(run.stdout.as_str().to_owned()).await?;
    }
    let Some(status) = execution.ended() else {
        let status = sanitize(execution.status.as_str());
        let id = sanitize(run.execution_id.as_str());
        message::error(&format!("execution {id} is {status}, and has not ended"), None);
        return Ok(GANTRY_FAILED);
    };
    let (code, signal) = (small(execution.exit_code.number()), small(execution.signal.number()));
    if execution.status.as_str() != "completed" && !code.is_some_and(outcome::is_own_word) {
        let reason = execution.error_message.some().unwrap_or(execution.status.as_str());
        message::error(reason, None);
    }
    Ok(outcome::exit_code(status, code, signal))
}

fn small(number: Option<i64>) -> Option<i32> {
    number.and_then(|number| i32::try_from(number).ok())
}
