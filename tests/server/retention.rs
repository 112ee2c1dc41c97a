//! What ended long ago is forgotten, and nothing else.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use reqwest::StatusCode;
use serde_json::json;
use sqlx::{Connection, SqliteConnection};

use crate::testkit::server::{Server, server};

#[tokio::test]
async fn what_ended_long_ago_is_forgotten_with_its_artifacts() {
    let mut server = server().env("GANTRY_RETENTION_DAYS", "30").start();
    let source = "mkdir -p out; echo kept > out/file; echo done";
    server.register("leaves", "shell", source, json!({})).await;
    let request = json!({"script": "leaves"});
    let (old, recent) = (server.run(&request).await, server.run(&request).await);
    let [old, recent] = [old, recent].map(|it| it["id"].as_str().unwrap().to_owned());
    assert_eq!((held(&server, &old).await, held(&server, &recent).await), (1, 1));
    server.stop();
    age(&server, &old).await;
    server.start();
    let path = format!("/api/v1/executions/{old}");
    server
        .until("it is forgotten", async || server.get(&path).await.0 == StatusCode::NOT_FOUND)
        .await;
    assert_eq!(server.count("/api/v1/executions").await, 1);
    assert_eq!((held(&server, &old).await, held(&server, &recent).await), (0, 1));
    let (status, _) = server.get(&format!("/api/v1/executions/{recent}/artifacts/file")).await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn what_has_artifacts_that_cannot_be_removed_is_kept_until_they_can() {
    let mut server = server().env("GANTRY_RETENTION_DAYS", "30").start();
    let source = "mkdir -p out; echo kept > out/file";
    server.register("leaves", "shell", source, json!({})).await;
    let request = json!({"script": "leaves"});
    let (stuck, other) = (server.run(&request).await, server.run(&request).await);
    let [stuck, other] = [stuck, other].map(|it| it["id"].as_str().unwrap().to_owned());
    // As servers left artifacts that kept them by execution. None is called like the second
    // one: what it is can't be said, nor removed.
    let folder = server.home.data_dir().join("artifacts").join(&stuck);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("0"), "kept").unwrap();
    let strange = folder.join(OsStr::from_bytes(b"\xff"));
    fs::write(&strange, "").unwrap();
    server.stop();
    age(&server, &stuck).await;
    age(&server, &other).await;
    server.start();
    let paths = [stuck, other].map(|id| format!("/api/v1/executions/{id}"));
    let is_gone = async |path: &str| server.get(path).await.0 == StatusCode::NOT_FOUND;
    server.until("the other is forgotten", async || is_gone(&paths[1]).await).await;
    server.until("it is said", async || server.read_log().contains("can't be removed")).await;
    assert!(!is_gone(&paths[0]).await);
    fs::remove_file(strange).unwrap();
    server.stop();
    server.start();
    let is_gone = async || server.get(&paths[0]).await.0 == StatusCode::NOT_FOUND;
    server.until("it is forgotten", is_gone).await;
    assert!(!folder.exists());
}

/// Files that an execution holds.
async fn held(server: &Server, id: &str) -> i64 {
    let held = "SELECT count(*) FROM file_refs WHERE holder = 'execution:' || $1";
    let mut database = connect(server).await;
    let held = sqlx::query_scalar(held).bind(id).fetch_one(&mut database).await.unwrap();
    database.close().await.unwrap();
    held
}

async fn connect(server: &Server) -> SqliteConnection {
    let url = format!("sqlite://{}", server.home.data_dir().join("gantry.db").display());
    SqliteConnection::connect(&url).await.unwrap()
}

/// Makes an execution older than it is, while the server is down.
async fn age(server: &Server, id: &str) {
    let mut database = connect(server).await;
    let id = uuid::Uuid::parse_str(id).unwrap();
    let ages = "UPDATE executions SET completed_at = datetime('now', '-31 days') WHERE id = $1";
    let aged = sqlx::query(ages).bind(id).execute(&mut database).await.unwrap();
    assert_eq!(aged.rows_affected(), 1);
    database.close().await.unwrap();
}
