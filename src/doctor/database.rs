//! The database that a server would use.

use super::Finding;
use crate::config::{DatabaseSettings, Settings};
use crate::private_files::{Exposed, exposed_database};
use crate::store::{DatabaseState, DatabaseUrl, Needs, RunningContainer, StoreError};

const SUBJECT: &str = "database";

/// Requirements of the stored scripts on this machine; `None` when they can't be read.
pub(super) async fn needs(settings: &Settings, database: &DatabaseSettings) -> Option<Needs> {
    let url = database.url(&settings.data_dir().ok()?).ok()?;
    // Its errors have been reported.
    match url.inspect().await {
        Ok(DatabaseState::Answers(Some(_))) => url.needs().await.ok(),
        _ => None,
    }
}

/// The executions that have started and have not ended.
///
/// # Errors
/// [`StoreError`] when it does not answer.
pub(super) async fn begun(
    settings: &Settings,
    database: &DatabaseSettings,
) -> Result<Vec<RunningContainer>, StoreError> {
    let data_dir = settings.data_dir().map_err(|_| StoreError::Unavailable(None))?;
    let url = database.url(&data_dir)?;
    match url.inspect().await? {
        DatabaseState::Answers(Some(_)) => url.running().await,
        DatabaseState::Missing | DatabaseState::Answers(None) => Ok(Vec::new()),
    }
}

/// Warns of a database file that other users of this machine can read. Those in the data
/// folder are looked at with it.
pub(super) fn files(settings: &Settings, database: &DatabaseSettings) -> Option<Finding> {
    let data_dir = settings.data_dir().ok()?;
    let DatabaseUrl::Sqlite(path) = database.url(&data_dir).ok()? else { return None };
    let Exposed { path, mode } =
        (path.parent() != Some(data_dir.as_path())).then(|| exposed_database(&path))??;
    let seen = format!("{} is open to other users (mode {mode:04o})", path.display());
    let advice = "start the server, which closes it, or use chmod; a file system that has no \
                  modes can't keep it to itself: choose another place with GANTRY_DATABASE_URL";
    Some(Finding::warning("database file", seen, advice))
}

/// Checks that the database answers.
pub(super) async fn examine(settings: &Settings, database: &DatabaseSettings) -> Option<Finding> {
    // Errors of the folder have been reported.
    let data_dir = settings.data_dir().ok()?;
    let state = match database.url(&data_dir) {
        Ok(url) => url.inspect().await,
        Err(error) => Err(error),
    };
    Some(match state {
        Ok(DatabaseState::Missing) => {
            Finding::ok(SUBJECT, "not there yet; `gantry serve` makes it")
        }
        Ok(DatabaseState::Answers(None)) => {
            Finding::ok(SUBJECT, "answers, and is empty; `gantry serve` prepares it")
        }
        Ok(DatabaseState::Answers(Some(version))) => {
            Finding::ok(SUBJECT, format!("answers, and has migration {version}"))
        }
        Err(error) => {
            let cause = std::error::Error::source(&error).map(|it| format!(": {it}"));
            let seen = format!("{error}{}", cause.unwrap_or_default());
            let advice = error.hint().unwrap_or("look at the database's own log");
            Finding::error(SUBJECT, seen, advice)
        }
    })
}
