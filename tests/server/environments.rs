//! Environments are built when a script is registered, and say how it went.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::testkit::engine;
use crate::testkit::index::{Index, SilentIndex, Wheel};
use crate::testkit::server::{Server, server};
use crate::testkit::sick_engine::SickEngine;

#[tokio::test]
async fn requirements_are_built_in_the_background_and_their_log_is_kept() {
    let server = server().start();
    let source = "import six; print(six.__version__)";
    // Nobody has built it before: one that is found has no log and no lock of this server.
    let marker = format!("os_name != \"{}\"", uuid::Uuid::new_v4().simple());
    let others = json!({"requirements": format!("six==1.16.0; {marker}")});
    let script = server.register("six", "python", source, others).await;
    let environment = &script["environment"];
    let status = environment["status"].as_str().unwrap();
    assert!(["queued", "building", "ready"].contains(&status), "{environment:#}");
    let path = format!("/api/v1/admin/environments/{}", environment["key"].as_str().unwrap());
    server.until("it is ready", async || server.get(&path).await.1["status"] == "ready").await;
    let (_, environment) = server.get(&path).await;
    assert!(environment["lock"].as_str().unwrap().contains("six==1.16.0"), "{environment:#}");
    let log = server.request(reqwest::Method::GET, &format!("{path}/log")).send().await.unwrap();
    assert_eq!(log.status(), StatusCode::OK);
    assert_ne!(log.text().await.unwrap(), "");
    let execution = server.run(&json!({"script": "six"})).await;
    assert_eq!(execution["stdout_log"], "1.16.0\n", "{execution:#}");
    assert_eq!(execution["sandbox"]["image"], environment["image"]);
}

/// Log of a server of its own about a build with packages of an index.
async fn log_of_build(index: &Index, requirements: &str) -> String {
    let host = engine::gateway("gantry-build");
    let url = format!("http://{host}:{}/simple/", index.port);
    let server = server().env("PIP_INDEX_URL", url).env("NO_PROXY", host).start();
    let others = json!({"requirements": requirements});
    let script = server.register("uses", "python", "print(1)", others).await;
    let key = script["environment"]["key"].as_str().unwrap();
    let path = format!("/api/v1/admin/environments/{key}");
    let status = async || server.get(&path).await.1["status"].clone();
    server
        .until("it is built", async || {
            ["ready", "failed"].contains(&status().await.as_str().unwrap())
        })
        .await;
    let log = server.request(reqwest::Method::GET, &format!("{path}/log")).send().await.unwrap();
    log.text().await.unwrap()
}

#[tokio::test]
async fn packages_of_one_installation_are_kept_for_others() {
    // Nobody has built them before.
    let content = uuid::Uuid::new_v4().to_string();
    let wheels = ["gantrytestkept", "gantrytestnew"];
    let wheels = wheels.map(|name| Wheel::new(name).with("content", content.clone()));
    let index = Index::of(wheels.into());
    let log = log_of_build(&index, "gantrytestkept").await;
    assert!(log.contains("0 of 1 packages are in the cache"), "{log}");
    let log = log_of_build(&index, "gantrytestkept\ngantrytestnew").await;
    assert!(log.contains("1 of 2 packages are in the cache"), "{log}");
}

#[tokio::test]
async fn a_failed_build_says_why_and_a_mended_script_runs() {
    let server = server().start();
    let name = "gantry-tests-know-that-there-is-none";
    let others = json!({"requirements": name});
    let script = server.register("broken", "python", "print(1)", others).await;
    let execution = server.run(&json!({"script": "broken"})).await;
    assert_eq!(execution["error_kind"], "environment_failed", "{execution:#}");
    let message = execution["error_message"].as_str().unwrap();
    assert!(message.contains(name) && message.contains("not found"), "{message}");
    let path = format!("/api/v1/admin/scripts/{}", script["id"]);
    let (_, shown) = server.get(&path).await;
    assert_eq!(shown["environment"]["status"], "failed", "{shown:#}");
    assert!(shown["environment"]["error"].as_str().unwrap().contains(name), "{shown:#}");
    let (status, mended) = server.put(&path, &json!({"requirements": null})).await;
    assert_eq!((status, &mended["version"]), (StatusCode::OK, &json!(2)), "{mended:#}");
    let execution = server.run(&json!({"script": "broken"})).await;
    assert_eq!(execution["output_data"], 1, "{execution:#}");
}

#[tokio::test]
async fn a_version_that_can_not_be_built_does_not_run() {
    let server = server().start();
    let script = server.register("keeps", "python", "print(1)", json!({})).await;
    let path = format!("/api/v1/admin/scripts/{}", script["id"]);
    let name = "gantry-tests-know-that-there-is-none";
    let (_, changed) = server.put(&path, &json!({"requirements": name})).await;
    assert_eq!(changed["pending"]["version"], 2, "{changed:#}");
    let pending = async || server.get(&path).await.1["pending"]["environment"].clone();
    server.until("it can't be built", async || pending().await["status"] == "failed").await;
    assert!(pending().await["error"].as_str().unwrap().contains(name));
    let execution = server.run(&json!({"script": "keeps"})).await;
    assert_eq!((&execution["version"], &execution["output_data"]), (&json!(1), &json!(1)));
}

