//! `gantry images`: what sandboxes are made of.

use std::io;
use std::time::Duration;

use clap::{Args, Subcommand};
use futures::future::try_join_all;
use serde_json::json;

use super::progress::Progress;
use super::signals::Interrupts;
use super::{FAILED, message, removal, stdout, table};
use crate::config::Settings;
use crate::domain::quantities::{parse_duration, show_bytes};
use crate::domain::script_type::ScriptType;
use crate::engine::docker::Image;
use crate::images::{ImageError, ImageState, Listed};
use crate::sandbox::Cancel;
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
    match done {
        Ok(code) => code,
        Err(Problem::Image(error)) => {
            message::error(&error.to_string(), error.hint().as_deref());
            FAILED
        }
        Err(Problem::Stdout(error)) => stdout::unprinted(&error, FAILED),
    }
}

/// Errors that end a command.
enum Problem {
    Image(ImageError),
    Stdout(io::Error),
}

impl From<ImageError> for Problem {
    fn from(error: ImageError) -> Self {
        Self::Image(error)
    }
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        Self::Stdout(error)
    }
}

async fn build(services: &Services) -> Result<u8, Problem> {
    let interrupts = Interrupts::listen();
    let progress = Progress::always();
    let built = tokio::select! {
        built = build_all(services, &progress, &interrupts.cancel) => built,
        // Wherever they are, waiting for another's build included.
        () = interrupts.cancel.cancelled() => Err(ImageError::Cancelled),
    };
    progress.clear();
    removal::finish(&services.remover, &interrupts, "a build's container").await;
    for (script_type, image) in built? {
        let tag = services.library.type_tag(script_type);
        stdout::line(&format!("{script_type}: {tag} ({})", show_bytes(image.bytes)))?;
    }
    Ok(0)
}

async fn build_all(
    services: &Services,
    progress: &Progress,
    cancel: &Cancel,
) -> Result<Vec<(ScriptType, Image)>, ImageError> {
    let show = |line: &str| progress.show(line);
    let builds =
        ScriptType::ALL.map(|script_type| {
            let show = &show;
            async move {
                Ok((script_type, services.library.type_image(script_type, show, cancel).await?))
            }
        });
    try_join_all(builds).await
}

async fn list(services: &Services, arguments: &ListArguments) -> Result<u8, Problem> {
    let listed = services.library.list().await?;
    if arguments.json {
        let all: Vec<_> = listed.iter().map(as_json).collect();
        stdout::line(&format!("{:#}", json!(all)))?;
    } else {
        let rows: Vec<_> = listed.iter().map(as_row).collect();
        table::print(["IMAGE", "FOR", "STATE", "SIZE", "PACKAGES"], &rows)?;
    }
    Ok(0)
}

fn as_json(listed: &Listed) -> serde_json::Value {
    json!({
        "tag": listed.tag,
        "id": listed.image.id,
        "role": listed.role,
        "current": listed.standing == ImageState::Current,
        "bytes": listed.image.bytes,
        "created": listed.image.created,
        "packages": listed.packages(),
    })
}

fn as_row(listed: &Listed) -> [String; 5] {
    let standing = match listed.standing {
        ImageState::Current => "current",
        ImageState::Superseded => "superseded",
    };
    [
        listed.tag.clone(),
        listed.role.clone(),
        standing.to_owned(),
        show_bytes(listed.image.bytes),
        listed.packages().join(" "),
    ]
}

async fn prune(services: &Services, arguments: &PruneArguments) -> Result<u8, Problem> {
    let mut code = 0;
    for prunable in services.library.prunable(arguments.older_than).await? {
        let tag = &prunable.listed.tag;
        let line = format!("{tag} ({})", prunable.reason);
        if arguments.dry_run {
            stdout::line(&format!("would remove {line}"))?;
            continue;
        }
        match services.library.prune(&prunable).await {
            Ok(()) => stdout::line(&format!("removed {line}"))?,
            // One that is in use must not keep the others.
            Err(error) => {
                message::error(&format!("{tag}: {error}"), error.hint().as_deref());
                code = FAILED;
            }
        }
    }
    Ok(code)
}
