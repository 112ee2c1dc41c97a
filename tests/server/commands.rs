//! The client's commands against a real server.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::process::Output;

use serde_json::{Value, json};

use crate::testkit::server::{Server, server};

/// Code, stdout and stderr of a command.
fn gantry(server: &Server, arguments: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = server.command(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap_or(-1), text(stdout), text(stderr))
}

/// stdout of a command that succeeds.
#[track_caller]
fn done(server: &Server, arguments: &[&str]) -> String {
    let (code, stdout, stderr) = gantry(server, arguments);
    assert_eq!(code, 0, "{arguments:?}: {stdout}{stderr}");
    stdout
}

#[track_caller]
fn json_of(server: &Server, arguments: &[&str]) -> Value {
    serde_json::from_str(&done(server, arguments)).unwrap()
}

#[test]
fn scripts_are_registered_shown_and_tried() {
    let server = server().start();
    let file = server.home.path().join("add.sh");
    std::fs::write(&file, "#!/bin/bash\njq .a+.b\n").unwrap();
    let file = file.to_str().unwrap();
    done(&server, &["scripts", "register", file, "--name", "add", "--timeout", "30s"]);
    assert!(done(&server, &["scripts", "list"]).contains("add"));
    let shown = json_of(&server, &["scripts", "show", "add", "--json"]);
    assert_eq!((&shown["name"], &shown["timeout_secs"]), (&json!("add"), &json!(30)));
    done(&server, &["scripts", "update", "add", "--warm", "3"]);
    let shown = done(&server, &["scripts", "show", "add"]);
    assert!(shown.lines().any(|line| line.starts_with("held ready") && line.ends_with('3')));
    let (code, _, said) = gantry(&server, &["scripts", "update", "add", "--preload", "off"]);
    assert!(code != 0 && said.contains("only python scripts do"), "{said}");
    let input = "--input={\"a\": 1, \"b\": 2}";
    assert_eq!(done(&server, &["scripts", "test", "add", input]), "3\n");
    std::fs::write(file, "exit 7").unwrap();
    done(&server, &["scripts", "update", "add", file]);
    assert_eq!(gantry(&server, &["scripts", "test", "add"]).0, 7);
    let versions = json_of(&server, &["scripts", "versions", "add", "--json"]);
    assert_eq!(versions.as_array().unwrap().len(), 2, "{versions:#}");
    done(&server, &["scripts", "activate", "add", "1"]);
    assert_eq!(done(&server, &["scripts", "source", "add"]), "#!/bin/bash\njq .a+.b\n");
    done(&server, &["scripts", "disable", "add"]);
    assert_ne!(gantry(&server, &["scripts", "test", "add"]).0, 0);
    done(&server, &["scripts", "enable", "add"]);
    done(&server, &["scripts", "remove", "add"]);
}

#[test]
fn scripts_are_tagged_and_listed_by_their_tags() {
    let server = server().start();
    let file = server.home.path().join("paint.sh");
    std::fs::write(&file, "true").unwrap();
    let file = file.to_str().unwrap();
    done(&server, &["scripts", "register", file, "--tag", "print", "--tag", "colour"]);
    done(&server, &["scripts", "register", file, "--name", "plain", "--tag", "print"]);
    let list = |tags: &[&str]| done(&server, &[&["scripts", "list"], tags].concat());
    let both = list(&["--tag", "print"]);
    assert!(both.contains("TAGS") && both.contains("plain"), "{both}");
    let one = list(&["--tag", "print", "--tag", "colour"]);
    assert!(one.contains("print colour") && !one.contains("plain"), "{one}");
    done(&server, &["scripts", "update", "paint", "--tag", "v2"]);
    let shown = done(&server, &["scripts", "show", "paint"]);
    assert!(shown.lines().any(|line| line.starts_with("tags") && line.ends_with(" v2")), "{shown}");
    done(&server, &["scripts", "update", "paint", "--clear", "tags"]);
    let shown = json_of(&server, &["scripts", "show", "paint", "--json"]);
    assert_eq!((&shown["tags"], &shown["version"]), (&json!([]), &json!(1)));
    for wrong in [&["update", "paint", "--tag", "Print"][..], &["list", "--tag", "a/b"]] {
        let (code, _, said) = gantry(&server, &[&["scripts"], wrong].concat());
        assert!(code != 0 && said.contains("is not a tag"), "{said}");
    }
    let twice = ["scripts", "update", "paint", "--tag", "a", "--tag", "a"];
    let (code, _, said) = gantry(&server, &twice);
    assert!(code != 0 && said.contains("more than once"), "{said}");
}

