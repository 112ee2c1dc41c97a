//! A look at a database that changes nothing: whether it answers, and how far it
//! is migrated.

use sqlx::postgres::PgConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};

use super::{DatabaseUrl, StoreError};

/// What a look has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probed {
    /// There is no such file yet.
    Missing,
    /// It answers; the number of its last migration, if it has any.
    Answers(Option<i64>),
}

const LAST_MIGRATION: &str = "SELECT max(version) FROM _sqlx_migrations WHERE success";

impl DatabaseUrl {
    /// Looks at the database.
    ///
    /// # Errors
    /// [`StoreError`] when it does not answer.
    pub async fn probe(&self) -> Result<Probed, StoreError> {
        match self {
            Self::Sqlite(path) if !path.exists() => Ok(Probed::Missing),
            Self::Sqlite(path) => {
                let options = SqliteConnectOptions::new().filename(path).read_only(true);
                let mut connection: SqliteConnection = options.connect().await?;
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
}

/// A database without the table has had no migration.
fn migrations(last: Result<Option<i64>, sqlx::Error>) -> Result<Probed, StoreError> {
    match last {
        Ok(last) => Ok(Probed::Answers(last)),
        Err(error) => match StoreError::from(error) {
            StoreError::Refused(_) => Ok(Probed::Answers(None)),
            other => Err(other),
        },
    }
}
