//! `gantry doctor --probe`: what a hostile script would try, in every kind of sandbox.

use crate::testkit::engine;
use crate::testkit::home::ensure_images;
use crate::testkit::run::Run;
use crate::testkit::running::eventually;
use serde_json::{Value, json};

/// `gantry doctor --probe` with images that are there.
fn probe(arguments: &[&str]) -> Run {
    ensure_images();
    Run::command(&[&["doctor", "--probe"], arguments].concat())
}

#[test]
fn every_kind_of_sandbox_refuses_and_allows_what_it_should() {
    let ended = probe(&["--json"]).end();
    let all = ended.json();
    let all = all.as_array().unwrap();
    let kind = |it: &Value| json!([it["image"], it["network"], it["exec"]]);
    let kinds: Vec<_> = all.iter().map(kind).collect();
    let expected = [
        json!(["shell", "none", true]),
        json!(["shell", "egress", true]),
        json!(["python", "none", true]),
        json!(["python", "egress", true]),
        json!(["binary", "none", true]),
        json!(["binary", "egress", true]),
        json!(["binary", "none", false]),
    ];
    assert_eq!(kinds, expected);
    for sandbox in all {
        assert_eq!(sandbox["error"], Value::Null, "{sandbox:#}");
        let checks = sandbox["checks"].as_array().unwrap();
        let unmet: Vec<_> = checks.iter().filter(|it| it["is_met"] != true).collect();
        assert!(unmet.is_empty(), "{} {}: {unmet:#?}", sandbox["image"], sandbox["network"]);
        assert!(checks.len() > 200, "only {} were tried", checks.len());
    }
    assert_eq!(ended.code, 0, "{ended:?}");
}

#[test]
fn people_are_shown_what_was_tried_expected_and_found() {
    let ended = probe(&[]).end().with_success();
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let rows: Vec<_> = ended.text().lines().map(words).collect();
    for row in [
        ["AF_ALG", "refused", "EPERM", "ok", "all"],
        ["io_uring_setup", "refused", "EPERM", "ok", "all"],
        ["loopback", "done", "done", "ok", "all"],
    ] {
        assert!(rows.iter().any(|it| it == &row), "{row:?}: {ended:?}");
    }
    assert!(!ended.text().contains("NOT ok"), "{ended:?}");
}

#[test]
fn a_probe_that_is_interrupted_leaves_nothing() {
    let running = probe(&[]).start();
    eventually("it probes", || !engine::containers(running.installation()).is_empty());
    running.signal("INT");
    assert_eq!(running.end().code, 130);
}

#[test]
fn what_can_not_be_probed_is_not_ok() {
    let ended = probe(&["--json"]).env("GANTRY_OCI_RUNTIME", "no-such-runtime").end();
    assert_eq!(ended.code, 1, "{ended:?}");
    for sandbox in ended.json().as_array().unwrap() {
        assert!(sandbox["error"].as_str().unwrap().contains("no-such-runtime"), "{sandbox:#}");
        assert_eq!(sandbox["checks"].as_array().unwrap().len(), 0);
    }
}
