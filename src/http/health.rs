//! Health of what the server stands on: the database, the engine, and the data folder's disk.

use super::checks::Check;
use super::state::AppState;

/// Least free space on the data folder's disk, in bytes (256 MiB).
const MIN_FREE_BYTES: u64 = 256 * 1024 * 1024;

/// Results of all checks, fresh or cached; concurrent callers share one check.
pub(crate) async fn cached_health(state: &AppState) -> [Check; 3] {
    let checks = async { tokio::join!(database(state), engine(state), disk(state)).into() };
    state.checks().or(checks).await
}

async fn database(state: &AppState) -> Check {
    check("database", state.store.ping().await.map_err(|error| error.to_string()))
}

async fn engine(state: &AppState) -> Check {
    let answered = (state.engine)().await.map_err(|error| match error.hint() {
        Some(hint) => format!("the engine does not answer ({hint})"),
        None => "the engine does not answer".to_owned(),
    });
    let started = || match state.executions.engine_fault() {
        None => Ok(()),
        Some(reason) => Err(format!("the engine starts no sandbox: {reason}")),
    };
    check("engine", answered.and_then(|()| started()))
}

async fn disk(state: &AppState) -> Check {
    let folder = state.data_dir.clone();
    let free = tokio::task::spawn_blocking(move || {
        rustix::fs::statvfs(&folder).map(|it| it.f_bavail.saturating_mul(it.f_frsize))
    });
    let result = match free.await {
        Ok(Ok(free)) if free >= MIN_FREE_BYTES => Ok(()),
        Ok(Ok(free)) => Err(format!(
            "the data folder's disk has {} MiB free, it needs {}",
            free >> 20,
            MIN_FREE_BYTES >> 20
        )),
        Ok(Err(error)) => Err(format!("the data folder can't be looked at: {error}")),
        Err(_) => Err("the data folder could not be looked at".to_owned()),
    };
    let scratch = || match state.executions.disk_fault() {
        None => Ok(()),
        Some(reason) => Err(reason.to_string()),
    };
    check("disk", result.and_then(|()| scratch()))
}

fn check(name: &'static str, result: Result<(), String>) -> Check {
    Check { name, is_ok: result.is_ok(), detail: result.err() }
}
