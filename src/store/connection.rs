//! Opens and migrates the databases, and hides their differences.

use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use futures::future::BoxFuture;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::pool::PoolConnectionMetadata;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection};

use super::StoreError;
use super::known_receipts::KnownReceipts;
use crate::private_files::{Exposed, close_file, create_folder, database_files, open_to_append};

static SQLITE_MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");
static POSTGRES_MIGRATIONS: Migrator = sqlx::migrate!("migrations/postgres");

/// Longest wait for a connection or a lock. After it, the caller gets
/// [`StoreError::Unavailable`].
const PATIENCE: Duration = Duration::from_secs(3);

/// Concurrent SQLite connections that read. One more writes: SQLite allows a single writer
/// (sqlite.org, "Isolation").
const SQLITE_READERS: u32 = 4;

/// Time for which a PostgreSQL connection is trusted without a check. A single statement
/// that meets a dead one within this time is an outage.
const TRUSTED_FOR: Duration = Duration::from_millis(500);

/// Most connections to PostgreSQL.
const POSTGRES_CONNECTIONS: u32 = 12;

/// Page cache of each SQLite connection, in KiB (negative means KiB; sqlite.org, "PRAGMA
/// cache_size").
const SQLITE_CACHE_KIB: &str = "-4096";

/// Address of the database.
#[derive(Debug, Clone)]
pub enum DatabaseUrl {
    /// SQLite file, created if it is missing.
    Sqlite(PathBuf),
    /// `postgres://…`
    Postgres(Box<PgConnectOptions>),
}

impl DatabaseUrl {
    /// Parses `sqlite://PATH`, `sqlite:PATH`, `postgres://…` or `postgresql://…`.
    ///
    /// # Errors
    /// [`StoreError::Address`]. It does not repeat the address, which may hold a password.
    pub fn parse(text: &str) -> Result<Self, StoreError> {
        let refused = |why: &str| StoreError::Address(why.to_owned());
        if let Some(rest) = text.strip_prefix("sqlite:") {
            let path = rest.strip_prefix("//").unwrap_or(rest);
            if path.is_empty() || path.contains('?') || path.contains(":memory:") {
                return Err(refused("a sqlite address names a file, and nothing else"));
            }
            return Ok(Self::Sqlite(PathBuf::from(path)));
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            let options = PgConnectOptions::from_str(text)
                .map_err(|_| refused("the postgres address is not well-formed"))?;
            return Ok(Self::Postgres(Box::new(options.application_name("gantry"))));
        }
        Err(refused("it begins with neither sqlite: nor postgres://"))
    }

    /// Default database: the SQLite file in the data folder.
    #[must_use]
    pub fn in_data_dir(data_dir: &Path) -> Self {
        Self::Sqlite(data_dir.join("gantry.db"))
    }
}

/// Handle to a migrated database.
#[derive(Debug, Clone)]
pub struct Store {
    pub(super) pools: Pools,
    pub(super) receipts: KnownReceipts,
}

/// Connection pools of the database.
#[derive(Debug, Clone)]
pub(super) enum Pools {
    Sqlite { writer: SqlitePool, readers: SqlitePool },
    Postgres(PgPool),
}

/// Evaluates `$body` with `$connection` bound to a connection that reads.
macro_rules! on_reader {
    ($store:expr, $connection:ident => $body:expr) => {
        match &$store.pools {
            $crate::store::connection::Pools::Sqlite { readers: $connection, .. } => $body,
            $crate::store::connection::Pools::Postgres($connection) => $body,
        }
    };
}

/// Evaluates `$body` with `$connection` bound to a connection that writes one statement.
macro_rules! on_writer {
    ($store:expr, $connection:ident => $body:expr) => {
        match &$store.pools {
            $crate::store::connection::Pools::Sqlite { writer: $connection, .. } => $body,
            $crate::store::connection::Pools::Postgres($connection) => $body,
        }
    };
}

/// Evaluates `$body` in a transaction, which is committed unless `$body` returns early.
/// SQLite's transaction begins as a writer: one that begins as a reader and then writes
/// fails if another connection has written meanwhile (sqlite.org, "Transaction").
macro_rules! in_transaction {
    ($store:expr, $transaction:ident => $body:expr) => {
        match &$store.pools {
            $crate::store::connection::Pools::Sqlite { writer, .. } => {
                let mut $transaction = writer.begin_with("BEGIN IMMEDIATE").await?;
                let answer = $body;
                $transaction.commit().await?;
                answer
            }
            $crate::store::connection::Pools::Postgres(pool) => {
                let mut $transaction = $crate::store::connection::begin(pool).await?;
                let answer = $body;
                $transaction.commit().await?;
                answer
            }
        }
    };
}

