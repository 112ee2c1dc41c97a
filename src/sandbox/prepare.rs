//! Preparation of a waiting sandbox: a stand-by interpreter, or a rehearsal.

use std::time::Duration;

use gantry_init::frame::{Frame, Kind, MAX_REQUEST_JSON};
use gantry_init::message::{Preparation, Prepared, REHEARSAL_MS, STAND_BY_WITHIN_MS};
use thiserror::Error;

use super::conversation::ProtocolError;
use super::load::send_frame;
use super::{Sandbox, SandboxError};
use crate::domain::sanitize::escaped;

/// Time for PID 1 to prepare: its own limits, and 10 s more for a busy machine.
const PREPARE_TIMEOUT: Duration = Duration::from_millis(REHEARSAL_MS + STAND_BY_WITHIN_MS + 10_000);

/// Longest reason that is passed on, in characters. It may contain text written by a
/// script's modules.
const MAX_REASON: usize = 500;

/// Escapes text from a sandbox to one line of bounded length.
pub(crate) fn printable(words: &str) -> String {
    let begin: String = words.chars().take(MAX_REASON).collect();
    escaped(&begin)
}

/// Failure to prepare a sandbox.
#[derive(Debug, Error)]
pub enum PrepareError {
    /// The preparation can't work, in this sandbox or in any other.
    #[error("{0}")]
    Unsupported(String),
    /// The sandbox failed.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
}

impl Sandbox {
    /// Sends PID 1 the preparation and waits until it is done.
    ///
    /// # Errors
    /// [`PrepareError`]; the sandbox is removed in the background then. It had no
    /// request.
    pub async fn prepare(mut self, preparation: &Preparation) -> Result<Self, PrepareError> {
        let json =
            serde_json::to_vec(preparation).map_err(|error| SandboxError::Sink(error.into()))?;
        if json.len() > MAX_REQUEST_JSON {
            return Err(PrepareError::Unsupported(format!(
                "the preparation takes {} bytes, at most {MAX_REQUEST_JSON} are allowed",
                json.len()
            )));
        }
        let answer = tokio::time::timeout(PREPARE_TIMEOUT, self.send_prepare(&json)).await;
        let prepared = answer.unwrap_or_else(|_| {
            let stderr_suffix = self.frames.stderr_suffix();
            Err(SandboxError::NotReady(format!(
                "PID 1 did not finish preparing in time{stderr_suffix}"
            )))
        })?;
        if let Some(remark) = prepared.remark {
            let (container, remark) = (self.name(), printable(&remark));
            tracing::info!(
                container,
                remark,
                "the stand-by interpreter has a remark: the script may end more slowly"
            );
        }
        match prepared.unfit {
            None => Ok(self),
            Some(reason) => Err(PrepareError::Unsupported(printable(&reason))),
        }
    }

    async fn send_prepare(&mut self, json: &[u8]) -> Result<Prepared, SandboxError> {
        // The write's error is ignored: the output shows a broken connection, with more
        // detail.
        let _ = send_frame(&mut self.input, Kind::Prepare, json).await;
        match self.frames.next().await? {
            Some(Frame { kind: Kind::Prepared, payload }) => {
                let unreadable = |_| ProtocolError::Malformed(Kind::Prepared);
                Ok(serde_json::from_slice(&payload).map_err(unreadable)?)
            }
            Some(frame) => Err(ProtocolError::Unexpected(frame.kind).into()),
            None => {
                let stderr_suffix = self.frames.stderr_suffix();
                Err(SandboxError::NotReady(format!("PID 1 exited while preparing{stderr_suffix}")))
            }
        }
    }
}
