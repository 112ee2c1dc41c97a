//! Work on large bodies and answers, off the threads that serve requests.

use super::problem::Problem;

/// Least size in bytes of work that is moved off the threads that serve requests.
const LONG: usize = 256 * 1024;

/// Does work on so many bytes: in place if they are few, otherwise off the serving threads.
pub(crate) async fn offload_if_large<T: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    if bytes < LONG {
        return work();
    }
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(Problem::internal(format!("work beside a request: {error}"))))
}
