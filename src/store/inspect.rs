//! A look at a database that changes nothing: whether it answers, and how far it
//! is migrated.

use std::path::Path;

use sqlx::postgres::PgConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};
use uuid::Uuid;

use super::{DatabaseUrl, StoreError};

/// What a look has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatabaseState {
    /// There is no such file yet.
    Missing,
    /// It answers; the number of its last migration, if it has any.
    Answers(Option<i64>),
}

/// What the enabled scripts of a database need of a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needs {
    /// Unused sandboxes that are to be held, of all scripts together.
    pub warm: u64,
    /// The OCI runtimes that their current versions name, without those that they
    /// have by default.
    pub runtimes: Vec<String>,
    /// Scripts whose last execution that completed found an unused sandbox in which
    /// nothing was imported, although it may be.
    pub not_preloaded: Vec<NotPreloaded>,
}

/// A script whose modules are not imported ahead.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct NotPreloaded {
    /// Its name.
    pub name: String,
    /// The reason, as its last execution says.
    pub preload_reason: String,
}

/// An execution that has begun and has not ended.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct RunningContainer {
    /// Its id.
    pub id: Uuid,
    /// Its container.
    pub container: Option<String>,
}

const RUNNING: &str = "SELECT id, container FROM executions WHERE status = 'running' ORDER BY id";

const WARM: &str = "SELECT CAST(COALESCE(SUM(warm), 0) AS BIGINT) FROM scripts WHERE is_enabled";

const RUNTIMES: &str = "SELECT DISTINCT v.definition->>'runtime' AS runtime FROM scripts s \
     JOIN script_versions v ON v.script_id = s.id AND v.number = s.current_version \
     WHERE s.is_enabled AND v.definition->>'runtime' IS NOT NULL ORDER BY runtime LIMIT 100";

/// Whoever has turned it off knows; `SQLite` has 0 where PostgreSQL has false.
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
    /// Looks at the database.
    ///
    /// # Errors
    /// [`StoreError`] when it does not answer.
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

    /// The executions that have begun; only asked for when it is there and not empty.
    ///
    /// # Errors
    /// [`StoreError`] when it does not answer, or has other migrations.
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

    /// What its scripts need; only asked for when it is there and not empty.
    ///
    /// # Errors
    /// [`StoreError`] when it does not answer, or has other migrations.
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

/// A database without the table has had no migration.
fn migrations(last: Result<Option<i64>, sqlx::Error>) -> Result<DatabaseState, StoreError> {
    match last {
        Ok(last) => Ok(DatabaseState::Answers(last)),
        Err(error) => match StoreError::from(error) {
            StoreError::Refused(_) => Ok(DatabaseState::Answers(None)),
            other => Err(other),
        },
    }
}
