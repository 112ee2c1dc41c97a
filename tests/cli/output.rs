//! `gantry run`: what scripts print, byte for byte, and what is kept of it.

use crate::testkit::MIB;
use crate::testkit::run::{Run, path, python, shell};
use serde_json::json;

const GIGABYTE: u64 = 1 << 30;

#[test]
fn stdout_and_stderr_go_where_they_belong() {
    let ended = shell("echo out; echo err >&2").end();
    assert_eq!((ended.code, ended.text(), ended.stderr.as_str()), (0, "out\n", "err\n"));
}

#[test]
fn stderr_is_live() {
    let running = shell("echo ready >&2; read -r -t 600 < <(sleep 600)").start();
    running.wait_for("ready\n");
    running.signal("INT");
    running.end().with(130, &["ready"]);
}

#[test]
fn bytes_of_any_kind_are_not_touched() {
    let source = r"printf 'a\0b\377\xc3(\r\n\033[31m'";
    let ended = shell(source).end().with_success();
    assert_eq!(ended.stdout, b"a\0b\xff\xc3(\r\n\x1b[31m");
    let execution = shell(source).end_with_json().with_success().json();
    assert_eq!(execution["stdout_log"], "a\0b\u{fffd}\u{fffd}(\r\n\u{1b}[31m");
    assert_eq!(execution["stdout_bytes"], 13);
    assert_eq!(execution["stdout_truncated"], false);
}

#[test]
fn every_byte_comes_through_in_order() {
    let source = "import sys, random\nsys.stdout.buffer.write(random.Random(7).randbytes(9 << 20))";
    let once = python(source).end().with_success();
    assert_eq!(once.stdout.len(), 9 * MIB);
    assert_eq!(once.stdout, python(source).end().with_success().stdout);
}

#[test]
fn a_flood_is_cut_and_the_script_neither_blocked_nor_killed() {
    let ended = shell("yes | head -c 1G; echo over >&2").end();
    assert_eq!(ended.stdout.len(), 10 * MIB);
    assert!(ended.stdout.ends_with(b"y\ny\n"));
    ended.with(0, &["over\n", "note: stdout was cut: the script wrote 1 GiB of it"]);
}

#[test]
fn a_flood_is_counted_to_the_byte() {
    let execution = shell("head -c 1G /dev/zero >&2; echo $?").end_with_json().json();
    assert_eq!(execution["status"], "completed");
    assert_eq!(execution["stdout_log"], "0\n");
    assert_eq!(execution["stderr_bytes"], GIGABYTE);
    assert_eq!(execution["stderr_truncated"], true);
    assert_eq!(execution["stdout_truncated"], false);
    let log = execution["stderr_log"].as_str().unwrap();
    let note = "\n[gantry: stderr was cut here, 10485760 of 1073741824 bytes kept]\n";
    assert_eq!((log.len(), log.ends_with(note)), (10 * MIB + note.len(), true));
}

#[test]
fn exactly_as_much_as_is_kept_is_not_cut() {
    let ended = shell("yes | head -c 10485760").end().with_success();
    assert_eq!(ended.stdout.len(), 10 * MIB);
}

#[test]
fn a_script_may_close_its_output_and_go_on() {
    let ended = shell("exec >&-; sleep 0.4; echo still here >&2; exit 4").end();
    assert_eq!(ended.stdout, b"");
    ended.with(4, &["still here"]);
    let ended = shell("echo first; exec >&- 2>&-; sleep 0.4; exit 5").end();
    assert_eq!((ended.code, ended.text()), (5, "first\n"));
}

#[test]
fn a_reader_that_goes_away_ends_the_run() {
    let ended = shell("yes").args(["--timeout", "60s"]).piped_through("head -1").end();
    assert_eq!(ended.text(), "y\n");
    assert!(ended.took.as_secs() < 30, "{ended:?}");
    assert!(ended.stderr.contains("code ") && !ended.stderr.contains("code 0"), "{ended:?}");
}

#[test]
fn a_reader_that_closed_before_anything_was_printed_ends_the_run() {
    let ended = shell("sleep 1; echo x; sleep 60").piped_through("true").end();
    assert!(ended.took.as_secs() < 30, "{ended:?}");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let unread = "{ sleep 1; \"$@\"; echo \"code $?\" >&2; } | true";
    assert_eq!(shell("echo x").in_shell(unread).end().stderr, "code 141\n");
    assert_eq!(shell("echo x").arg("--json").in_shell(unread).end().stderr, "code 141\n");
    let list = Run::command(&["images", "list"]).in_shell(unread);
    assert_eq!(list.end().stderr, "code 141\n");
}

#[test]
fn a_stdout_that_can_not_be_written_to_is_said() {
    let full = "exec \"$@\" >/dev/full";
    let said = ["error: stdout: No space left on device"];
    let ended = shell("echo x; sleep 60").in_shell(full).end().with(125, &said);
    assert!(ended.took.as_secs() < 30, "{ended:?}");
    shell("echo x").arg("--json").in_shell(full).end().with(125, &said);
    Run::command(&["images", "list"]).in_shell(full).end().with(1, &said);
}

#[test]
fn a_message_holds_nothing_that_a_terminal_obeys() {
    let ended = path("no\u{1b}[31mwhere.sh").end();
    ended.with(125, &["error: no\\u{1b}[31mwhere.sh can't be read"]);
}

#[test]
fn a_slow_reader_gets_everything() {
    let ended = shell("yes | head -c 9M").piped_through("{ sleep 3; cat; }").end();
    assert_eq!(ended.stdout.len(), 9 * MIB);
    // Where the machine has much to do, it is said that the removal takes its time.
    assert!(ended.stderr.ends_with("code 0\n"), "{}", ended.stderr);
}

#[test]
fn the_execution_says_all_about_a_run() {
    let run = shell("echo '{\"b\": 1.10}'; echo note >&2").args(["--input", "{\"a\": 1}"]);
    let execution = run.end_with_json().with(0, &["note"]).json();
    for (field, expected) in [
        ("status", json!("completed")),
        ("error_kind", json!(null)),
        ("error_message", json!(null)),
        ("script_name", json!("script.sh")),
        ("input_data", json!({"a": 1})),
        ("output_data", json!({"b": 1.10})),
        ("stdout_log", json!("{\"b\": 1.10}\n")),
        ("stderr_log", json!("note\n")),
        ("exit_code", json!(0)),
        ("signal", json!(null)),
        ("artifacts", json!([])),
    ] {
        assert_eq!(execution[field], expected, "{field}");
    }
    let is_positive = |value: &serde_json::Value| value.as_f64().unwrap() > 0.0;
    assert!(is_positive(&execution["duration_ms"]) && is_positive(&execution["overhead_ms"]));
    assert!(is_positive(&execution["usage"]["peak_memory_bytes"]), "{execution}");
    assert!(execution["sandbox"]["container_id"].as_str().unwrap().starts_with("gantry-"));
    let times =
        ["created_at", "started_at", "completed_at"].map(|it| execution[it].as_str().unwrap());
    assert!(times.is_sorted() && times.iter().all(|time| time.ends_with('Z')), "{times:?}");
}

#[test]
fn output_that_is_not_one_document_is_no_data() {
    for source in ["echo 1 2", "echo '{'", "true", "printf '\\377'"] {
        let execution = shell(source).end_with_json().with_success().json();
        assert_eq!(execution["output_data"], json!(null), "{source}");
    }
}
