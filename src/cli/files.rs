//! `gantry files`: files of a server, by their content.

mod get;
mod put;

use clap::{Args, Subcommand};

use super::fields::bytes;
use super::remote::{self, Failure};
use super::run::file::Problem;
use super::{FAILED, stdout, table};
use crate::client::wire::Shown;
use crate::client::{Client, Page};
use crate::config::ClientSettings;
use crate::domain::file::{DigestFault, FileDigest};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    settings: ClientSettings,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Sends a file or a folder, unless it is there already, and prints its digest
    Put(put::Arguments),
    /// Fetches a file or a folder, and checks its digest
    Get(get::Arguments),
    /// Lists the files that are kept for the token, the latest first
    List(ListArguments),
    /// Lets go of files: they go when nobody else holds them
    Remove(RemoveArguments),
}

#[derive(Debug, Args)]
struct ListArguments {
    /// Most files that are listed
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: Option<u32>,

    /// Files before the first one
    #[arg(long, value_name = "N")]
    offset: Option<u64>,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct RemoveArguments {
    /// Digests, such as sha256:2cf24d…
    #[arg(required = true, value_name = "DIGEST")]
    digests: Vec<String>,
}

/// A row of the list.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
struct Row {
    digest: Shown,
    bytes: Shown,
    name: Shown,
    is_tree: Shown,
    expires_at: Shown,
}

pub(super) async fn main(arguments: Arguments) -> u8 {
    let done = match remote::connect(&arguments.settings) {
        Ok(client) => dispatch(&client, arguments.command).await,
        Err(failure) => Err(failure),
    };
    remote::code(done, FAILED)
}

async fn dispatch(client: &Client, command: Command) -> Result<u8, Failure> {
    match command {
        Command::Put(arguments) => put::main(client, &arguments).await,
        Command::Get(arguments) => get::main(client, &arguments).await,
        Command::List(arguments) => list(client, &arguments).await,
        Command::Remove(arguments) => remove(client, &arguments).await,
    }
}

async fn list(client: &Client, arguments: &ListArguments) -> Result<u8, Failure> {
    let page = Page { limit: arguments.limit, offset: arguments.offset };
    let list = client.files(page).await?;
    if arguments.json {
        remote::print_json(&list.document)?;
        return Ok(0);
    }
    let files: Vec<Row> = list.document.read()?;
    let rows: Vec<_> = files.iter().map(as_row).collect();
    table::print(["DIGEST", "SIZE", "NAME", "KEPT UNTIL"], &rows)?;
    remote::note_rest(&list, rows.len(), page);
    Ok(0)
}

fn as_row(file: &Row) -> [String; 4] {
    let prefix = if file.is_tree.is_true() { "tree:" } else { "" };
    let until = file.expires_at.some().unwrap_or("for ever").to_owned();
    let digest = format!("{prefix}{}", file.digest.as_str());
    [digest, bytes(&file.bytes), file.name.as_str().to_owned(), until]
}

async fn remove(client: &Client, arguments: &RemoveArguments) -> Result<u8, Failure> {
    let digests: Result<Vec<_>, _> = arguments.digests.iter().map(|it| named(it)).collect();
    for (digest, _) in digests? {
        client.release_file(digest).await?;
        stdout::line(&format!("no longer kept: {digest}"))?;
    }
    Ok(0)
}

/// Reads `sha256:…` or `tree:sha256:…`; true for a folder.
fn named(text: &str) -> Result<(FileDigest, bool), Problem> {
    let (digest, is_tree) = match text.strip_prefix("tree:") {
        Some(rest) => (rest, true),
        None => (text, false),
    };
    let digest = digest.parse().map_err(|error: DigestFault| {
        Problem::new(&error, Some("`gantry files list` shows the digests".to_owned()))
    })?;
    Ok((digest, is_tree))
}
