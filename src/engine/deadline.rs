//! How long each call to the engine may take. Generous, because an engine under
//! load is slow and not broken, and finite, because a wedged one never answers.

use std::future::Future;
use std::time::Duration;

use super::{EngineError, Verb};

/// Version, information, ping.
pub const DESCRIBE: Duration = Duration::from_secs(10);
/// Creating a container takes about 4 ms on a quiet machine.
pub const CREATE: Duration = Duration::from_secs(30);
/// Until the engine has switched protocols.
pub const ATTACH: Duration = Duration::from_secs(15);
/// Starting takes 50–200 ms on a quiet machine.
pub const START: Duration = Duration::from_secs(60);
/// One round of waiting for an end that should be near.
pub const WAIT: Duration = Duration::from_secs(20);
/// Looking at one container.
pub const INSPECT: Duration = Duration::from_secs(10);
/// Until the engine begins to send a log.
pub const REPLAY: Duration = Duration::from_secs(15);
/// A signal, and no waiting for what it does.
pub const TERMINATE: Duration = Duration::from_secs(10);
/// The engine itself may wait 10 s for the process to go.
pub const KILL: Duration = Duration::from_secs(20);
/// Removal kills first.
pub const REMOVE: Duration = Duration::from_secs(45);
/// Listing containers.
pub const LIST: Duration = Duration::from_secs(20);
/// Finding, tagging and removing images, making networks and volumes.
pub const IMAGE: Duration = Duration::from_secs(60);
/// Building, importing, pulling or loading an image.
pub const IMAGE_BUILD: Duration = Duration::from_secs(15 * 60);

/// Runs `call`, for `limit` at most.
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
