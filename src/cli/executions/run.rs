//! `gantry executions run`: a script of the server, as if it ran here.

use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::{end, read_end};
use crate::cli::outcome::INTERRUPTED;
use crate::cli::progress::Progress;
use crate::cli::remote::{self, Failure};
use crate::cli::run::{file, timeout, variables};
use crate::cli::signals::Interrupts;
use crate::cli::{message, stdout, streams};
use crate::client::wire::Execution;
use crate::client::{Client, ClientError, ExecutionEvent, Fields};
use crate::domain::keep::Keep;
use crate::domain::limits::Timeout;
use crate::domain::sanitize::{escaped, sanitize};

/// Longest time that a cancel request to the server may take.
const CANCEL_WITHIN: Duration = Duration::from_secs(10);

#[derive(Debug, Args)]
#[command(disable_version_flag = true)]
pub(super) struct Arguments {
    /// The script's name or its id
    script: String,

    /// Another version than the current one
    #[arg(long = "version", value_name = "VERSION")]
    number: Option<u64>,

    /// What it reads from stdin: JSON, @FILE, or - for this command's stdin
    #[arg(long, value_name = "JSON|@FILE|-")]
    input: Option<String>,

    /// An argument beside its own; may be repeated
    #[arg(long = "arg", value_name = "ARG", allow_hyphen_values = true)]
    args: Vec<String>,

    /// An environment variable beside its own; may be repeated
    // Not parsed by clap, which shows the value in its error: it may be a secret.
    #[arg(long = "env", value_name = "NAME=VALUE", allow_hyphen_values = true)]
    env: Vec<String>,

    /// The pipeline's name for what this belongs to
    #[arg(long, value_name = "ID")]
    job_id: Option<String>,

    /// Higher ones are run before lower ones
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    priority: Option<i32>,

    /// Time that it may take; the script's own limit holds, too
    #[arg(long, value_name = "TIME", value_parser = timeout)]
    timeout: Option<Timeout>,

    /// Whoever submits with the same key gets the same execution
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,

    /// A file that it finds below /work/in under this name: sha256:HEX, tree:sha256:HEX
    /// or execution:ID/PATH; may be repeated
    #[arg(long = "file", value_name = "NAME=REF")]
    files: Vec<String>,

    /// Time for which the files that it leaves are kept, such as 7d; `none`, or `job`
    #[arg(long, value_name = "TIME")]
    keep: Option<Keep>,

    /// Print the execution's id and don't wait for its end
    #[arg(long)]
    detach: bool,

    /// Print the whole execution as JSON instead of the script's stdout
    #[arg(long)]
    json: bool,
}

pub(super) async fn main(client: &Client, arguments: &Arguments) -> Result<u8, Failure> {
    let fields = fields(arguments).await?;
    let interrupts = Interrupts::listen();
    let document = tokio::select! {
        document = client.submit(&fields, arguments.idempotency_key.as_deref()) => document?,
        () = interrupts.cancel.cancelled() => {
            message::note("it may have been submitted: `gantry executions list` shows it");
            return Ok(INTERRUPTED);
        }
    };
    let execution: Execution = document.read()?;
    let id = execution.id.as_str();
    if arguments.detach {
        match arguments.json {
            true => remote::print_json(&document)?,
            false => stdout::line(&escaped(id))?,
        }
        return Ok(0);
    }
    let seen = tokio::select! {
        seen = follow(client, id, arguments.json) => seen,
        () = cancel(client, id, &interrupts) => return Ok(INTERRUPTED),
    };
    if matches!(seen, Err(Failure::Stdout(_))) {
        // The script's output has no reader, as in `gantry run`.
        let _ = tokio::time::timeout(CANCEL_WITHIN, client.cancel(id)).await;
    }
    let seen = seen?;
    finish(client, id, seen, arguments.json).await
}

async fn fields(arguments: &Arguments) -> Result<Fields, Failure> {
    let mut fields = Fields::default();
    fields.set("script", &arguments.script)?;
    fields.set_some("version", arguments.number.as_ref())?;
    if let Some(input) = &arguments.input {
        fields.set_json("input", file::read_input(input).await?.as_str())?;
    }
    fields.set_list("args", &arguments.args)?;
    if !arguments.env.is_empty() {
        let variables = variables(&arguments.env)?;
        let env = variables.iter().map(|it| (it.name().to_owned(), Value::from(it.value())));
        fields.set("env", &env.collect::<serde_json::Map<_, _>>())?;
    }
    fields.set_some("job_id", arguments.job_id.as_ref())?;
    fields.set_some("priority", arguments.priority.as_ref())?;
    fields.set_some("timeout_secs", arguments.timeout.as_ref())?;
    if !arguments.files.is_empty() {
        fields.set("files", &file::by_name("--file", &arguments.files)?)?;
    }
    fields.set_some("keep", arguments.keep.as_ref())?;
    Ok(fields)
}

/// Prints the script's output until it ends; returns the execution of the last event.
async fn follow(client: &Client, id: &str, json: bool) -> Result<Execution, Failure> {
    let progress = Progress::for_terminal();
    let lost = |error: ClientError| -> Failure {
        let id = sanitize(id);
        message::note(&format!("execution {id} may go on: `gantry executions wait {id}`"));
        error.into()
    };
    let mut events = client.follow(id).await.map_err(lost)?;
    loop {
        match events.next().await.map_err(lost)? {
            ExecutionEvent::Status(status) if status == "pending" => {
                progress.show("waiting for its turn");
            }
            ExecutionEvent::Status(_) => progress.clear(),
            ExecutionEvent::Stderr(text) => {
                progress.clear();
                streams::err(text).await;
            }
            ExecutionEvent::Stdout(text) if !json => {
                progress.clear();
                streams::out(text).await?;
            }
            ExecutionEvent::Stdout(_) => {}
            ExecutionEvent::End(execution) => {
                progress.clear();
                return Ok(*execution);
            }
        }
    }
}

/// Cancels the execution at the first signal and goes on following it; ends at
/// the second one.
async fn cancel(client: &Client, id: &str, interrupts: &Interrupts) {
    let cancelling = async {
        interrupts.cancel.cancelled().await;
        match tokio::time::timeout(CANCEL_WITHIN, client.cancel(id)).await {
            // It has ended by itself: the follower will say how.
            Ok(Err(error)) if error.status() == Some(409) => {}
            Ok(Ok(_)) => {}
            Ok(Err(error)) => message::error(&format!("not cancelled: {error}"), None),
            Err(_) => message::error("not cancelled: the server does not answer", None),
        }
        interrupts.second().await;
    };
    tokio::select! {
        () = cancelling => {}
        () = interrupts.second() => {}
    }
    let id = sanitize(id);
    message::note(&format!("execution {id} may go on: `gantry executions wait {id}`"));
}

async fn finish(client: &Client, id: &str, seen: Execution, json: bool) -> Result<u8, Failure> {
    if json {
        let document = client.execution(id).await?;
        let execution = document.read()?;
        end::report(&execution);
        remote::print_json(&document)?;
        return Ok(end::code(&execution));
    }
    let execution = read_end(client, id, seen).await?;
    end::report(&execution);
    end::note_artifacts(&execution);
    Ok(end::code(&execution))
}
