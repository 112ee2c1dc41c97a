//! `gantry run`: Ctrl-C, TERM and a closed terminal end a run and leave nothing;
//! KILL leaves a container that ends by itself. With an engine that is sick,
//! nobody has to wait for it.

use std::time::Instant;

use crate::testkit::engine;
use crate::testkit::run::{Run, python, shell};
use crate::testkit::running::eventually;
use crate::testkit::sick_engine::SickEngine;

/// Says that it is there, and when it is asked to end.
const WAITS: &str = "trap 'echo asked >&2; exit 0' TERM; echo ready >&2; sleep 600 & wait";

#[test]
fn ctrl_c_cancels_and_cleans_up() {
    let running = shell(WAITS).start();
    running.wait_for("ready");
    running.signal("INT");
    running.end().with(130, &["asked", "cancelled"]);
}

#[test]
fn term_cancels_and_cleans_up() {
    let running = shell(WAITS).arg("--json").start();
    running.wait_for("ready");
    running.signal("TERM");
    let ended = running.end().with(130, &["asked", "cancelled"]);
    assert_eq!(ended.json()["status"], "cancelled");
}

#[test]
fn a_terminal_that_closes_cancels_and_cleans_up() {
    // However these tests themselves were started.
    let running = shell(WAITS).in_shell("exec env --default-signal=HUP \"$@\"").start();
    running.wait_for("ready");
    running.signal("HUP");
    running.end().with(130, &["asked", "cancelled"]);
}

#[test]
fn under_nohup_a_terminal_that_closes_changes_nothing() {
    let run = shell("echo ready >&2; sleep 1; exit 3");
    let running = run.in_shell("exec env --ignore-signal=HUP \"$@\"").start();
    running.wait_for("ready");
    running.signal("HUP");
    running.end().with(3, &[]);
}

#[test]
fn a_script_that_ignores_the_cancel_is_killed() {
    let running = shell("trap '' TERM; echo ready >&2; while :; do sleep 0.1; done").start();
    running.wait_for("ready");
    running.signal("INT");
    let asked = Instant::now();
    running.end().with(130, &["cancelled"]);
    assert!(asked.elapsed().as_secs() < 20);
}

#[test]
fn a_second_ctrl_c_does_not_wait_for_the_script() {
    let running = shell("trap '' TERM; echo ready >&2; while :; do sleep 0.1; done").start();
    running.wait_for("ready");
    running.signal("INT");
    running.signal("INT");
    running.end().with(130, &[]);
}

#[test]
fn ctrl_c_does_not_wait_for_a_removal_that_takes_long() {
    let engine = SickEngine::silent_on("DELETE ");
    let mut running = shell("exit 3").env("DOCKER_HOST", engine.host()).start();
    running.wait_for("is still being removed");
    running.signal("INT");
    // What came of the script is known.
    assert_eq!(running.wait().code(), Some(3));
    let said = running.said();
    assert!(said.contains("note: container gantry-"), "{said}");
    assert!(said.contains("may be left; `gantry doctor` lists it"), "{said}");
}

#[test]
fn after_a_second_ctrl_c_one_more_does_not_wait_for_the_removal() {
    let engine = SickEngine::silent_on("DELETE ");
    let run = shell("trap '' TERM; echo ready >&2; while :; do sleep 0.1; done");
    let mut running = run.env("DOCKER_HOST", engine.host()).start();
    running.wait_for("ready");
    running.signal("INT");
    running.signal("INT");
    running.wait_for("is still being removed");
    running.signal("INT");
    assert_eq!(running.wait().code(), Some(130));
    let said = running.said();
    assert!(said.contains("may be left; `gantry doctor` lists it"), "{said}");
}

#[test]
fn ctrl_c_does_not_wait_for_a_reader_that_does_not_read() {
    // A pipe with a reader, who never reads.
    let run = shell("echo ready >&2; head -c 1M /dev/zero");
    let running = run.in_shell("mkfifo unread; exec \"$@\" 3<>unread >&3").start();
    running.wait_for("ready");
    eventually("the script has ended", || engine::containers(running.installation()).is_empty());
    running.signal("INT");
    running.end().with(130, &[]);
}

#[test]
fn ctrl_c_works_before_anything_runs() {
    let running = shell("cat").args(["--input", "-"]).open_stdin().start();
    eventually("it listens", || running.listens_for_interrupts());
    running.signal("INT");
    running.end().with(130, &[]);
}

#[test]
fn ctrl_c_ends_the_build_of_an_environment() {
    let nowhere = "http://127.0.0.1:9/simple";
    let running =
        python("print(1)").requirements("markupsafe").env("PIP_INDEX_URL", nowhere).start();
    // uv tries for several seconds to reach the index.
    eventually("it builds", || !engine::containers(running.installation()).is_empty());
    running.signal("INT");
    running.end().with(130, &[]);
}

#[test]
fn ctrl_c_ends_a_build_and_the_waiting_for_one() {
    let engine = SickEngine::silent_on("/images/create");
    let build = || {
        let base = "127.0.0.1:9/gantry/nowhere";
        Run::command(&["images", "build", "--base-image", base])
    };
    let first = build().env("DOCKER_HOST", engine.host()).start();
    first.wait_for("127.0.0.1:9/gantry/nowhere");
    // Its locks are there for all.
    let second = build().start();
    second.wait_for("waiting for another process");
    for running in [second, first] {
        running.signal("INT");
        let asked = Instant::now();
        running.end().with(1, &["cancelled"]);
        assert!(asked.elapsed().as_secs() < 10);
    }
}

#[test]
fn a_run_that_is_killed_leaves_a_container_that_ends_by_itself() {
    let mut running = shell("echo ready >&2; sleep 2; exit 3").start();
    running.wait_for("ready");
    running.signal("KILL");
    running.wait();
    let containers = engine::containers(running.installation());
    assert_eq!(containers.len(), 1);
    eventually("it ends", || engine::has_ended(&containers[0]));
}

#[test]
fn a_run_that_is_killed_leaves_a_container_that_keeps_its_deadline() {
    let source = "trap '' TERM; echo ready >&2; while :; do sleep 0.1; done";
    let mut running = shell(source).args(["--timeout", "3s"]).start();
    running.wait_for("ready");
    running.signal("KILL");
    running.wait();
    let containers = engine::containers(running.installation());
    assert_eq!(containers.len(), 1);
    eventually("it ends", || engine::has_ended(&containers[0]));
}
