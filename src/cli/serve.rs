//! `gantry serve`: the API and a worker in one process.

use clap::Args;

use super::signals::Interrupts;
use super::{FAILED, message, stdout};
use crate::config::{ServeSettings, Settings};
use crate::private_files;
use crate::server::{Server, ServerError};

#[derive(Debug, Args)]
#[command(after_help = AFTER)]
pub(super) struct Arguments {
    #[command(flatten)]
    serve: ServeSettings,
}

const AFTER: &str = "\
From the environment alone:
  GANTRY_ADMIN_TOKEN  Token of the first admin, at least 16 characters. A weak one
                      is refused or warned of. Without it the first start makes a
                      token and prints it once
  GANTRY_LOG          Log filter, such as warn or gantry=debug [default: info]
  GANTRY_LOG_FORMAT   json writes each line of the log as a JSON object";

pub(super) async fn main(arguments: Arguments, settings: &Settings) -> u8 {
    // Before anything is made: databases and files of libraries count, too.
    private_files::restrict_umask();
    let interrupts = Interrupts::listen();
    match serve(&arguments, settings, &interrupts).await {
        Ok(code) => code,
        Err(error) => {
            message::error(&error.to_string(), error.hint().as_deref());
            FAILED
        }
    }
}

async fn serve(
    arguments: &Arguments,
    settings: &Settings,
    interrupts: &Interrupts,
) -> Result<u8, ServerError> {
    let server = Server::open(settings, &arguments.serve).await?;
    let mut lines = vec![format!("listening on http://{}", server.address())];
    if let Some(token) = server.first_token() {
        message::note("this token is shown once; keep it");
        lines.insert(0, format!("admin token: {token}"));
    }
    for line in lines {
        // A server works for others than those who read its stdout.
        if let Err(error) = stdout::line(&line) {
            message::note(&format!("stdout: {error}"));
        }
    }
    tokio::select! {
        () = server.run(interrupts.cancel.clone()) => Ok(0),
        () = interrupts.second() => {
            message::note("stopped at once; the next start ends what was running");
            Ok(FAILED)
        }
    }
}
