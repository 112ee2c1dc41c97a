//! `gantry scripts list` and `show`.

use clap::Args;

use super::settings::{self, FilterFlags};
use crate::cli::fields::Lines;
use crate::cli::remote::{self, Failure};
use crate::cli::table;
use crate::client::wire::{Environment, Pending, Script};
use crate::client::{Client, Page};

#[derive(Debug, Args)]
pub(super) struct ListArguments {
    #[command(flatten)]
    filter: FilterFlags,

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
    let page = Page { limit: arguments.limit, offset: arguments.offset };
    let list = client.scripts(arguments.filter.query(), page).await?;
    if arguments.json {
        remote::print_json(&list.document)?;
        return Ok(0);
    }
    let scripts: Vec<Script> = list.document.read()?;
    let rows: Vec<_> = scripts.iter().map(as_row).collect();
    let settings = settings::COLUMNS.map(|(title, _)| title);
    let header = [&BEFORE.map(|(title, _)| title)[..], &settings, &AFTER];
    table::print(header.concat(), &rows)?;
    remote::note_rest(&list, rows.len(), page);
    Ok(0)
}

/// Columns before those of the settings, with their fields.
const BEFORE: [(&str, &str); 4] =
    [("ID", "id"), ("NAME", "name"), ("TYPE", "script_type"), ("VERSION", "version")];

/// Columns after them.
const AFTER: [&str; 2] = ["ENVIRONMENT", "UPDATED"];

fn as_row(script: &Script) -> Vec<String> {
    let text = |field: &str| script.shown(field).as_str().to_owned();
    let environment = script.object::<Environment>("environment").unwrap_or_default();
    let before = BEFORE.into_iter().map(|(_, field)| text(field));
    let settings = settings::COLUMNS.into_iter().map(|(_, cell)| cell(script));
    let after = [environment.status.as_str().to_owned(), text("updated_at")];
    before.chain(settings).chain(after).collect()
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
    lines.fields(script, &[("name", "name"), ("id", "id")]);
    lines.text("state", settings::state(script));
    lines.fields(script, &OF_THE_CODE);
    if script.shown("sources").is_true() {
        lines.text("packages without a wheel", "built from source".to_owned());
    }
    lines.fields(script, &[("warm-up", "warm_up"), ("system packages", "system_packages")]);
    if let Some(environment) = script.object::<Environment>("environment") {
        lines.add("environment", &environment.status);
        lines.add("image", &environment.image).add("its python", &environment.python);
        lines.add_whole("build error", &environment.error);
    }
    if let Some(pending) = script.object::<Pending>("pending") {
        lines.add("pending version", &pending.version);
        if let Some(environment) = &pending.environment {
            lines.add("its environment", &environment.status);
            lines.add_whole("its build error", &environment.error);
        }
    }
    lines.fields(script, &OF_THE_RUN);
    settings::add(&mut lines, script);
    lines.add_whole("argument schema", &script.shown("argument_schema"));
    lines.add_whole("output schema", &script.shown("output_schema"));
    lines.fields(script, &OF_THE_ENTRY);
    lines
}

/// Lines about a script's code, with their fields.
const OF_THE_CODE: [(&str, &str); 11] = [
    ("description", "description"),
    ("type", "script_type"),
    ("version", "version"),
    ("digest", "digest"),
    ("bundle", "bundle"),
    ("entry", "entry"),
    ("file", "file_path"),
    ("working directory", "working_directory"),
    ("requirements", "requirements_hash"),
    ("requirements file", "requirements_path"),
    ("python", "python"),
];

/// Lines about its runs.
const OF_THE_RUN: [(&str, &str); 10] = [
    ("arguments", "args"),
    ("output file", "output_file"),
    ("outputs", "outputs"),
    ("variables of requests", "env_allowed"),
    ("executes its files", "exec"),
    ("network", "network"),
    ("mounts", "mounts"),
    ("owner", "owner"),
    ("preloaded", "preload"),
    ("OCI runtime", "runtime"),
];

/// Lines about its entry in the registry.
const OF_THE_ENTRY: [(&str, &str); 3] =
    [("created by", "created_by"), ("created", "created_at"), ("updated", "updated_at")];
