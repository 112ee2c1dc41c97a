//! Errors of the database. No message contains SQL: messages are for callers, and the chain
//! of causes is for the log.

use thiserror::Error;

/// Error of a database operation.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The database can't be reached, is locked, or has no room. A retry may succeed.
    #[error("the database is not available")]
    Unavailable(#[source] Option<sqlx::Error>),
    /// Unique constraint: another row has this name or key.
    #[error("the name or key is already in use")]
    NameConflict,
    /// A row that no version of Gantry writes.
    #[error("the database has an impossible value: {table}.{column} of {id}")]
    Impossible {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// Key of the row.
        id: String,
    },
    /// The database belongs to a newer Gantry or to another program.
    #[error("the database can't be brought to this version: {0}")]
    Migration(String),
    /// The address of the database is invalid.
    #[error("GANTRY_DATABASE_URL can't be used: {0}")]
    Address(String),
    /// Any other error; a bug in Gantry.
    #[error("the database refused a query")]
    Refused(#[source] Option<sqlx::Error>),
}

impl StoreError {
    /// Advice for the user.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Unavailable(_) => {
                Some("try again; check that the database is running and that its disk has room")
            }
            Self::Migration(_) => Some("use a newer gantry, or another database"),
            Self::Address(_) => Some("use sqlite:///path/to/file or postgres://user@host/database"),
            Self::Impossible { .. } => Some("if the value was changed by hand, restore it"),
            Self::NameConflict | Self::Refused(_) => None,
        }
    }

    /// True if a retry may succeed.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }

    pub(super) fn impossible(table: &'static str, column: &'static str, id: impl ToString) -> Self {
        Self::Impossible { table, column, id: id.to_string() }
    }
}

/// Prefixes of SQLSTATEs that mean an outage: connection, resources, operator intervention
/// and system error (PostgreSQL, appendix A); serialization failures and lock timeouts,
/// which may be retried; a read-only server, such as a standby; a role or a database that
/// does not accept logins, or not yet; a database that accepts no connections for now.
const OUTAGES: [&str; 10] = ["08", "53", "57", "58", "40", "55P03", "55000", "25006", "28", "3D"];

/// SQLite's primary result codes that mean an outage: BUSY, LOCKED, NOMEM, READONLY (the
/// disk turned read-only), IOERR, FULL, CANTOPEN, PROTOCOL.
const SQLITE_OUTAGES: [i64; 8] = [5, 6, 7, 8, 10, 13, 14, 15];

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(database) if database.is_unique_violation() => Self::NameConflict,
            sqlx::Error::Database(database) => {
                let code = database.code().unwrap_or_default();
                // SQLite's codes are numbers, PostgreSQL's have five characters.
                let is_outage = match code.parse::<i64>() {
                    Ok(number) if code.len() < 5 => SQLITE_OUTAGES.contains(&(number & 0xff)),
                    _ => OUTAGES.iter().any(|class| code.starts_with(class)),
                };
                let error = Some(error);
                if is_outage { Self::Unavailable(error) } else { Self::Refused(error) }
            }
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::BeginFailed => Self::Unavailable(Some(error)),
            _ => Self::Refused(Some(error)),
        }
    }
}
