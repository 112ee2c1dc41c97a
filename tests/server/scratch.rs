//! Scripts with `/work` on disk: what they leave, what stops them, and who comes after.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::{Connection, SqliteConnection};

use crate::gate::{WAITS, gated};
use crate::testkit::server::{Server, ServerBuilder, server};

/// The limits of a script with so much on disk.
fn disk(mib: u64) -> Value {
    json!({"limits": {"disk_bytes": mib << 20}})
}

/// Content of a file that an execution left.
async fn artifact(server: &Server, execution: &Value, name: &str) -> Vec<u8> {
    let id = execution["id"].as_str().unwrap();
    let path = format!("/api/v1/executions/{id}/artifacts/{name}");
    let response = server.request(Method::GET, &path).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK, "{name}");
    response.bytes().await.unwrap().to_vec()
}

/// Waits until no container has a folder any more.
async fn folders_are_gone(server: &Server) {
    let scratch = server.home.data_dir().join("scratch");
    let count = || fs::read_dir(&scratch).map_or(0, Iterator::count);
    server.until("the folders are gone", async || count() == 0).await;
}

const LEAVES: &str = "
import os, sys
os.makedirs('out/deep/er')
open('out/deep/er/file', 'w').write('nested')
open('out/large', 'wb').write(bytes(range(256)) * 400_000)
open('left', 'w').write('not an output')
assert os.environ['TMPDIR'] == '/work/tmp' and os.path.isdir('/work/tmp')
print('{}')";

#[tokio::test]
async fn what_is_left_on_disk_is_kept_and_its_folder_is_gone() {
    let server = server().start();
    server.register("leaves", "python", LEAVES, disk(256)).await;
    for _ in 0..3 {
        let execution = server.run(&json!({"script": "leaves"})).await;
        assert_eq!(execution["status"], "completed", "{execution:#}");
        let names: Vec<_> =
            execution["artifacts"].as_array().unwrap().iter().map(|it| &it["name"]).collect();
        assert_eq!(names, ["deep/er/file", "large"]);
        assert_eq!(artifact(&server, &execution, "deep/er/file").await, b"nested");
        let large = artifact(&server, &execution, "large").await;
        assert!(large == (0..=255).collect::<Vec<u8>>().repeat(400_000));
        let peak = execution["usage"]["peak_disk_bytes"].as_u64().unwrap();
        assert!((102_400_000..200_000_000).contains(&peak), "{peak}");
        let mounts = execution["sandbox"]["confinement"]["mounts"].to_string();
        assert!(!mounts.contains("scratch"), "no path of the host: {mounts}");
    }
    folders_are_gone(&server).await;
}

#[tokio::test]
async fn a_warm_sandbox_has_its_folder_before_its_script_comes() {
    let server = server().env("GANTRY_POOL_SIZE", "2").start();
    let settings = json!({"limits": {"disk_bytes": 64 << 20}, "warm": 1});
    server
        .register("held", "shell", "echo x >out/file; df -P /work | grep -c tmpfs", settings)
        .await;
    server.until("its sandbox has a folder", async || has_folder(&server)).await;
    let is_warm = async || {
        let execution = server.run(&json!({"script": "held"})).await;
        assert_eq!(execution["artifacts"][0]["name"], "file", "{execution:#}");
        assert_eq!(execution["stdout_log"], "0\n");
        execution["sandbox"]["warm"] == true
    };
    server.until("an execution is warm", is_warm).await;
}

fn has_folder(server: &Server) -> bool {
    fs::read_dir(server.home.data_dir().join("scratch")).is_ok_and(|mut it| it.next().is_some())
}

#[tokio::test]
async fn too_much_on_disk_ends_as_out_of_disk_with_what_it_printed() {
    let server = server().start();
    let source = "echo began; echo kept >out/kept; head -c 1000000000000 /dev/zero >out/zeros";
    server.register("floods", "shell", source, disk(32)).await;
    let execution = server.run(&json!({"script": "floods"})).await;
    assert_eq!(execution["error_kind"], "out_of_disk", "{execution:#}");
    assert_eq!(execution["stdout_log"], "began\n");
    assert!(execution["error_message"].as_str().unwrap().contains("32 MiB"), "{execution:#}");
    assert_eq!(artifact(&server, &execution, "kept").await, b"kept\n");
    folders_are_gone(&server).await;
}

#[tokio::test]
async fn files_that_are_not_kept_are_named_or_counted() {
    let server = server().start();
    let source = "cd out; echo x >a; ln a b; ln -s a c; mkfifo d; for i in 1 2 3; do : >f$i; done";
    let limits = json!({"limits": {"disk_bytes": 32 << 20, "file_count": 3}});
    server.register("leaves", "shell", source, limits).await;
    let execution = server.run(&json!({"script": "leaves"})).await;
    assert_eq!(execution["error_kind"], "outputs_refused", "{execution:#}");
    let message = execution["error_message"].as_str().unwrap();
    assert!(
        message.starts_with("4 files in /work/out were not kept: b (another name"),
        "{message}"
    );
    assert!(message.contains("f3 (too many artifacts)"), "{message}");
}

