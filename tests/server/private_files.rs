//! The data folder is for the server's own account alone, whatever the umask.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::testkit::server::{ServerBuilder, server};

/// A server that is started with a umask which takes no right from anybody.
fn generous() -> ServerBuilder {
    server().within(&["sh", "-c", "umask 000; exec \"$@\"", "sh"])
}

/// All that is in a folder, itself included, but for links.
fn all(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![folder.to_owned()];
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let kind = entry.file_type().unwrap();
        // Its own mode closes the folder of files, and sandboxes read what is in it.
        if entry.file_name() == "files" {
            found.push(entry.path());
        } else if kind.is_dir() {
            found.extend(all(&entry.path()));
        } else if kind.is_file() {
            found.push(entry.path());
        }
    }
    found
}

fn assert_closed(folder: &Path) {
    for path in all(folder) {
        let metadata = fs::symlink_metadata(&path).unwrap();
        let expected = if metadata.is_dir() { 0o700 } else { 0o600 };
        let mode = metadata.permissions().mode() & 0o7777;
        assert_eq!(mode, expected, "{} has mode {mode:04o}", path.display());
    }
}

#[tokio::test]
async fn nothing_of_the_data_folder_is_for_other_users() {
    let mut server = generous().start();
    let others = json!({"requirements": "six==1.16.0"});
    server.register("leaves", "python", "open('out/a', 'w').write('x')", others).await;
    let execution = server.run(&json!({"script": "leaves"})).await;
    assert_eq!(execution["artifacts"][0]["name"], "a", "{execution:#}");
    let data_dir = server.home.data_dir();
    assert_closed(&data_dir);
    // As an earlier version would have left it.
    server.stop();
    for path in all(&data_dir) {
        let mode = if path.is_dir() { 0o755 } else { 0o644 };
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    }
    server.start();
    assert_closed(&data_dir);
    assert_eq!(server.run(&json!({"script": "leaves"})).await["status"], "completed");
    assert_closed(&data_dir);
}

#[tokio::test]
async fn a_database_elsewhere_is_for_nobody_else_either() {
    let builder = generous();
    let folder = builder.folder().join("elsewhere");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
    let url = format!("sqlite:{}/my.db", folder.display());
    let server = builder.env("GANTRY_DATABASE_URL", url).start();
    server.register("a", "shell", "true", json!({})).await;
    let files = all(&folder);
    assert!(files.len() > 3, "{files:?}");
    for path in files.iter().filter(|path| path.is_file()) {
        let mode = fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode, 0o600, "{}", path.display());
    }
}

#[test]
fn doctor_says_that_a_database_elsewhere_is_open() {
    let builder = server();
    let folder = builder.folder().join("elsewhere");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
    let database = folder.join("my.db");
    fs::write(&database, "").unwrap();
    for (mode, expected) in [(0o640, Some("(mode 0640)")), (0o600, None)] {
        fs::set_permissions(&database, Permissions::from_mode(mode)).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_gantry"))
            .args(["doctor", "--json"])
            .env("GANTRY_DATA_DIR", builder.folder().join("data"))
            .env("GANTRY_DATABASE_URL", format!("sqlite:{}", database.display()))
            // Only the engine is looked at afterwards.
            .env("DOCKER_HOST", "unix:///nowhere/at/all.sock")
            .output()
            .unwrap();
        let findings: Value = serde_json::from_slice(&output.stdout).unwrap();
        let found = findings.as_array().unwrap().iter().find(|it| it["subject"] == "database file");
        let seen = found.map(|it| it["seen"].as_str().unwrap());
        assert_eq!(seen.is_some(), expected.is_some(), "{findings:#}");
        assert!(expected.is_none_or(|it| seen.unwrap().contains(it)), "{findings:#}");
    }
}
