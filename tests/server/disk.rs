//! The disk of the data folder is full for a while, and has room again.

use std::fs;
use std::path::PathBuf;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::gate::{Gate, WAITS, gated};
use crate::testkit::server::{Server, server};

/// Puts the data folder on a disk of 16 MiB that only the server has, and becomes
/// the server.
const ON_A_SMALL_DISK: &str = "mount -t tmpfs -o size=16m none \"$DISK\" && \
     cp -a \"$GANTRY_DATA_DIR/.\" \"$DISK\" && GANTRY_DATA_DIR=$DISK exec \"$@\"";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_while_the_disk_is_full() {
    let (server, gate, disk) = on_a_small_disk();
    gate.register(&server, "waits").await;
    let request = json!({"script": "waits"});
    let id = server.submit(&request).await;
    server.reaches(&id, "running").await;
    let filler = Filler::fill(&server, disk);
    gate.open();
    server.until("there is no room", async || is_refused(&server).await).await;
    assert_eq!(server.get(&format!("/api/v1/executions/{id}")).await.1["status"], "running");
    let (status, ready) = server.get("/readyz").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(ready.to_string().contains("disk"), "{ready:#}");
    drop(filler);
    let execution = server.ended(&id).await;
    assert_eq!(execution["stdout_log"], "began\nended\n", "{execution:#}");
    assert_eq!(server.run(&request).await["status"], "completed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn artifacts_that_find_no_room_are_kept_when_there_is_some() {
    let (server, gate, disk) = on_a_small_disk();
    let others = json!({"mounts": gate.mounts()});
    let source = format!("{WAITS}mkdir out; echo a > out/a; head -c 4000000 /dev/zero > out/b");
    server.register("leaves", "shell", &source, others).await;
    let id = server.submit(&json!({"script": "leaves"})).await;
    server.reaches(&id, "running").await;
    let filler = Filler::fill(&server, disk);
    gate.open();
    let waits = "there is no room for what the script left";
    server.until("there is no room", async || server.read_log().contains(waits)).await;
    drop(filler);
    let execution = server.ended(&id).await;
    assert_eq!(execution["status"], "completed", "{execution:#}");
    assert_eq!(execution["stdout_log"], "began\nended\n", "{execution:#}");
    for (position, bytes) in [2, 4_000_000].into_iter().enumerate() {
        let artifact: &Value = &execution["artifacts"][position];
        assert_eq!(artifact["bytes"], bytes, "{execution:#}");
        assert_eq!(artifact["skipped"], Value::Null, "{execution:#}");
    }
}

/// A server whose data folder is on a disk of 16 MiB, and that disk.
fn on_a_small_disk() -> (Server, Gate, PathBuf) {
    let builder = server();
    let disk = builder.folder().join("disk");
    fs::create_dir(&disk).unwrap();
    let namespace = ["unshare", "--user", "--map-root-user", "--mount"];
    let within = [&namespace[..], &["sh", "-c", ON_A_SMALL_DISK, "sh"]].concat();
    let (server, gate) = gated(builder.env("DISK", disk.to_str().unwrap()).within(&within));
    (server, gate, disk)
}

/// Whether the server takes nothing for want of a database that can keep it.
async fn is_refused(server: &Server) -> bool {
    let body = json!({"script": "waits", "input": "x".repeat(100_000)});
    let answer = server.request(Method::POST, "/api/v1/executions").json(&body).send().await;
    let status = answer.unwrap().status();
    let is_told = [StatusCode::ACCEPTED, StatusCode::SERVICE_UNAVAILABLE].contains(&status);
    assert!(is_told, "{status}\n{}", server.read_log());
    status == StatusCode::SERVICE_UNAVAILABLE
}

/// A file that takes all the room there is.
struct Filler(PathBuf);

impl Filler {
    fn fill(server: &Server, disk: PathBuf) -> Self {
        // The server's disk is not in this process's namespace.
        let root = PathBuf::from(format!("/proc/{}/root", server.pid()));
        let path = root.join(disk.strip_prefix("/").unwrap()).join("filler");
        let everything = vec![0; 32 << 20];
        let error = fs::write(&path, everything).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
        Self(path)
    }
}

impl Drop for Filler {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
