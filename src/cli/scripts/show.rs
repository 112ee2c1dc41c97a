//! `gantry scripts list` and `show`.

use clap::Args;

use crate::cli::fields::{Lines, bytes};
use crate::cli::remote::{self, Failure};
use crate::cli::run::runtime;
use crate::cli::table;
use crate::client::wire::{Script, Shown};
use crate::client::{Client, Page, ScriptFilter};
use crate::domain::runtime::Runtime;

#[derive(Debug, Args)]
pub(super) struct ListArguments {
    /// Only those with this text in their name or description
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,

    /// Only those of this type
    #[arg(long = "type", value_name = "TYPE", value_parser = runtime)]
    script_type: Option<Runtime>,

    /// Those that are disabled or deactivated, too
    #[arg(long, conflicts_with_all = ["enabled", "disabled"])]
    all: bool,

    /// Only those that can be run; so it is unless something else is said
    #[arg(long, conflicts_with = "disabled")]
    enabled: bool,

    /// Only those that are disabled or deactivated
    #[arg(long)]
    disabled: bool,

    /// Most scripts that are listed
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: Option<u32>,

    /// Scripts before the first one
    #[arg(long, value_name = "N")]
    offset: Option<u64>,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct ShowArguments {
    /// Its name or its id
    name: String,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn list(client: &Client, arguments: ListArguments) -> Result<u8, Failure> {
    let filter = ScriptFilter {
        search: arguments.search,
        script_type: arguments.script_type.map(|kind| kind.name().to_owned()),
        enabled: (!arguments.all).then_some(!arguments.disabled),
    };
    let page = Page { limit: arguments.limit, offset: arguments.offset };
    let list = client.scripts(&filter, page).await?;
    if arguments.json {
        remote::print_json(&list.document)?;
        return Ok(0);
    }
    let scripts: Vec<Script> = list.document.read()?;
    let rows: Vec<_> = scripts.iter().map(as_row).collect();
    let header = ["ID", "NAME", "TYPE", "VERSION", "STATE", "ENVIRONMENT", "UPDATED"];
    table::print(header, &rows)?;
    remote::note_rest(&list, rows.len(), page);
    Ok(0)
}

fn as_row(script: &Script) -> [String; 7] {
    let text = |shown: &Shown| shown.as_str().to_owned();
    let environment = script.environment.as_ref().map_or("", |it| it.status.as_str());
    [
        text(&script.id),
        text(&script.name),
        text(&script.script_type),
        text(&script.version),
        state(script).to_owned(),
        environment.to_owned(),
        text(&script.updated_at),
    ]
}

fn state(script: &Script) -> &'static str {
    if script.is_enabled.is_true() { "enabled" } else { "disabled" }
}

pub(super) async fn show(client: &Client, arguments: &ShowArguments) -> Result<u8, Failure> {
    let document = client.script(&arguments.name).await?;
    if arguments.json {
        remote::print_json(&document)?;
    } else {
        lines(&document.read()?).print()?;
    }
    Ok(0)
}

fn lines(script: &Script) -> Lines {
    let mut lines = Lines::default();
    lines.add("name", &script.name).add("id", &script.id);
    lines.text("state", state(script).to_owned());
    lines.add("description", &script.description).add("type", &script.script_type);
    lines.add("version", &script.version).add("digest", &script.digest);
    lines.add("file", &script.file_path).add("working directory", &script.working_directory);
    lines.add("requirements", &script.requirements_hash);
    lines.add("requirements file", &script.requirements_path);
    lines.add("python", &script.python);
    if script.sources.is_true() {
        lines.text("packages without a wheel", "built from source".to_owned());
    }
    lines.add("warm-up", &script.warm_up);
    lines.add("system packages", &script.system_packages);
    if let Some(environment) = &script.environment {
        lines.add("environment", &environment.status);
        lines.add("image", &environment.image).add("its python", &environment.python);
        lines.add_whole("build error", &environment.error);
    }
    if let Some(pending) = &script.pending {
        lines.add("pending version", &pending.version);
        if let Some(environment) = &pending.environment {
            lines.add("its environment", &environment.status);
            lines.add_whole("its build error", &environment.error);
        }
    }
    lines.add("arguments", &script.args).add("output file", &script.output_file);
    lines.add("variables of requests", &script.env_allowed).add("executes its files", &script.exec);
    lines.add("timeout (s)", &script.timeout_secs);
    if let Some(limits) = &script.limits {
        lines.add("cpus", &limits.cpus).text("memory", bytes(&limits.memory_bytes));
        lines.add("processes", &limits.pids).text("files", bytes(&limits.scratch_bytes));
        lines.text("output", bytes(&limits.output_bytes));
    }
    lines.add("network", &script.network).add("mounts", &script.mounts);
    lines.add("at once", &script.max_concurrency).add("held ready", &script.warm);
    lines.add("preloaded", &script.preload).add("OCI runtime", &script.runtime);
    lines.add_whole("argument schema", &script.argument_schema);
    lines.add_whole("output schema", &script.output_schema);
    lines.add("created by", &script.created_by).add("created", &script.created_at);
    lines.add("updated", &script.updated_at);
    lines
}
