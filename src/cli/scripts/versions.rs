//! `gantry scripts versions`, `activate` and `source`.

use std::io::{self, IsTerminal};

use clap::Args;

use crate::cli::remote::{self, Failure};
use crate::cli::{stdout, streams, table};
use crate::client::wire::{Script, Shown, Version};
use crate::client::{Client, Page};
use crate::domain::sanitize::sanitize;

/// Characters of a digest that tell versions apart for people.
const DIGEST_CHARS: usize = 12;

#[derive(Debug, Args)]
pub(super) struct ListArguments {
    /// The script's name or its id
    name: String,

    /// Most versions that are listed
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: Option<u32>,

    /// Versions before the first one
    #[arg(long, value_name = "N")]
    offset: Option<u64>,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct ActivateArguments {
    /// The script's name or its id
    name: String,

    /// The version's number
    #[arg(value_name = "VERSION")]
    number: u64,

    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[command(disable_version_flag = true)]
pub(super) struct SourceArguments {
    /// The script's name or its id
    name: String,

    /// The version's number [default: the current one]
    #[arg(long = "version", value_name = "VERSION")]
    number: Option<u64>,

    /// All files of a bundle, as a tar, instead of the one that is run
    #[arg(long)]
    bundle: bool,
}

pub(super) async fn list(client: &Client, arguments: &ListArguments) -> Result<u8, Failure> {
    let page = Page { limit: arguments.limit, offset: arguments.offset };
    let list = client.versions(&arguments.name, page).await?;
    if arguments.json {
        remote::print_json(&list.document)?;
        return Ok(0);
    }
    let versions: Vec<Version> = list.document.read()?;
    let rows: Vec<_> = versions.iter().map(as_row).collect();
    table::print(["VERSION", "CURRENT", "DIGEST", "CREATED", "BY"], &rows)?;
    remote::note_rest(&list, rows.len(), page);
    Ok(0)
}

fn as_row(version: &Version) -> [String; 5] {
    let text = |shown: &Shown| shown.as_str().to_owned();
    let current = if version.is_current.is_true() { "current" } else { "" };
    let digest = version.digest.as_str().chars().take(DIGEST_CHARS).collect();
    let (created_at, created_by) = (text(&version.created_at), text(&version.created_by));
    [text(&version.version), current.to_owned(), digest, created_at, created_by]
}

pub(super) async fn activate(
    client: &Client,
    arguments: &ActivateArguments,
) -> Result<u8, Failure> {
    let version = arguments.number.to_string();
    let document = client.activate(&arguments.name, &version).await?;
    if arguments.json {
        remote::print_json(&document)?;
    } else {
        let name = sanitize(&arguments.name);
        stdout::line(&format!("version {version} of {name} is the current one"))?;
    }
    Ok(0)
}

pub(super) async fn source(client: &Client, arguments: &SourceArguments) -> Result<u8, Failure> {
    let version = match arguments.number {
        Some(version) => version.to_string(),
        None => {
            let script: Script = client.script(&arguments.name).await?.read()?;
            script.shown("version").as_str().to_owned()
        }
    };
    let mut download = match arguments.bundle {
        true => client.bundle(&arguments.name, &version).await?,
        false => client.source(&arguments.name, &version).await?,
    };
    let mut bytes = Vec::new();
    let is_terminal = io::stdout().is_terminal();
    while let Some(piece) = download.next().await? {
        match is_terminal {
            true => bytes.extend_from_slice(&piece),
            false => stdout::write(&piece)?,
        }
    }
    match String::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => streams::out(text).await?,
        _ => {
            let hint = "send it to a file: gantry scripts source … > FILE";
            return Err(Failure::new("it is a program, and no text for a terminal", hint));
        }
    }
    Ok(0)
}
