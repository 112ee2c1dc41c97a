//! The database is locked, gone or a standby for ten seconds, and well again.

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};

use crate::gate::gated;
use crate::testkit::postgres;
use crate::testkit::server::server;

const TEN_SECONDS: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_while_the_database_is_locked() {
    let (server, gate) = gated(server());
    gate.register(&server, "waits").await;
    let request = json!({"script": "waits"});
    let id = server.submit(&request).await;
    server.reaches(&id, "running").await;
    let url = format!("sqlite://{}", server.home.data_dir().join("gantry.db").display());
    let mut other = SqliteConnection::connect(&url).await.unwrap();
    sqlx::raw_sql("BEGIN EXCLUSIVE").execute(&mut other).await.unwrap();
    let since = Instant::now();
    gate.open();
    let refused = server.request(Method::POST, "/api/v1/executions").json(&request);
    let refused = refused.send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(refused.headers().contains_key("retry-after"));
    let (status, problem) = server.get("/readyz").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{problem:#}");
    assert_eq!(server.get("/healthz").await.0, StatusCode::OK);
    // The end of what ran has met the lock, too.
    server.until("it tries again", async || server.read_log().contains("end is stored")).await;
    assert_eq!(server.get(&format!("/api/v1/executions/{id}")).await.1["status"], "running");
    tokio::time::sleep(TEN_SECONDS.saturating_sub(since.elapsed())).await;
    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
    let execution = server.ended(&id).await;
    assert_eq!(execution["status"], "completed", "{execution:#}");
    assert_eq!(execution["stdout_log"], "began\nended\n");
    assert_eq!(server.count("/api/v1/executions").await, 1);
    assert_eq!(server.run(&request).await["status"], "completed");
    server.until("it is ready", async || server.get("/readyz").await.0 == StatusCode::OK).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_while_postgres_is_gone() {
    outlives(|name| {
        [
            format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false"),
            format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true"),
        ]
    })
    .await;
}

/// A server that was the primary and comes back as a standby takes connections, and
/// nothing that is written. Nobody cuts those that were made meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_while_postgres_fails_over() {
    outlives(|name| {
        [
            format!("ALTER DATABASE {name} SET default_transaction_read_only = on"),
            format!("ALTER DATABASE {name} RESET default_transaction_read_only"),
        ]
    })
    .await;
}

/// Has a script end while its database is in no state to hear of it. `how` says, for the
/// database's name, what spoils it and what mends it.
async fn outlives(how: fn(&str) -> [String; 2]) {
    let database = postgres::database().await;
    let (server, gate) = gated(server().env("GANTRY_DATABASE_URL", database.url()));
    gate.register(&server, "waits").await;
    let request = json!({"script": "waits"});
    let id = server.submit(&request).await;
    server.reaches(&id, "running").await;
    let name = database.name();
    let url = database.url().replace(name, "postgres");
    let mut other = PgConnection::connect(&url).await.unwrap();
    let [spoil, mend] = how(name);
    // One after the other: whoever is cut off comes back to what is spoilt.
    let cut =
        format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'");
    for statement in [spoil, cut] {
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut other).await.unwrap();
    }
    let since = Instant::now();
    gate.open();
    let refused = server.request(Method::POST, "/api/v1/executions").json(&request);
    let refused = refused.send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(refused.headers().contains_key("retry-after"));
    server.until("it tries again", async || server.read_log().contains("end is stored")).await;
    tokio::time::sleep(TEN_SECONDS.saturating_sub(since.elapsed())).await;
    sqlx::raw_sql(AssertSqlSafe(mend)).execute(&mut other).await.unwrap();
    server.until("it is ready", async || server.get("/readyz").await.0 == StatusCode::OK).await;
    let execution = server.ended(&id).await;
    assert_eq!(execution["stdout_log"], "began\nended\n", "{execution:#}");
    assert_eq!(server.count("/api/v1/executions").await, 1);
    assert_eq!(server.run(&request).await["status"], "completed");
}

#[tokio::test]
async fn the_engine_is_not_blamed_for_the_database() {
    let database = postgres::database().await;
    let server = server().env("GANTRY_DATABASE_URL", database.url()).start();
    let mut other = PgConnection::connect(&database.url()).await.unwrap();
    // No environment can be noted for want of room, and all else can.
    let full = "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS \
         $$ BEGIN RAISE EXCEPTION 'full' USING ERRCODE = 'disk_full'; END $$; \
         CREATE TRIGGER full_disk BEFORE UPDATE ON environments FOR EACH ROW EXECUTE \
         FUNCTION full_disk()";
    sqlx::raw_sql(full).execute(&mut other).await.unwrap();
    let others = json!({"requirements": "six==1.14.0"});
    server.register("six", "python", "import six; print(six.__version__)", others).await;
    let id = server.submit(&json!({"script": "six"})).await;
    let kept_waiting = "can't be had for now";
    server.until("it is known", async || server.read_log().contains(kept_waiting)).await;
    let (_, ready) = server.get("/readyz").await;
    let checks = ready["checks"].as_array().unwrap();
    let engine = checks.iter().find(|check| check["name"] == "engine").unwrap();
    assert_eq!(engine["is_ok"], true, "{ready:#}");
    let metrics = server.request(Method::GET, "/metrics").send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    assert!(metrics.contains("\ngantry_engine_is_well 1\n"), "{metrics}");
    sqlx::raw_sql("DROP TRIGGER full_disk ON environments").execute(&mut other).await.unwrap();
    let execution = server.ended(&id).await;
    assert_eq!(execution["stdout_log"], "1.14.0\n", "{execution:#}");
}