#[tokio::test]
async fn a_version_whose_build_was_cut_short_becomes_current_after_the_next_start() {
    let index = SilentIndex::listen().await;
    let mut server = server().env("PIP_INDEX_URL", index.url()).start();
    let script = server.register("waits", "python", "print(1)", json!({})).await;
    let path = format!("/api/v1/admin/scripts/{}", script["id"]);
    let change = json!({"system_packages": ["tree"], "requirements": "gantry-tests-wait-for-this"});
    let (_, changed) = server.put(&path, &change).await;
    assert_eq!(changed["pending"]["version"], 2, "{changed:#}");
    server.kill();
    drop(index);
    server.start();
    assert_eq!(server.run(&json!({"script": "waits"})).await["version"], 1);
    let (_, changed) = server.put(&path, &json!({"requirements": null})).await;
    assert_eq!(changed["pending"]["version"], 3, "{changed:#}");
    server.kill();
    server.start();
    let version = async || server.get(&path).await.1["version"].clone();
    server.until("its packages are there", async || version().await == 3).await;
    assert_eq!(server.run(&json!({"script": "waits"})).await["version"], 3);
}

const VERSION: &str = "import sys; print(*sys.version_info[:2], sep='.')";

#[tokio::test]
async fn a_script_runs_with_the_python_that_it_asks_for() {
    let server = server().start();
    let source = format!("#!/usr/bin/env python3.11\n{VERSION}");
    let by_shebang = server.register("shebang", "python", &source, json!({})).await;
    assert_eq!(by_shebang["environment"]["python"], "3.11", "{by_shebang:#}");
    let others = json!({"python": "3.11", "requirements": "markupsafe==3.0.2"});
    let source = format!("import markupsafe._speedups\n{VERSION}");
    server.register("chosen", "python", &source, others).await;
    for name in ["shebang", "chosen"] {
        server.is_prepared(name).await;
        let execution = server.run(&json!({"script": name})).await;
        assert_eq!(execution["stdout_log"], "3.11\n", "{execution:#}");
    }
    let path = "/api/v1/admin/scripts/chosen";
    let (_, changed) = server.put(path, &json!({"python": "3.13"})).await;
    assert_eq!(changed["pending"]["version"], 2, "{changed:#}");
    let current = async || server.get(path).await.1["version"].clone();
    server.until("its other Python is there", async || current().await == 2).await;
    let execution = server.run(&json!({"script": "chosen"})).await;
    assert_eq!(execution["stdout_log"], "3.13\n", "{execution:#}");
}

#[tokio::test]
async fn a_script_chooses_that_its_packages_are_built_from_source() {
    let server = server().start();
    let others = json!({"requirements": "docopt==0.6.2"});
    let source = "import docopt; print(docopt.__version__)";
    let script = server.register("source", "python", source, others).await;
    let path = format!("/api/v1/admin/scripts/{}", script["id"]);
    let refused = server.run(&json!({"script": "source"})).await;
    assert_eq!(refused["error_kind"], "environment_failed", "{refused:#}");
    let (_, changed) = server.put(&path, &json!({"sources": true})).await;
    let key = |it: &Value| it["environment"]["key"].clone();
    assert_ne!(key(&changed), key(&script), "{changed:#}");
    let execution = server.run(&json!({"script": "source"})).await;
    assert_eq!(execution["stdout_log"], "0.6.2\n", "{execution:#}");
}

#[tokio::test]
async fn what_a_warm_up_left_is_there_and_one_that_fails_says_why() {
    let server = server().start();
    let source = "test -f kept && cat kept || echo none; echo \"$1\" >kept";
    let others = json!({"file_name": "keeps.sh", "warm_up": ["bash", "keeps.sh", "warmed"]});
    let script = server.register("keeps", "shell", source, others).await;
    let execution = server.run(&json!({"script": "keeps", "args": ["run"]})).await;
    assert_eq!(execution["stdout_log"], "warmed\n", "{execution:#}");
    let path = format!("/api/v1/admin/scripts/{}", script["id"]);
    let failing = json!({"warm_up": ["bash", "-c", "echo no fonts >&2; exit 3"]});
    let (_, changed) = server.put(&path, &failing).await;
    assert_eq!(changed["pending"]["version"], 2, "{changed:#}");
    let pending = async || server.get(&path).await.1["pending"]["environment"].clone();
    server.until("it can't be built", async || pending().await["status"] == "failed").await;
    assert!(pending().await["error"].as_str().unwrap().contains("no fonts"));
    let execution = server.run(&json!({"script": "keeps", "args": ["again"]})).await;
    assert_eq!(execution["stdout_log"], "warmed\n", "{execution:#}");
}