#[test]
fn an_environment_is_chosen_and_taken_back() {
    let server = server().start();
    let file = server.home.path().join("grade.py");
    std::fs::write(&file, "print(1)\n").unwrap();
    let file = file.to_str().unwrap();
    done(&server, &["scripts", "register", file]);
    let requirements = server.home.path().join("requirements.txt");
    std::fs::write(&requirements, "six==1.16.0").unwrap();
    let requirements = requirements.to_str().unwrap();
    let chosen = ["--python", "3.13", "--requirements", requirements, "--sources"];
    let warm_up = ["--warm-up", "python3", "--warm-up", "-c", "--warm-up", "pass"];
    done(&server, &[&["scripts", "update", "grade"], &chosen[..], &warm_up].concat());
    let made_of = |version: u64| {
        let versions = json_of(&server, &["scripts", "versions", "grade", "--json"]);
        let all = versions.as_array().unwrap();
        let found = all.iter().find(|it| it["version"] == version).unwrap().clone();
        ["python", "sources", "warm_up"].map(|name| found[name].clone())
    };
    assert_eq!(made_of(2), [json!("3.13"), json!(true), json!(["python3", "-c", "pass"])]);
    let clear = ["--clear", "python", "--clear", "sources", "--clear", "warm-up"];
    done(&server, &[&["scripts", "update", "grade"], &clear[..]].concat());
    assert_eq!(made_of(3), [Value::Null, json!(false), json!([])]);
    let shell = server.home.path().join("list.sh");
    std::fs::write(&shell, "ls").unwrap();
    let shell = shell.to_str().unwrap();
    done(&server, &["scripts", "register", shell, "--warm-up", "true"]);
    let shown = done(&server, &["scripts", "show", "list"]);
    assert!(shown.lines().any(|line| line.starts_with("warm-up") && line.contains("true")));
    let (code, _, said) = gantry(&server, &["scripts", "update", "list", "--python", "3.11"]);
    assert!(code != 0 && said.contains("only python scripts do"), "{said}");
}

#[test]
fn a_folder_of_the_server_is_mounted_where_it_allows_it() {
    let builder = server();
    let folder = builder.folder().join("plates");
    std::fs::create_dir(&folder).unwrap();
    std::fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
    std::fs::write(folder.join("plate"), "sky\n").unwrap();
    let server = builder.env("GANTRY_MOUNT_ROOTS", folder.to_str().unwrap()).start();
    let file = server.home.path().join("show.sh");
    std::fs::write(&file, "cat /in/plate").unwrap();
    let file = file.to_str().unwrap();
    let mount = format!("{}:/in", folder.display());
    done(&server, &["scripts", "register", file, "--mount", &mount]);
    assert_eq!(done(&server, &["executions", "run", "show"]), "sky\n");
    let shown = json_of(&server, &["scripts", "show", "show", "--json"]);
    assert_eq!(shown["mounts"][0]["target"], "/in", "{shown:#}");
    for (mount, expected) in [
        ("/etc:/in", "it is not there, or not below one of GANTRY_MOUNT_ROOTS"),
        ("/etc", "hint: for example /data/in:/in"),
    ] {
        let register = ["scripts", "register", file, "--name", "other", "--mount", mount];
        let (code, _, said) = gantry(&server, &register);
        assert!(code != 0 && said.contains(expected), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_execution_is_shown_however_much_it_said() {
    let server = server().start();
    let bytes = 70 << 20;
    let source = format!("head -c {bytes} /dev/zero | tr '\\0' x");
    let others = json!({"limits": {"output_bytes": bytes}});
    server.register("says", "shell", &source, others).await;
    let id = server.submit(&json!({"script": "says"})).await;
    server.reaches(&id, "completed").await;
    let shown = json_of(&server, &["executions", "show", &id, "--json"]);
    assert_eq!(shown["stdout_log"].as_str().unwrap().len(), bytes);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn executions_are_run_followed_waited_for_and_cancelled() {
    let server = server().start();
    let source = "cat; echo said >&2; echo kept > out/file; exit ${CODE:-0}";
    server.register("says", "shell", source, json!({})).await;
    server.register("sleeps", "shell", "echo began; exec sleep 600", json!({})).await;
    let run = ["executions", "run", "says", "--input", "[1]", "--job-id", "j"];
    let (code, stdout, stderr) = gantry(&server, &run);
    assert_eq!((code, stdout.as_str()), (0, "[1]"), "{stderr}");
    assert!(stderr.contains("said"), "{stderr}");
    assert_eq!(gantry(&server, &[&run[..], &["--env", "CODE=7"]].concat()).0, 7);
    let listed = json_of(&server, &["executions", "list", "--job-id", "j", "--json"]);
    assert_eq!(listed.as_array().unwrap().len(), 2, "{listed:#}");
    // Its former name.
    assert_eq!(json_of(&server, &["executions", "list", "--job", "j", "--json"]), listed);
    let id = listed[1]["id"].as_str().unwrap();
    assert_eq!(done(&server, &["executions", "logs", id]), "[1]");
    assert_eq!(done(&server, &["executions", "logs", "-f", id]), "[1]");
    assert_eq!(gantry(&server, &["executions", "wait", id]).0, 0);
    assert!(done(&server, &["executions", "artifacts", id]).contains("file"));
    let taken = server.home.path().join("taken");
    done(&server, &["executions", "artifacts", id, "--output", taken.to_str().unwrap()]);
    assert_eq!(std::fs::read_to_string(taken.join("file")).unwrap(), "kept\n");
    let id = done(&server, &["executions", "run", "sleeps", "--detach"]);
    let id = id.trim();
    server.reaches(id, "running").await;
    done(&server, &["executions", "cancel", id]);
    assert_eq!(gantry(&server, &["executions", "wait", id]).0, 130);
    let shown = json_of(&server, &["executions", "show", id, "--json"]);
    assert_eq!(shown["status"], "cancelled", "{shown:#}");
}

#[test]
fn tokens_are_made_listed_and_revoked() {
    let server = server().start();
    let token = done(&server, &["token", "create", "pipeline", "--role", "viewer"]);
    assert!(done(&server, &["token", "list"]).contains("pipeline"));
    let list = || {
        let mut command = server.command(&["executions", "list"]);
        command.env("GANTRY_TOKEN", token.trim()).output().unwrap()
    };
    assert!(list().status.success());
    done(&server, &["token", "revoke", "pipeline"]);
    let refused = list();
    assert_eq!(refused.status.code(), Some(1), "{}", String::from_utf8_lossy(&refused.stderr));
}
