//! From a sandbox that waits to one that has more ready than PID 1.

use std::time::Duration;

use gantry_init::frame::{Frame, Kind, MAX_REQUEST_JSON};
use gantry_init::message::{Preparation, Prepared, REHEARSAL_MS, STAND_BY_WITHIN_MS};
use thiserror::Error;

use super::conversation::ProtocolError;
use super::load::send_frame;
use super::{Sandbox, SandboxError};

/// How long PID 1 may take: its own limits, and some time on a busy machine.
const PREPARED_WITHIN: Duration = Duration::from_millis(REHEARSAL_MS + STAND_BY_WITHIN_MS + 10_000);

/// Longest reason that is passed on, in characters: a script's modules have written
/// it.
const MAX_REASON: usize = 500;

/// Words out of a sandbox, as a line of bounded length.
pub(crate) fn printable(words: &str) -> String {
    let begin: String = words.chars().take(MAX_REASON).collect();
    begin.escape_debug().to_string()
}

/// Why a sandbox has nothing ready.
#[derive(Debug, Error)]
pub enum PrepareError {
    /// What was to be ready can't be, and another sandbox could do no better.
    #[error("{0}")]
    Unsupported(String),
    /// The sandbox failed.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
}

impl Sandbox {
    /// Has PID 1 get ready for requests, and waits until it is.
    ///
    /// # Errors
    /// [`PrepareError`]; the sandbox is gone then, or will be soon. No request was there
    /// to be run.
    pub async fn prepare(mut self, preparation: &Preparation) -> Result<Self, PrepareError> {
        let json =
            serde_json::to_vec(preparation).map_err(|error| SandboxError::Sink(error.into()))?;
        if json.len() > MAX_REQUEST_JSON {
            return Err(PrepareError::Unsupported(format!("it has {} bytes", json.len())));
        }
        let asked = tokio::time::timeout(PREPARED_WITHIN, self.ask_to_prepare(&json)).await;
        let prepared = asked.unwrap_or_else(|_| {
            let stderr_suffix = self.frames.stderr_suffix();
            Err(SandboxError::NotReady(format!("it has not got ready{stderr_suffix}")))
        })?;
        if let Some(remark) = prepared.remark {
            let (container, remark) = (self.name(), printable(&remark));
            tracing::info!(container, remark, "an interpreter waits and will end more slowly");
        }
        match prepared.unfit {
            None => Ok(self),
            Some(reason) => Err(PrepareError::Unsupported(printable(&reason))),
        }
    }

    async fn ask_to_prepare(&mut self, json: &[u8]) -> Result<Prepared, SandboxError> {
        // Whatever broke the connection shows in the output.
        let _ = send_frame(&mut self.input, Kind::Prepare, json).await;
        match self.frames.next().await? {
            Some(Frame { kind: Kind::Prepared, payload }) => {
                let unreadable = |_| ProtocolError::Unreadable(Kind::Prepared);
                Ok(serde_json::from_slice(&payload).map_err(unreadable)?)
            }
            Some(frame) => Err(ProtocolError::Unexpected(frame.kind).into()),
            None => {
                let stderr_suffix = self.frames.stderr_suffix();
                Err(SandboxError::NotReady(format!("it ended while it got ready{stderr_suffix}")))
            }
        }
    }
}
