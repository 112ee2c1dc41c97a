//! Deadlines of calls to the engine. They are generous, because an engine under load is
//! slow but works, and finite, because a wedged engine never answers.

use std::future::Future;
use std::time::Duration;

use super::{EngineError, Verb};

/// Reading version and state.
pub const DESCRIBE: Duration = Duration::from_secs(10);
/// Creating a container, which takes about 4 ms on a quiet machine.
pub const CREATE: Duration = Duration::from_secs(30);
/// Attaching, until the engine has switched protocols.
pub const ATTACH: Duration = Duration::from_secs(15);
/// Starting a container, which takes 50–200 ms on a quiet machine.
pub const START: Duration = Duration::from_secs(60);
/// Waiting once for an exit that should be near.
pub const WAIT: Duration = Duration::from_secs(20);
/// Inspecting a container.
pub const INSPECT: Duration = Duration::from_secs(10);
/// Reading a log, until the engine sends its first bytes.
pub const REPLAY: Duration = Duration::from_secs(15);
/// Sending TERM, without waiting for the exit.
pub const TERMINATE: Duration = Duration::from_secs(10);
/// Killing a container: the engine itself may wait 10 s for the process.
pub const KILL: Duration = Duration::from_secs(20);
/// Removing a container, which includes killing it.
pub const REMOVE: Duration = Duration::from_secs(45);
/// Listing containers.
pub const LIST: Duration = Duration::from_secs(20);
/// Finding, tagging and removing images, creating networks and volumes.
pub const IMAGE: Duration = Duration::from_secs(60);
/// Building, importing, pulling or loading an image.
pub const IMAGE_BUILD: Duration = Duration::from_secs(15 * 60);

/// Runs `call`, for at most `limit`.
pub(super) async fn within<T>(
    verb: Verb,
    limit: Duration,
    call: impl Future<Output = Result<T, EngineError>>,
) -> Result<T, EngineError> {
    match tokio::time::timeout(limit, call).await {
        Ok(result) => result,
        Err(_) => Err(EngineError::TimedOut { verb, after: limit }),
    }
}