#[tokio::test]
async fn what_can_never_be_is_refused_with_its_number() {
    let server = server().start();
    let huge = json!({"limits": {"disk_bytes": 16_u64 << 40}});
    server.register("huge", "shell", "true", huge).await;
    let request = json!({"script": "huge"});
    let (status, problem) = server.post("/api/v1/executions", &request).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(problem.to_string().contains("limits.disk_bytes of 16 TiB"), "{problem:#}");
    let body = json!({"name": "bad", "script_type": "shell", "source": "true", "exec": false,
        "limits": {"disk_bytes": 1 << 30}});
    let (status, problem) = server.post("/api/v1/admin/scripts", &body).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem:#}");
    assert!(problem.to_string().contains("exec is off"), "{problem:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_kill_of_the_server_files_are_kept_by_the_next() {
    let (mut server, gate) = gated(server());
    let source = format!("{WAITS}echo content >out/file");
    let settings = json!({"mounts": gate.mounts(), "limits": {"disk_bytes": 32 << 20}});
    server.register("waits", "shell", &source, settings).await;
    let id = server.submit(&json!({"script": "waits"})).await;
    server.reaches(&id, "running").await;
    server.kill();
    gate.open();
    server.start();
    let execution = server.ended(&id).await;
    assert_eq!(execution["status"], "completed", "{execution:#}");
    assert_eq!(artifact(&server, &execution, "file").await, b"content\n");
    folders_are_gone(&server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_were_moved_before_the_end_was_stored_are_not_lost() {
    let (mut server, gate) = gated(server().env("GANTRY_STOP_TIMEOUT", "1s"));
    let source = format!("{WAITS}echo a >out/a; echo b >out/b");
    let settings = json!({"mounts": gate.mounts(), "limits": {"disk_bytes": 32 << 20}});
    server.register("waits", "shell", &source, settings).await;
    let id = server.submit(&json!({"script": "waits"})).await;
    server.reaches(&id, "running").await;
    let url = format!("sqlite://{}", server.home.data_dir().join("gantry.db").display());
    let mut other = SqliteConnection::connect(&url).await.unwrap();
    sqlx::raw_sql("BEGIN EXCLUSIVE").execute(&mut other).await.unwrap();
    gate.open();
    server
        .until("it tries again", async || {
            server.read_log().contains("files of the execution are kept")
        })
        .await;
    server.kill();
    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
    other.close().await.unwrap();
    server.start();
    let execution = server.ended(&id).await;
    assert_eq!(execution["status"], "completed", "{execution:#}");
    assert_eq!(artifact(&server, &execution, "b").await, b"b\n");
    folders_are_gone(&server).await;
}

/// Puts the data folder where the engine does not see it, and becomes the server.
const UNSEEN: &str = "mount -t tmpfs none \"$DISK\" && \
     cp -a \"$GANTRY_DATA_DIR/.\" \"$DISK\" && GANTRY_DATA_DIR=$DISK exec \"$@\"";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_that_the_engine_does_not_see_is_told_at_the_first_start() {
    let builder = server();
    let disk_folder = builder.folder().join("disk");
    fs::create_dir(&disk_folder).unwrap();
    let within = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", UNSEEN, "sh"];
    let server = builder.env("DISK", disk_folder.to_str().unwrap()).within(&within).start();
    server.register("leaves", "shell", "true", disk(32)).await;
    let execution = server.run(&json!({"script": "leaves"})).await;
    assert_eq!(execution["error_kind"], "sandbox_failed", "{execution:#}");
    let said = "the container engine does not see the folder of the sandbox";
    assert_eq!(execution["error_message"], said);
}

/// Gives the data folder to another user, who becomes the server.
fn unprivileged(builder: ServerBuilder) -> Server {
    const USER: u32 = 54_321;
    let group = fs::metadata("/var/run/docker.sock").unwrap().gid();
    give(builder.folder(), USER);
    let ids = [format!("--reuid={USER}"), format!("--regid={USER}"), format!("--groups={group}")];
    let within: Vec<_> = ["setpriv"].into_iter().chain(ids.iter().map(String::as_str)).collect();
    builder.within(&within).start()
}

fn give(path: &Path, user: u32) {
    chown(path, Some(user), Some(user)).unwrap();
    for entry in fs::read_dir(path).unwrap().flatten() {
        let kind = entry.file_type().unwrap();
        if kind.is_symlink() {
            // Shared with all tests, and root's.
            fs::remove_file(entry.path()).unwrap();
        } else if kind.is_dir() {
            give(&entry.path(), user);
        } else {
            chown(entry.path(), Some(user), Some(user)).unwrap();
        }
    }
}

#[tokio::test]
async fn a_server_without_privileges_does_it_as_well() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let server = unprivileged(server());
    let source = "mkdir -p -m 700 out/closed tmp/closed/deep; echo x >out/closed/file
        echo y >tmp/closed/deep/file; chmod 0 out/closed/file out/closed tmp/closed/deep tmp/closed";
    server.register("leaves", "shell", source, disk(32)).await;
    let execution = server.run(&json!({"script": "leaves"})).await;
    assert_eq!(execution["status"], "completed", "{execution:#}");
    assert_eq!(artifact(&server, &execution, "closed/file").await, b"x\n");
    // Its PID 1 can't empty the folder any more.
    let source = "mkdir -m 700 tmp/own; echo x >tmp/own/file; echo began; sleep 600";
    server.register("waits", "shell", source, disk(32)).await;
    let id = server.submit(&json!({"script": "waits"})).await;
    let path = format!("/api/v1/executions/{id}");
    let container = async || {
        let (_, execution) = server.get(&path).await;
        execution["sandbox"]["container_id"].as_str().map(str::to_owned)
    };
    server.reaches(&id, "running").await;
    let mut events = crate::stream::follow(&server, &id, None).await;
    events.next_of("stdout").await;
    drop(events);
    let name = container().await.unwrap();
    let killed = std::process::Command::new("docker").args(["kill", &name]).output().unwrap();
    assert!(killed.status.success(), "{killed:?}");
    assert_eq!(server.ended(&id).await["error_kind"], "lost");
    folders_are_gone(&server).await;
}