pub(super) use {in_transaction, on_reader, on_writer};

/// Begins a transaction on PostgreSQL. `BEGIN` is a round trip of its own, so a dead
/// connection has lost nothing yet: it is replaced, at most as often as the pool has
/// connections.
pub(super) async fn begin(
    pool: &PgPool,
) -> Result<sqlx::Transaction<'static, sqlx::Postgres>, sqlx::Error> {
    for _ in 0..POSTGRES_CONNECTIONS {
        match pool.begin().await {
            Err(sqlx::Error::Io(_) | sqlx::Error::Database(_)) => {}
            begun => return begun,
        }
    }
    pool.begin().await
}

/// Repeats a statement while its PostgreSQL connection turns out to be dead, at most as
/// often as the pool has connections. Only for idempotent statements: the lost one may have
/// been executed.
pub(super) async fn retry_on_dead_connection<T, F>(ask: impl Fn() -> F) -> Result<T, sqlx::Error>
where
    F: Future<Output = Result<T, sqlx::Error>>,
{
    for _ in 0..POSTGRES_CONNECTIONS {
        match ask().await {
            Err(sqlx::Error::Io(_)) => {}
            // Last message of a server that shuts down or ends a connection.
            Err(sqlx::Error::Database(error))
                if error.code().is_some_and(|code| code.starts_with(SHUTDOWN)) => {}
            answer => return answer,
        }
    }
    ask().await
}

/// SQLSTATE class of operator intervention (PostgreSQL, appendix A).
const SHUTDOWN: &str = "57P";

impl Store {
    /// Opens a database and migrates it to this version of Gantry. Two processes may do so
    /// at the same time.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; [`StoreError::Migration`] if the database belongs to a
    /// newer Gantry or to another program.
    pub async fn open(url: &DatabaseUrl) -> Result<Self, StoreError> {
        match url {
            DatabaseUrl::Sqlite(path) => Self::open_sqlite(path).await,
            DatabaseUrl::Postgres(options) => Self::open_postgres(options).await,
        }
    }

    async fn open_sqlite(path: &Path) -> Result<Self, StoreError> {
        let lock = lock_for_migration(path).await.map_err(sqlx::Error::Io)?;
        // FULL: a commit survives a power failure (sqlite.org, "PRAGMA synchronous").
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(PATIENCE)
            .pragma("cache_size", SQLITE_CACHE_KIB)
            .pragma("journal_size_limit", "67108864");
        // Unlike a server, a file does not go away: no check before each use.
        let pool = || SqlitePoolOptions::new().acquire_timeout(PATIENCE).test_before_acquire(false);
        let writer = pool().max_connections(1).before_acquire(is_outside_transactions);
        let writer = writer.connect_with(options.clone()).await;
        let writer = writer.map_err(opening_error)?;
        let others: Option<i64> =
            sqlx::query_scalar(OTHERS_ON_SQLITE).fetch_one(&writer).await.map_err(opening_error)?;
        refuse_others(others)?;
        SQLITE_MIGRATIONS.run(&writer).await.map_err(migration_error)?;
        drop(lock);
        let reading = options.read_only(true).create_if_missing(false);
        let readers = pool().max_connections(SQLITE_READERS).connect_with(reading).await?;
        Ok(Self { pools: Pools::Sqlite { writer, readers }, receipts: KnownReceipts::default() })
    }

    async fn open_postgres(options: &PgConnectOptions) -> Result<Self, StoreError> {
        let pool = PgPoolOptions::new()
            .acquire_timeout(PATIENCE)
            .max_connections(POSTGRES_CONNECTIONS)
            // By default the pool checks a connection before every query.
            .test_before_acquire(false)
            .before_acquire(|connection, idle| {
                Box::pin(async move {
                    if idle.idle_for > TRUSTED_FOR {
                        check_writes(connection).await?;
                    }
                    Ok(true)
                })
            })
            .after_connect(|connection, _| Box::pin(check_writes(connection)))
            .connect_with(options.clone())
            .await;
        let pool = match pool {
            Ok(pool) => pool,
            Err(error) => return Err(reason(options).await.unwrap_or(error).into()),
        };
        let others: Option<i64> = sqlx::query_scalar(OTHERS_ON_POSTGRES).fetch_one(&pool).await?;
        refuse_others(others)?;
        // The migrator takes an advisory lock of the database.
        POSTGRES_MIGRATIONS.run(&pool).await.map_err(migration_error)?;
        Ok(Self { pools: Pools::Postgres(pool), receipts: KnownReceipts::default() })
    }

