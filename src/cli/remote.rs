//! Parts that all commands with a server share: finding it, showing its answers, and
//! reporting its errors.

use std::io;

use super::run::file::Problem;
use super::{json, message, stdout};
use crate::client::{Client, ClientError, Document, List, Page, ServerUrl, Token};
use crate::config::ClientSettings;

/// Errors that end a command.
#[derive(Debug)]
pub(super) enum Failure {
    /// The server, or the way to it.
    Client(ClientError),
    /// An error in a value of the command line.
    Problem(Problem),
    /// Stdout can't be written to.
    Stdout(io::Error),
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self::Client(error)
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Stdout(error)
    }
}

impl Failure {
    /// Something is wrong, and this is to be done.
    pub(super) fn new(what: impl Into<String>, hint: &str) -> Self {
        Self::Problem(Problem { what: what.into(), hint: Some(hint.to_owned()) })
    }

    /// Prints the error; returns the exit code, which is `failed` mostly.
    pub(super) fn say(&self, failed: u8) -> u8 {
        match self {
            Self::Client(error) => message::error(&error.to_string(), error.hint().as_deref()),
            Self::Problem(problem) => message::error(&problem.what, problem.hint.as_deref()),
            Self::Stdout(error) => return stdout::unprinted(error, failed),
        }
        failed
    }
}

/// The exit code of a command that has done its work, or not.
pub(super) fn code(done: Result<u8, Failure>, failed: u8) -> u8 {
    done.unwrap_or_else(|failure| failure.say(failed))
}

/// Creates a client for the server of these settings. Nothing is requested yet.
pub(super) fn connect(settings: &ClientSettings) -> Result<Client, Failure> {
    let url =
        ServerUrl::parse(settings.url()).map_err(|error| Problem::new(&error, error.hint()))?;
    let token = settings.token().map_err(|error| Problem::new(&error, None))?;
    let token = token.map(|token| Token::new(&token)).transpose();
    let token = token.map_err(|error| Problem::new(&error, Some(error.hint())))?;
    Ok(Client::new(url, token)?)
}

/// Prints an answer as JSON.
pub(super) fn print_json(document: &Document) -> io::Result<()> {
    stdout::line(&json::laid_out(document.text()))
}

/// Says on stderr when a list has more than was shown.
pub(super) fn note_rest(list: &List, shown: usize, page: Page) {
    let first = page.offset.unwrap_or(0);
    let after = first.saturating_add(shown as u64);
    if let Some(total) = list.total.filter(|total| *total > after) {
        message::note(&format!("{shown} of {total}; --limit and --offset show others"));
    }
}
