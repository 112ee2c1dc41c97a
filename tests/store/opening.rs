//! Opening and migrating.

use gantry::store::{DatabaseUrl, Store, StoreError};

use crate::database::{Database, on_both};
use crate::samples::registered;
use crate::testkit::postgres::database as postgres_database;

on_both! {
    what_was_stored_is_there_when_it_is_opened_again,
    a_database_of_a_newer_version_is_refused,
    a_database_with_a_changed_migration_is_refused,
    it_says_what_it_is_and_answers_a_ping,
    a_closed_store_is_not_available,
}

async fn what_was_stored_is_there_when_it_is_opened_again(database: Database) {
    let script = registered(&database.store, "weather").await;
    database.store.close().await;
    let again = Store::open(&database.url).await.unwrap();
    assert_eq!(again.script(script.id).await.unwrap().unwrap(), script);
    again.close().await;
}

async fn a_database_of_a_newer_version_is_refused(database: Database) {
    database
        .execute(
            "INSERT INTO _sqlx_migrations \
             SELECT 9999, description, installed_on, success, checksum, execution_time \
             FROM _sqlx_migrations LIMIT 1",
        )
        .await;
    let error = Store::open(&database.url).await.unwrap_err();
    assert!(matches!(error, StoreError::Migration(_)), "{error:?}");
    assert!(error.to_string().contains("migration 9999, which this gantry lacks"), "{error}");
    assert!(error.hint().is_some_and(|hint| hint.contains("newer gantry")));
}

async fn a_database_with_a_changed_migration_is_refused(database: Database) {
    let zero = if database.is_sqlite() { "x'00'" } else { "'\\x00'" };
    database.execute(&format!("UPDATE _sqlx_migrations SET checksum = {zero}")).await;
    let error = Store::open(&database.url).await.unwrap_err();
    assert!(matches!(error, StoreError::Migration(_)), "{error:?}");
}

async fn it_says_what_it_is_and_answers_a_ping(database: Database) {
    let kind = if database.is_sqlite() { "sqlite" } else { "postgres" };
    assert_eq!(database.store.kind(), kind);
    database.store.ping().await.unwrap();
}

async fn a_closed_store_is_not_available(database: Database) {
    database.store.close().await;
    assert!(database.store.ping().await.unwrap_err().is_outage());
}

async fn open_eight_times(url: &DatabaseUrl) {
    let opening = (0..8).map(|_| {
        let url = url.clone();
        tokio::spawn(async move { Store::open(&url).await })
    });
    for task in opening.collect::<Vec<_>>() {
        let store = task.await.unwrap().unwrap();
        store.ping().await.unwrap();
        store.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn eight_may_open_a_fresh_sqlite_database_at_once() {
    let folder = tempfile::tempdir().unwrap();
    open_eight_times(&DatabaseUrl::in_data_dir(&folder.path().join("made").join("here"))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn eight_may_open_a_fresh_postgres_database_at_once() {
    let database = postgres_database().await;
    open_eight_times(&DatabaseUrl::parse(&database.url()).unwrap()).await;
}

async fn refused(path: &std::path::Path) {
    let before = std::fs::read(path).unwrap();
    let error = Store::open(&DatabaseUrl::Sqlite(path.to_owned())).await.unwrap_err();
    assert!(matches!(error, StoreError::Migration(_)), "{error:?}");
    assert!(!error.to_string().contains(path.to_str().unwrap()), "{error}");
    assert_eq!(std::fs::read(path).unwrap(), before, "it was changed");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.txt");
    std::fs::write(&path, "not a database. ".repeat(1_000)).unwrap();
    refused(&path).await;
}

#[tokio::test]
async fn a_database_of_another_program_is_refused() {
    use sqlx::{Connection, SqliteConnection};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.db");
    let url = format!("sqlite://{}?mode=rwc", path.display());
    let mut other = SqliteConnection::connect(&url).await.unwrap();
    sqlx::raw_sql("CREATE TABLE bookmarks (url TEXT)").execute(&mut other).await.unwrap();
    other.close().await.unwrap();
    let error = Store::open(&DatabaseUrl::Sqlite(path)).await.unwrap_err();
    assert!(error.to_string().contains("tables of another program"), "{error}");
}

#[tokio::test]
async fn a_postgres_database_of_another_program_is_refused() {
    use sqlx::{Connection, PgConnection};
    let database = postgres_database().await;
    let mut other = PgConnection::connect(&database.url()).await.unwrap();
    sqlx::raw_sql("CREATE TABLE bookmarks (url TEXT)").execute(&mut other).await.unwrap();
    other.close().await.unwrap();
    let url = DatabaseUrl::parse(&database.url()).unwrap();
    let error = Store::open(&url).await.unwrap_err();
    assert!(error.to_string().contains("tables of another program"), "{error}");
}

#[tokio::test]
async fn a_folder_or_a_server_that_is_not_there_is_not_available() {
    let folder = tempfile::tempdir().unwrap();
    let error = Store::open(&DatabaseUrl::Sqlite(folder.path().to_owned())).await.unwrap_err();
    assert!(error.is_outage(), "{error:?}");
    // Nobody listens on port 1 of this machine.
    let url = DatabaseUrl::parse("postgres://somebody:hidden@127.0.0.1:1/nowhere").unwrap();
    let error = Store::open(&url).await.unwrap_err();
    assert!(error.is_outage(), "{error:?}");
    assert_eq!(error.to_string(), "the database is not available");
}

#[test]
fn addresses_are_read_and_never_repeated() {
    for good in ["sqlite:///a/b.db", "sqlite:b.db", "postgres://u@h/d", "postgresql://u@h/d"] {
        DatabaseUrl::parse(good).unwrap();
    }
    let bad = [
        "",
        "mysql://u:hidden@h/d",
        "sqlite:",
        "sqlite://",
        "sqlite::memory:",
        "sqlite://a?hidden=1",
        "postgres://u:hidden@h:port/d",
    ];
    for address in bad {
        let error = DatabaseUrl::parse(address).unwrap_err();
        assert!(matches!(error, StoreError::Address(_)), "{error:?}");
        assert!(!format!("{error} {error:?}").contains("hidden"), "{error:?}");
        assert!(error.hint().is_some());
    }
}