    /// Checks that the database answers and accepts writes.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn ping(&self) -> Result<(), StoreError> {
        const TOUCH: &str = "UPDATE script_types SET name = name WHERE name = 'shell'";
        on_writer!(self, pool => sqlx::query(TOUCH).execute(pool).await.map(|_| ()))?;
        Ok(())
    }

    /// Kind of the database: `sqlite` or `postgres`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match &self.pools {
            Pools::Sqlite { .. } => "sqlite",
            Pools::Postgres(_) => "postgres",
        }
    }

    /// Closes all connections once their queries have ended.
    pub async fn close(&self) {
        match &self.pools {
            Pools::Sqlite { writer, readers } => {
                readers.close().await;
                writer.close().await;
            }
            Pools::Postgres(pool) => pool.close().await,
        }
    }
}

/// Refuses a connection to a read-only server. During a failover, the database's address
/// may lead to a standby, which refuses all writes.
async fn check_writes(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let only_reads: String =
        sqlx::query_scalar("SHOW transaction_read_only").fetch_one(connection).await?;
    match only_reads.as_str() {
        "off" => Ok(()),
        _ => Err(io::Error::other("the database server only reads").into()),
    }
}

/// Cause of a failed connection. The pool reports only a timeout.
async fn reason(options: &PgConnectOptions) -> Option<sqlx::Error> {
    let looking = async { check_writes(&mut options.connect().await?).await };
    tokio::time::timeout(PATIENCE, looking).await.ok()?.err()
}

/// False if SQLite's connection counts a transaction that is over. SQLite rolls back by
/// itself when its disk is full (sqlite.org, "Transaction"), and the connection's own
/// `ROLLBACK` then fails: it would never begin a transaction again.
fn is_outside_transactions(
    connection: &mut SqliteConnection,
    _: PoolConnectionMetadata,
) -> BoxFuture<'_, Result<bool, sqlx::Error>> {
    Box::pin(async move { Ok(!connection.is_in_transaction()) })
}

/// Locks a file beside the database: SQLite's migrator does not exclude other processes.
async fn lock_for_migration(path: &Path) -> io::Result<std::fs::File> {
    let (database, lock) = (path.to_owned(), path.with_extension("lock"));
    let locking = tokio::task::spawn_blocking(move || {
        if let Some(folder) = lock.parent() {
            create_folder(folder)?;
        }
        let file = open_to_append(&lock)?;
        file.lock()?;
        keep_private(&database)?;
        Ok(file)
    });
    locking.await.map_err(io::Error::other)?
}

/// Creates the database file with mode 0600 before SQLite does. SQLite gives the files
/// beside it the same mode (`findCreateFileMode` in os_unix.c).
fn keep_private(database: &Path) -> io::Result<()> {
    drop(open_to_append(database)?);
    for path in database_files(database) {
        if let Some(Exposed { path, mode }) = close_file(&path) {
            let (path, mode) = (path.display(), format!("{mode:04o}"));
            tracing::warn!(%path, mode, "the database file stays accessible to other users");
        }
    }
    Ok(())
}

/// True for a database of another program: it has tables, but no table of migrations.
const OTHERS_ON_SQLITE: &str = "SELECT CASE WHEN EXISTS (SELECT 1 FROM sqlite_schema \
     WHERE name = '_sqlx_migrations') THEN 0 ELSE count(*) END FROM sqlite_schema \
     WHERE type = 'table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!'";

/// Same for PostgreSQL; tables of another program in other schemas do not count.
const OTHERS_ON_POSTGRES: &str = "SELECT CASE WHEN to_regclass('_sqlx_migrations') IS NOT NULL \
     THEN 0 ELSE count(*) END FROM pg_catalog.pg_tables \
     WHERE schemaname = current_schema()";

fn refuse_others(tables: Option<i64>) -> Result<(), StoreError> {
    match tables.unwrap_or_default() {
        0 => Ok(()),
        _ => Err(StoreError::Migration("it has tables of another program".to_owned())),
    }
}

/// SQLite's `NOTADB` and `CORRUPT` (sqlite.org, "Result Codes").
const NOT_SQLITE: [&str; 2] = ["26", "11"];

fn opening_error(error: sqlx::Error) -> StoreError {
    let code = error.as_database_error().and_then(|it| it.code()).unwrap_or_default();
    match NOT_SQLITE.contains(&&*code) {
        true => {
            StoreError::Migration("the file is not an SQLite database, or is damaged".to_owned())
        }
        false => StoreError::from(error),
    }
}

fn migration_error(error: MigrateError) -> StoreError {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
            StoreError::from(error)
        }
        MigrateError::VersionMissing(version) => {
            StoreError::Migration(format!("it has migration {version}, which this gantry lacks"))
        }
        MigrateError::VersionMismatch(version) => {
            StoreError::Migration(format!("its migration {version} is not this gantry's"))
        }
        other => StoreError::Migration(other.to_string()),
    }
}
