//! A database of one test, of either kind, and a look behind the store's back.

use std::path::PathBuf;

use gantry::store::{DatabaseUrl, Store};
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};
use uuid::Uuid;

use crate::testkit::postgres::{self, TestDatabase};

/// Makes a test for each database of every function named.
macro_rules! on_both {
    ($($test:ident),* $(,)?) => {
        mod sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    super::$test($crate::database::Database::sqlite().await).await;
                }
            )*
        }

        mod postgres {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    super::$test($crate::database::Database::postgres().await).await;
                }
            )*
        }
    };
}
pub(crate) use on_both;

/// What keeps the database there.
enum Kept {
    Folder(#[expect(dead_code, reason = "held so that it goes with the test")] tempfile::TempDir),
    Server(Box<TestDatabase>),
}

/// An open store in a database of its own.
pub(crate) struct Database {
    pub(crate) store: Store,
    pub(crate) url: DatabaseUrl,
    kept: Kept,
}

impl Database {
    pub(crate) async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = DatabaseUrl::in_data_dir(folder.path());
        let store = Store::open(&url).await.unwrap();
        Self { store, url, kept: Kept::Folder(folder) }
    }

    pub(crate) async fn postgres() -> Self {
        let server = postgres::database().await;
        let url = DatabaseUrl::parse(&server.url()).unwrap();
        let store = Store::open(&url).await.unwrap();
        Self { store, url, kept: Kept::Server(Box::new(server)) }
    }

    pub(crate) fn is_sqlite(&self) -> bool {
        matches!(self.kept, Kept::Folder(_))
    }

    /// The SQLite database's file.
    pub(crate) fn file(&self) -> PathBuf {
        match &self.url {
            DatabaseUrl::Sqlite(path) => path.clone(),
            DatabaseUrl::Postgres(_) => panic!("it is not in a file"),
        }
    }

    /// Does what no store would.
    pub(crate) async fn execute(&self, sql: &str) {
        let query = sqlx::raw_sql(AssertSqlSafe(sql));
        match &self.kept {
            Kept::Folder(_) => {
                query.execute(&mut self.beside_sqlite().await).await.unwrap();
            }
            Kept::Server(_) => {
                query.execute(&mut self.beside_postgres().await).await.unwrap();
            }
        }
    }

    /// The code of the error that PostgreSQL answers with.
    pub(crate) async fn refusal(&self, sql: &str) -> String {
        let query = sqlx::raw_sql(AssertSqlSafe(sql));
        let refused = query.execute(&mut self.beside_postgres().await).await.unwrap_err();
        refused.as_database_error().unwrap().code().unwrap().into_owned()
    }

    /// The number that a query finds.
    pub(crate) async fn number(&self, sql: &str) -> i64 {
        let sql = AssertSqlSafe(sql);
        match &self.kept {
            Kept::Folder(_) => {
                let mut connection = self.beside_sqlite().await;
                sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap()
            }
            Kept::Server(_) => {
                let mut connection = self.beside_postgres().await;
                sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap()
            }
        }
    }

    /// A connection that is not the store's.
    pub(crate) async fn beside_sqlite(&self) -> SqliteConnection {
        let url = format!("sqlite://{}", self.file().display());
        SqliteConnection::connect(&url).await.unwrap()
    }

    /// A connection that is not the store's.
    pub(crate) async fn beside_postgres(&self) -> PgConnection {
        let Kept::Server(server) = &self.kept else { panic!("it is not on a server") };
        PgConnection::connect(&server.url()).await.unwrap()
    }

    /// An id as SQL has it.
    pub(crate) fn id(&self, id: Uuid) -> String {
        match self.is_sqlite() {
            true => format!("x'{}'", id.simple()),
            false => format!("'{id}'"),
        }
    }
}