#[tokio::test]
async fn system_packages_are_there() {
    let server = server().start();
    let others = json!({"system_packages": ["tree"]});
    let script = server.register("tree", "shell", "mkdir a; tree --noreport a", others).await;
    let status = script["environment"]["status"].as_str().unwrap();
    assert!(["queued", "building", "ready"].contains(&status), "{script:#}");
    let execution = server.run(&json!({"script": "tree"})).await;
    assert_eq!(execution["stdout_log"], "a\n", "{execution:#}");
    let (_, script) = server.get(&format!("/api/v1/admin/scripts/{}", script["id"])).await;
    assert_eq!(script["environment"]["status"], "ready", "{script:#}");
}

#[tokio::test]
async fn a_build_that_waits_for_a_slot_says_so() {
    let index = SilentIndex::listen().await;
    let server = server().env("GANTRY_MAX_BUILDS", "1").env("PIP_INDEX_URL", index.url()).start();
    let mut paths = Vec::new();
    for name in ["first", "second"] {
        let others = json!({"requirements": format!("gantry-tests-wait-for-{name}")});
        let script = server.register(name, "python", "print(1)", others).await;
        let key = script["environment"]["key"].as_str().unwrap();
        paths.push(format!("/api/v1/admin/environments/{key}/log"));
    }
    let says = async |path: &String| {
        let answer = server.request(reqwest::Method::GET, path).send().await.unwrap();
        answer.text().await.unwrap().contains("waiting for a slot: 1 builds")
    };
    server.until("one waits", async || says(&paths[0]).await != says(&paths[1]).await).await;
}

/// A server with room for one execution, and a script whose environment is being
/// built for as long as there is the index.
async fn building() -> (Server, SilentIndex) {
    let index = SilentIndex::listen().await;
    let server = server().env("GANTRY_MAX_CONCURRENT", "1").env("PIP_INDEX_URL", index.url());
    let server = server.start();
    let others = json!({"requirements": "gantry-tests-wait-for-this"});
    server.register("slow", "python", "print(1)", others).await;
    server.register("quick", "shell", "echo 1", json!({})).await;
    (server, index)
}

async fn execution(server: &Server, id: &str) -> Value {
    server.get(&format!("/api/v1/executions/{id}")).await.1
}

#[tokio::test]
async fn a_build_keeps_nobody_else_from_running() {
    let (server, index) = building().await;
    let first = server.submit(&json!({"script": "slow"})).await;
    let second = server.submit(&json!({"script": "slow"})).await;
    assert_eq!(server.run(&json!({"script": "quick"})).await["status"], "completed");
    for id in [&first, &second] {
        assert_eq!(execution(&server, id).await["status"], "pending");
    }
    let (_, cancelled) =
        server.post(&format!("/api/v1/executions/{first}/cancel"), &json!({})).await;
    assert_eq!(cancelled["status"], "cancelled", "{cancelled:#}");
    drop(index);
    let second = server.ended(&second).await;
    assert_eq!(second["error_kind"], "environment_failed", "{second:#}");
    let told = json!([second["attempt"], second["started_at"], second["sandbox"]]);
    assert_eq!(told, json!([0, null, null]));
    assert_eq!(execution(&server, &first).await["status"], "cancelled");
}

#[tokio::test]
async fn what_waits_for_a_build_when_the_server_is_killed_is_not_lost() {
    let (mut server, index) = building().await;
    let id = server.submit(&json!({"script": "slow"})).await;
    assert_eq!(server.run(&json!({"script": "quick"})).await["status"], "completed");
    server.kill();
    server.start();
    assert_eq!(server.run(&json!({"script": "quick"})).await["status"], "completed");
    let before = execution(&server, &id).await;
    assert_eq!((&before["status"], &before["attempt"]), (&json!("pending"), &json!(0)));
    drop(index);
    let ended = server.ended(&id).await;
    assert_eq!(ended["error_kind"], "environment_failed", "{ended:#}");
}

#[tokio::test]
async fn what_an_outage_has_put_off_is_built_without_anybody_asking() {
    let engine = SickEngine::cut_on("/containers/create");
    let server = server().env("DOCKER_HOST", engine.host()).start();
    // No other test builds this one.
    let others = json!({"requirements": "six==1.15.0"});
    let script = server.register("six", "python", "import six", others).await;
    let path = format!("/api/v1/admin/scripts/{}", script["id"]);
    let failed = "an image could not be built";
    server.until("the engine is out", async || server.read_log().contains(failed)).await;
    let status = async || server.get(&path).await.1["environment"]["status"].clone();
    server.until("it waits again", async || status().await == "queued").await;
    engine.heal();
    server.until("it is built", async || status().await == "ready").await;
    assert_eq!(server.count("/api/v1/executions").await, 0);
}
