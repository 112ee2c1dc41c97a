//! What can go wrong with the database. No message has SQL in it: it is for
//! those who called, and the chain of causes is for the log.

use thiserror::Error;

/// Why the database did not do what it was asked to.
#[derive(Debug, Error)]
pub enum StoreError {
    /// It can't be reached, is locked, or has no room; the same may work later.
    #[error("the database is not available")]
    Unavailable(#[source] Option<sqlx::Error>),
    /// Somebody else has this name, or this key.
    #[error("it is there already")]
    NameConflict,
    /// A row that no version of Gantry has written.
    #[error("the database has an impossible value: {table}.{column} of {id}")]
    Impossible {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// Which row.
        id: String,
    },
    /// The database is of a newer Gantry, or of something else.
    #[error("the database can't be brought to this version: {0}")]
    Migration(String),
    /// The database's address can't be used.
    #[error("GANTRY_DATABASE_URL can't be used: {0}")]
    Address(String),
    /// Anything else; a mistake of ours.
    #[error("the database refused a query")]
    Refused(#[source] Option<sqlx::Error>),
}

impl StoreError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Unavailable(_) => {
                Some("try again; is there room on its disk, and is it running?")
            }
            Self::Migration(_) => Some("use the newer gantry, or another database"),
            Self::Address(_) => Some("sqlite:///path/to/file, or postgres://user@host/database"),
            Self::Impossible { .. } => Some("was the database changed by hand? restore the value"),
            Self::NameConflict | Self::Refused(_) => None,
        }
    }

    /// Whether the same may work later.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }

    pub(super) fn impossible(table: &'static str, column: &'static str, id: impl ToString) -> Self {
        Self::Impossible { table, column, id: id.to_string() }
    }
}

/// What SQLSTATEs begin with that tell of an outage: connection, resources,
/// operator intervention, system error (PostgreSQL, appendix A); serialization
/// failures and locks that were not to be had, which are to be tried again; a
/// server that only reads, as a standby does; a role or a database that it does not
/// let in, or not yet; a database that takes no connections for the time being.
const OUTAGES: [&str; 10] = ["08", "53", "57", "58", "40", "55P03", "55000", "25006", "28", "3D"];

/// SQLite's primary result codes of the same kind: BUSY, LOCKED, NOMEM, READONLY
/// (the disk turned read-only), IOERR, FULL, CANTOPEN, PROTOCOL.
const SQLITE_OUTAGES: [i64; 8] = [5, 6, 7, 8, 10, 13, 14, 15];

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(database) if database.is_unique_violation() => Self::NameConflict,
            sqlx::Error::Database(database) => {
                let code = database.code().unwrap_or_default();
                // SQLite gives numbers, PostgreSQL five characters.
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
