//! `gantry executions logs`.

use clap::Args;

use crate::cli::remote::Failure;
use crate::cli::{message, streams};
use crate::client::wire::Execution;
use crate::client::{Client, ExecutionEvent};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The execution's id
    id: String,

    /// Follow it until it ends
    #[arg(short, long)]
    follow: bool,

    /// Only what it printed on stdout
    #[arg(long, conflicts_with = "stderr")]
    stdout: bool,

    /// Only what it printed on stderr
    #[arg(long)]
    stderr: bool,
}

pub(super) async fn main(client: &Client, arguments: &Arguments) -> Result<u8, Failure> {
    if arguments.follow {
        return follow(client, arguments).await;
    }
    let execution: Execution = client.execution(&arguments.id).await?.read()?;
    if !arguments.stdout {
        streams::err(execution.stderr_log.as_str().to_owned()).await;
    }
    if !arguments.stderr {
        streams::out(execution.stdout_log.as_str().to_owned()).await?;
    }
    if execution.ended().is_none() {
        message::note("it has not ended; -f follows it");
    }
    Ok(0)
}

async fn follow(client: &Client, arguments: &Arguments) -> Result<u8, Failure> {
    let mut events = client.follow(&arguments.id).await?;
    loop {
        match events.next().await? {
            ExecutionEvent::Stdout(text) if !arguments.stderr => streams::out(text).await?,
            ExecutionEvent::Stderr(text) if !arguments.stdout => streams::err(text).await,
            ExecutionEvent::End(_) => return Ok(0),
            _ => {}
        }
    }
}
