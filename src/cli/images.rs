//! `gantry images`: what sandboxes are made of.

use std::time::Duration;

use clap::{Args, Subcommand};
use futures::future::try_join_all;
use serde_json::json;

use super::progress::Progress;
use super::signals::Interrupts;
use super::{FAILED, message, table};
use crate::config::Settings;
use crate::domain::quantities::{parse_duration, show_bytes};
use crate::domain::runtime::Runtime;
use crate::images::{ImageError, Listed, Standing};
use crate::services::Services;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Builds the images of all runtimes that are not there yet
    Build,
    /// Lists the images of Gantry
    List(ListArguments),
    /// Removes images that nobody needs any more
    Prune(PruneArguments),
}

#[derive(Debug, Args)]
pub(super) struct ListArguments {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct PruneArguments {
    /// Remove environments that have not been used for this time, too
    #[arg(long, value_name = "TIME", default_value = "30d", value_parser = age)]
    older_than: Duration,

    /// Say what would be removed and remove nothing
    #[arg(long)]
    dry_run: bool,
}

fn age(text: &str) -> Result<Duration, String> {
    parse_duration(text).map_err(|error| error.to_string())
}

pub(super) async fn main(command: Command, settings: &Settings) -> u8 {
    let services = match Services::new(settings) {
        Ok(services) => services,
        Err(error) => {
            message::error(&error.to_string(), error.hint().as_deref());
            return FAILED;
        }
    };
    let done = match command {
        Command::Build => build(&services).await,
        Command::List(arguments) => list(&services, &arguments).await,
        Command::Prune(arguments) => prune(&services, &arguments).await,
    };
    services.remover.drain().await;
    match done {
        Ok(()) => 0,
        Err(error) => {
            message::error(&error.to_string(), error.hint().as_deref());
            FAILED
        }
    }
}

async fn build(services: &Services) -> Result<(), ImageError> {
    let interrupts = Interrupts::listen();
    let progress = Progress::always();
    let show = |line: &str| progress.show(line);
    let builds = Runtime::ALL.map(|runtime| {
        let (show, interrupts) = (&show, &interrupts);
        async move {
            let image = services.library.runtime(runtime, show, &interrupts.cancel).await?;
            Ok((runtime, image))
        }
    });
    let built: Result<Vec<_>, ImageError> = try_join_all(builds).await;
    progress.clear();
    for (runtime, image) in built? {
        let tag = services.library.runtime_tag(runtime);
        println!("{runtime}: {tag} ({})", show_bytes(image.bytes));
    }
    Ok(())
}

async fn list(services: &Services, arguments: &ListArguments) -> Result<(), ImageError> {
    let listed = services.library.list().await?;
    let printed = if arguments.json {
        let all: Vec<_> = listed.iter().map(as_json).collect();
        println!("{:#}", json!(all));
        Ok(())
    } else {
        let rows: Vec<_> = listed.iter().map(as_row).collect();
        table::print(["IMAGE", "FOR", "STATE", "SIZE", "PACKAGES"], &rows)
    };
    printed.map_err(|source| ImageError::Io { what: "stdout".to_owned(), source })
}

fn as_json(listed: &Listed) -> serde_json::Value {
    json!({
        "tag": listed.tag,
        "id": listed.image.id,
        "role": listed.role,
        "current": listed.standing == Standing::Current,
        "bytes": listed.image.bytes,
        "created": listed.image.created,
        "packages": listed.packages(),
    })
}

fn as_row(listed: &Listed) -> [String; 5] {
    let standing = match listed.standing {
        Standing::Current => "current",
        Standing::Superseded => "superseded",
    };
    [
        listed.tag.clone(),
        listed.role.clone(),
        standing.to_owned(),
        show_bytes(listed.image.bytes),
        listed.packages().join(" "),
    ]
}

async fn prune(services: &Services, arguments: &PruneArguments) -> Result<(), ImageError> {
    let mut failure = None;
    for prunable in services.library.prunable(arguments.older_than).await? {
        let line = format!("{} ({})", prunable.listed.tag, prunable.reason);
        if arguments.dry_run {
            println!("would remove {line}");
            continue;
        }
        match services.library.prune(&prunable).await {
            Ok(()) => println!("removed {line}"),
            // One that is in use must not keep the others.
            Err(error) => failure = Some(error),
        }
    }
    failure.map_or(Ok(()), Err)
}
