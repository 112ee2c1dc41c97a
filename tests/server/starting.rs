//! Servers that start, and those that refuse to.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use reqwest::StatusCode;
use serde_json::json;

use crate::testkit::postgres;
use crate::testkit::server::{serve, server};

#[tokio::test]
async fn a_second_server_on_the_same_folder_is_refused() {
    let server = server().start();
    let output = serve(&server.home.data_dir(), &[], &[]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{said}");
    assert!(said.contains("another gantry serve uses the data folder"), "{said}");
    assert!(said.contains("hint: "), "{said}");
    assert_eq!(server.get("/readyz").await.0, StatusCode::OK);
}

#[test]
fn plain_http_for_everybody_has_to_be_asked_for() {
    let (code, said) = server().env("GANTRY_LISTEN", "0.0.0.0:0").refused();
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("unencrypted") && said.contains("--allow-plain-http"), "{said}");
}

#[test]
fn no_password_of_a_database_is_said() {
    for url in [
        "postgres://me:s3cret@127.0.0.1:1/gantry",
        "postgres://me:s3cret@127.0.0.1:port/gantry",
        "postgres://me:s3cret@[::/gantry",
        "mysql://me:s3cret@127.0.0.1/gantry",
        "me:s3cret@127.0.0.1",
    ] {
        let (code, said) = server().env("GANTRY_DATABASE_URL", url).refused();
        assert_eq!(code, 1, "{url}: {said}");
        assert!(said.contains("error: ") && !said.contains("s3cret"), "{url}: {said}");
    }
}

#[test]
fn an_admins_token_that_can_be_guessed_is_refused_or_warned_of() {
    let (code, said) = server().env("GANTRY_ADMIN_TOKEN", "passwordpassword").refused();
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("is guessed within little time") && said.contains("hint: "), "{said}");
    let mut server = server().env("GANTRY_ADMIN_TOKEN", "0123456789abcdef").start();
    let log = server.read_log();
    assert!(log.contains("GANTRY_ADMIN_TOKEN may be guessed"), "{log}");
    assert!(!log.contains("0123456789abcdef"), "{log}");
    server.stop();
}

#[test]
fn the_first_admins_token_is_printed_once_and_works() {
    let home = crate::testkit::home::Home::new();
    let mut printed = Vec::new();
    for _ in 0..2 {
        let mut command = serve(&home.data_dir(), &[], &[]);
        let command = command.env_remove("GANTRY_ADMIN_TOKEN").stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::null()).spawn().unwrap();
        let (mut token, mut url) = (None, None);
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            token = token.or(line.strip_prefix("admin token: ").map(str::to_owned));
            url = line.strip_prefix("listening on ").map(str::to_owned);
            if url.is_some() {
                break;
            }
        }
        printed.extend(token);
        let mut list = std::process::Command::new(env!("CARGO_BIN_EXE_gantry"));
        list.args(["token", "list"]).env("GANTRY_URL", url.unwrap());
        let listed = list.env("GANTRY_TOKEN", &printed[0]).output().unwrap();
        crate::testkit::home::system("kill", &["-TERM", &child.id().to_string()]);
        assert!(child.wait().unwrap().success());
        assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    }
    assert_eq!(printed.len(), 1, "printed {} times", printed.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_postgres_everything_is_the_same() {
    let database = postgres::database().await;
    let mut server = server().env("GANTRY_DATABASE_URL", database.url()).start();
    server.register("add", "shell", "jq .a+.b; echo x > out/file", json!({})).await;
    let request = json!({"script": "add", "input": {"a": 1, "b": 2}, "job_id": "nightly"});
    let execution = server.run(&request).await;
    assert_eq!(execution["output_data"], 3, "{execution:#}");
    let id = execution["id"].as_str().unwrap();
    let events = crate::stream::follow(&server, id, None).await.rest().await;
    assert_eq!(crate::stream::text_of(&events, "stdout"), "3\n");
    server.stop();
    server.start();
    assert_eq!(server.get(&format!("/api/v1/executions/{id}")).await.1, execution);
    assert_eq!(server.count("/api/v1/executions?job_id=nightly&status=completed").await, 1);
    server.stop();
}
