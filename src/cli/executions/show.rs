//! `gantry executions list` and `show`.

use clap::Args;

use super::confinement;
use crate::cli::fields::{Lines, milliseconds};
use crate::cli::remote::{self, Failure};
use crate::cli::table;
use crate::client::wire::{Execution, Shown};
use crate::client::{Client, ExecutionFilter, Page};

#[derive(Debug, Args)]
pub(super) struct ListArguments {
    /// Only those of this script, by name or id
    #[arg(long, value_name = "SCRIPT")]
    script: Option<String>,

    /// Only those with this status
    #[arg(long, value_name = "STATUS", value_parser = STATUSES)]
    status: Option<String>,

    /// Only those of this job of the pipeline
    #[arg(long = "job-id", alias = "job", value_name = "JOB_ID")]
    job_id: Option<String>,

    /// Most executions that are listed
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: Option<u32>,

    /// Executions before the first one
    #[arg(long, value_name = "N")]
    offset: Option<u64>,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

const STATUSES: [&str; 6] = ["pending", "running", "completed", "failed", "timeout", "cancelled"];

#[derive(Debug, Args)]
pub(super) struct ShowArguments {
    /// The execution's id
    id: String,

    /// Print JSON, with the logs
    #[arg(long)]
    json: bool,
}

pub(super) async fn list(client: &Client, arguments: ListArguments) -> Result<u8, Failure> {
    let filter = ExecutionFilter {
        script: arguments.script,
        status: arguments.status,
        job_id: arguments.job_id,
    };
    let page = Page { limit: arguments.limit, offset: arguments.offset };
    let list = client.executions(&filter, page).await?;
    if arguments.json {
        remote::print_json(&list.document)?;
        return Ok(0);
    }
    let executions: Vec<Execution> = list.document.read()?;
    let rows: Vec<_> = executions.iter().map(as_row).collect();
    table::print(["ID", "SCRIPT", "VERSION", "STATUS", "CODE", "TIME", "CREATED"], &rows)?;
    remote::note_rest(&list, rows.len(), page);
    Ok(0)
}

fn as_row(execution: &Execution) -> [String; 7] {
    let text = |shown: &Shown| shown.as_str().to_owned();
    [
        text(&execution.id),
        text(&execution.script_name),
        text(&execution.version),
        status(execution),
        text(&execution.exit_code),
        milliseconds(&execution.duration_ms),
        text(&execution.created_at),
    ]
}

/// The status, with the kind of failure where there was one.
fn status(execution: &Execution) -> String {
    match execution.error_kind.some() {
        Some(kind) => format!("{} ({kind})", execution.status.as_str()),
        None => execution.status.as_str().to_owned(),
    }
}

pub(super) async fn show(client: &Client, arguments: &ShowArguments) -> Result<u8, Failure> {
    let document = client.execution(&arguments.id).await?;
    if arguments.json {
        remote::print_json(&document)?;
    } else {
        lines(&document.read()?).print()?;
    }
    Ok(0)
}

fn lines(execution: &Execution) -> Lines {
    let mut lines = Lines::default();
    lines.add("id", &execution.id).add("script", &execution.script_name);
    lines.add("version", &execution.version).add("job", &execution.job_id);
    lines.add("triggered by", &execution.triggered_by);
    lines.add("status", &execution.status).add("error", &execution.error_kind);
    lines.add_whole("reason", &execution.error_message);
    lines.add("exit code", &execution.exit_code).add("signal", &execution.signal);
    lines.add_milliseconds("time", &execution.duration_ms);
    lines.add_milliseconds("in the queue", &execution.queue_ms);
    lines.add_milliseconds("overhead", &execution.overhead_ms);
    if let Some(usage) = &execution.usage {
        lines.add_milliseconds("CPU time", &usage.cpu_ms);
        lines.add_bytes("peak memory", &usage.peak_memory_bytes);
    }
    lines.add_bytes("stdout", &execution.stdout_bytes);
    lines.add_bytes("stderr", &execution.stderr_bytes);
    lines.add("output", &execution.output_data);
    if let Some(artifacts) = execution.artifacts.as_ref().filter(|all| !all.is_empty()) {
        lines.text("artifacts", artifacts.len().to_string());
    }
    if let Some(sandbox) = &execution.sandbox {
        lines.add("node", &sandbox.node).add("container", &sandbox.container_id);
        lines.add("warm", &sandbox.warm).add("preloaded", &sandbox.preloaded);
        lines.add_whole("not preloaded", &sandbox.preload_reason);
        if let Some(confinement) = &sandbox.confinement {
            confinement::add(&mut lines, confinement);
        }
    }
    lines.add("attempt", &execution.attempt).add("created", &execution.created_at);
    lines.add("started", &execution.started_at).add("completed", &execution.completed_at);
    lines
}
