//! `gantry executions wait`.

use std::time::Duration;

use clap::Args;

use super::{end, read_end};
use crate::cli::remote::{self, Failure};
use crate::client::wire::Execution;
use crate::client::{Client, ClientError, ExecutionEvent};
use crate::domain::quantities::{parse_duration, show_duration};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The execution's id
    id: String,

    /// Longest time to wait, such as 30s or 5m; exits with 125 when it is over,
    /// and the execution goes on [default: as long as it takes]
    #[arg(long, value_name = "TIME", value_parser = time)]
    timeout: Option<Duration>,

    /// Print the execution as JSON
    #[arg(long)]
    json: bool,
}

fn time(text: &str) -> Result<Duration, String> {
    parse_duration(text).map_err(|error| error.to_string())
}

pub(super) async fn main(client: &Client, arguments: &Arguments) -> Result<u8, Failure> {
    let ending = until_end(client, &arguments.id);
    let seen = match arguments.timeout {
        None => ending.await?,
        Some(time) => tokio::time::timeout(time, ending).await.map_err(|_| {
            let what = format!("it has not ended within {}", show_duration(time));
            Failure::new(what, "it goes on; wait again, or `gantry executions cancel` ends it")
        })??,
    };
    if arguments.json {
        let document = client.execution(&arguments.id).await?;
        remote::print_json(&document)?;
        return Ok(end::code(&document.read()?));
    }
    let execution = read_end(client, &arguments.id, seen).await?;
    end::report(&execution);
    Ok(end::code(&execution))
}

/// Waits for the end event and returns its execution.
async fn until_end(client: &Client, id: &str) -> Result<Execution, ClientError> {
    let mut events = client.follow(id).await?;
    loop {
        if let ExecutionEvent::End(execution) = events.next().await? {
            return Ok(*execution);
        }
    }
}
