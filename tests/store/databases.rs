//! The databases that tests get of PostgreSQL are their own.

use crate::testkit::postgres::database;
use sqlx::{Connection, PgConnection};

async fn connected(url: &str) -> PgConnection {
    PgConnection::connect(url).await.unwrap()
}

#[tokio::test]
async fn every_test_has_an_empty_database_of_its_own() {
    let (one, other) = tokio::join!(database(), database());
    assert_ne!(one.name(), other.name());
    for database in [&one, &other] {
        let mut connection = connected(&database.url()).await;
        let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
        assert_eq!(
            sqlx::query_scalar::<_, i64>(tables).fetch_one(&mut connection).await.unwrap(),
            0
        );
        sqlx::query("CREATE TABLE mine (id BIGINT)").execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_database_goes_with_its_test_whoever_is_connected() {
    let stays = database().await;
    let goes = database().await;
    let name = goes.name().to_owned();
    let _open = connected(&goes.url()).await;
    drop(goes);
    let mut connection = connected(&stays.url()).await;
    let is_there =
        sqlx::query_scalar::<_, i64>("SELECT count(*) FROM pg_database WHERE datname = $1");
    assert_eq!(is_there.bind(name).fetch_one(&mut connection).await.unwrap(), 0);
}

#[tokio::test]
async fn what_is_committed_is_safe() {
    let database = database().await;
    let mut connection = connected(&database.url()).await;
    for setting in ["fsync", "synchronous_commit"] {
        let value = sqlx::query_scalar::<_, String>("SELECT current_setting($1)").bind(setting);
        assert_eq!(value.fetch_one(&mut connection).await.unwrap(), "on", "{setting}");
    }
}
