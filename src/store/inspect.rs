//! Inspects a database without changing it: reachability, migrations, and the needs of its
//! scripts.

use std::path::Path;

use sqlx::postgres::PgConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};
use uuid::Uuid;

use super::{DatabaseUrl, StoreError};

/// Result of an inspection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatabaseState {
    /// The file does not exist yet.
    Missing,
    /// The database answers. Holds the number of its last migration, if any.
    Answers(Option<i64>),
}

/// Needs of the enabled scripts, for checks of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needs {
    /// Warm sandboxes over all scripts.
    pub warm: u64,
    /// OCI runtimes that current versions name explicitly.
    pub runtimes: Vec<String>,
    /// Scripts that allow preloading, but whose last completed execution used a warm
    /// sandbox that had not preloaded.
    pub not_preloaded: Vec<NotPreloaded>,
}

/// Script whose modules are not preloaded.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct NotPreloaded {
    /// Script name.
    pub name: String,
    /// Reason, from the script's last execution.
    pub preload_reason: String,
}

/// Running execution and its container.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct RunningContainer {
    /// Execution id.
    pub id: Uuid,
    /// Container name.
    pub container: Option<String>,
}

const RUNNING: &str = "SELECT id, container FROM executions WHERE status = 'running' ORDER BY id";

const WARM: &str = "SELECT CAST(COALESCE(SUM(warm), 0) AS BIGINT) FROM scripts WHERE is_enabled";

const RUNTIMES: &str = "SELECT DISTINCT v.definition->>'runtime' AS runtime FROM scripts s \
     JOIN script_versions v ON v.script_id = s.id AND v.number = s.current_version \
     WHERE s.is_enabled AND v.definition->>'runtime' IS NOT NULL ORDER BY runtime LIMIT 100";

/// Scripts that turn preloading off are left out; `SQLite` has 0 where PostgreSQL has
/// false.
const NOT_PRELOADED: &str = "SELECT s.name, e.preload_reason FROM scripts s \
     JOIN script_versions v ON v.script_id = s.id AND v.number = s.current_version \
     JOIN executions e ON e.id = (SELECT last.id FROM executions last \
     WHERE last.script_id = s.id AND last.status = 'completed' ORDER BY last.id DESC LIMIT 1) \
     WHERE s.is_enabled AND e.warm AND e.preload_reason IS NOT NULL \
     AND e.version_id = v.id \
     AND COALESCE(CAST(v.definition->>'preload' AS TEXT), '') NOT IN ('0', 'false') \
     ORDER BY s.name LIMIT 100";

const LAST_MIGRATION: &str = "SELECT max(version) FROM _sqlx_migrations WHERE success";

impl DatabaseUrl {
    /// Inspects the database.
    ///
    /// # Errors
    /// [`StoreError`] if the database does not answer.
    pub async fn inspect(&self) -> Result<DatabaseState, StoreError> {
        match self {
            Self::Sqlite(path) if !path.exists() => Ok(DatabaseState::Missing),
            Self::Sqlite(path) => {
                let mut connection = sqlite(path).await?;
                let last = sqlx::query_scalar(LAST_MIGRATION).fetch_one(&mut connection).await;
                connection.close().await?;
                migrations(last)
            }
            Self::Postgres(options) => {
                let mut connection: PgConnection = options.connect().await?;
                let last = sqlx::query_scalar(LAST_MIGRATION).fetch_one(&mut connection).await;
                connection.close().await?;
                migrations(last)
            }
        }
    }

    /// Running executions. The database must exist and be migrated.
    ///
    /// # Errors
    /// [`StoreError`] if the database does not answer, or has other migrations.
    pub async fn running(&self) -> Result<Vec<RunningContainer>, StoreError> {
        Ok(match self {
            Self::Sqlite(path) => {
                let mut connection = sqlite(path).await?;
                sqlx::query_as(RUNNING).fetch_all(&mut connection).await?
            }
            Self::Postgres(options) => {
                let mut connection: PgConnection = options.connect().await?;
                sqlx::query_as(RUNNING).fetch_all(&mut connection).await?
            }
        })
    }

    /// Needs of the enabled scripts. The database must exist and be migrated.
    ///
    /// # Errors
    /// [`StoreError`] if the database does not answer, or has other migrations.
    pub async fn needs(&self) -> Result<Needs, StoreError> {
        let (warm, runtimes, not_preloaded): (i64, Vec<String>, Vec<NotPreloaded>) = match self {
            Self::Sqlite(path) => {
                let mut connection = sqlite(path).await?;
                let warm = sqlx::query_scalar(WARM).fetch_one(&mut connection).await?;
                let runtimes = sqlx::query_scalar(RUNTIMES).fetch_all(&mut connection).await?;
                (warm, runtimes, sqlx::query_as(NOT_PRELOADED).fetch_all(&mut connection).await?)
            }
            Self::Postgres(options) => {
                let mut connection: PgConnection = options.connect().await?;
                let warm = sqlx::query_scalar(WARM).fetch_one(&mut connection).await?;
                let runtimes = sqlx::query_scalar(RUNTIMES).fetch_all(&mut connection).await?;
                (warm, runtimes, sqlx::query_as(NOT_PRELOADED).fetch_all(&mut connection).await?)
            }
        };
        Ok(Needs { warm: u64::try_from(warm).unwrap_or_default(), runtimes, not_preloaded })
    }
}

async fn sqlite(path: &Path) -> Result<SqliteConnection, StoreError> {
    let options = SqliteConnectOptions::new().filename(path).read_only(true);
    Ok(options.connect().await?)
}

/// Last migration; a database without the table has none.
fn migrations(last: Result<Option<i64>, sqlx::Error>) -> Result<DatabaseState, StoreError> {
    match last {
        Ok(last) => Ok(DatabaseState::Answers(last)),
        Err(error) => match StoreError::from(error) {
            StoreError::Refused(_) => Ok(DatabaseState::Answers(None)),
            other => Err(other),
        },
    }
}
