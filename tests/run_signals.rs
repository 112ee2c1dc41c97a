//! `gantry run`: Ctrl-C and TERM end a run and leave nothing; KILL leaves a
//! container that ends by itself.

mod support;

use std::time::Instant;

use support::engine;
use support::run::{python, shell};
use support::running::eventually;

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
