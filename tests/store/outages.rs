//! The database breaks, and is well again.

use std::time::Duration;

use gantry::store::StoreError;
use sqlx::{Connection, SqliteConnection};

use crate::database::Database;
use crate::samples::{Invocations, claim};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_sqlite_database_is_not_available_until_it_is_free() {
    let database = Database::sqlite().await;
    let invocations = Invocations::of(&database.store, "weather").await;
    let mut other = database.beside_sqlite().await;
    sqlx::raw_sql("BEGIN EXCLUSIVE").execute(&mut other).await.unwrap();
    let new = invocations.one();
    let error = database.store.submit(std::slice::from_ref(&new)).await.unwrap_err();
    assert!(error.is_outage(), "{error:?}");
    // Readers are not in its way.
    assert!(database.store.execution(new.id).await.unwrap().is_none());
    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
    database.store.submit(std::slice::from_ref(&new)).await.unwrap();
    claim(&database.store, new.id).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_postgres_connections_are_replaced() {
    let database = Database::postgres().await;
    let invocations = Invocations::of(&database.store, "weather").await;
    for _ in 0..3 {
        let load = (0..12).map(|_| {
            let (store, new) = (database.store.clone(), invocations.one());
            tokio::spawn(async move { store.submit(&[new]).await })
        });
        let load: Vec<_> = load.collect();
        database
            .execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                 WHERE datname = current_database() AND pid <> pg_backend_pid()",
            )
            .await;
        for task in load {
            if let Err(error) = task.await.unwrap() {
                assert!(error.is_outage(), "{error:?}");
            }
        }
        // A transaction finds out by itself that what the pool still holds is dead.
        let id = invocations.submitted(&database.store).await;
        // Of single statements, one may meet a connection that is trusted without asking.
        tokio::time::sleep(Duration::from_millis(600)).await;
        claim(&database.store, id).await.unwrap();
    }
    let kept = database.number("SELECT count(*) FROM executions").await;
    assert_eq!(database.store.count_executions(&Default::default()).await.unwrap(), kept);
}

#[tokio::test]
async fn a_full_or_read_only_sqlite_database_is_not_available() {
    let database = Database::sqlite().await;
    let mut full = database.beside_sqlite().await;
    sqlx::raw_sql("PRAGMA max_page_count = 1").execute(&mut full).await.unwrap();
    let fill = "INSERT INTO script_code (digest, bytes, created_at) \
         VALUES ('x', zeroblob(10000000), '')";
    let error = sqlx::raw_sql(fill).execute(&mut full).await.unwrap_err();
    assert_unavailable(error);
    let url = format!("sqlite://{}?mode=ro", database.file().display());
    let mut read_only = SqliteConnection::connect(&url).await.unwrap();
    let error = sqlx::raw_sql(fill).execute(&mut read_only).await.unwrap_err();
    assert_unavailable(error);
}

#[tokio::test]
async fn a_read_only_postgres_is_not_available_and_locks_are_to_be_waited_for() {
    let database = Database::postgres().await;
    let mut other = database.beside_postgres().await;
    let read_only = "BEGIN READ ONLY; DELETE FROM tokens";
    assert_unavailable(sqlx::raw_sql(read_only).execute(&mut other).await.unwrap_err());
    let mut locking = database.beside_postgres().await;
    sqlx::raw_sql("BEGIN; LOCK TABLE tokens").execute(&mut locking).await.unwrap();
    let mut other = database.beside_postgres().await;
    let waiting = "SET lock_timeout = 10; DELETE FROM tokens";
    assert_unavailable(sqlx::raw_sql(waiting).execute(&mut other).await.unwrap_err());
}

fn assert_unavailable(error: sqlx::Error) {
    let error = StoreError::from(error);
    assert!(error.is_outage(), "{error:?}");
    assert_eq!(error.to_string(), "the database is not available");
}

#[tokio::test]
async fn no_message_has_sql_paths_or_addresses() {
    let database = Database::postgres().await;
    let mut connection = database.beside_postgres().await;
    for sql in
        ["SELECT secret FROM scripts", "SELEC", "SELECT 1/0", "INSERT INTO artifacts VALUES (1)"]
    {
        let error = sqlx::raw_sql(sql).execute(&mut connection).await.unwrap_err();
        assert_eq!(StoreError::from(error).to_string(), "the database refused a query");
    }
    let nowhere = "postgres://somebody:hidden@127.0.0.1:1/nowhere";
    let error = StoreError::from(sqlx::PgConnection::connect(nowhere).await.unwrap_err());
    assert_eq!(error.to_string(), "the database is not available");
}
