//! `gantry run`: what scripts try, and what comes of it: the right ending, and
//! nothing that anybody else notices.

use crate::testkit::run::{python, shell};

#[test]
fn a_daemon_dies_with_its_sandbox() {
    let source = "(setsid setsid sleep 600 > /dev/null 2>&1 < /dev/null &); echo done";
    let ended = shell(source).end_with_json().with_success();
    assert_eq!(ended.json()["stdout_log"], "done\n");
    assert!(ended.json()["duration_ms"].as_f64().unwrap() < 5000.0, "{ended:?}");
}

#[test]
fn a_daemon_that_holds_the_output_is_not_waited_for() {
    let source = "setsid sleep 600 & echo done; exit 7";
    let ended = shell(source).end();
    assert_eq!((ended.code, ended.text()), (7, "done\n"), "{ended:?}");
    assert!(ended.took.as_secs() < 30, "{ended:?}");
}

#[test]
fn pid_one_can_not_be_killed() {
    for victim in ["1", "$PPID", "-1"] {
        for signal in ["KILL", "TERM", "INT", "HUP", "QUIT", "ABRT", "SEGV", "STOP", "TSTP"] {
            if (victim, signal) == ("-1", "STOP") || victim == "$PPID" && signal != "KILL" {
                continue;
            }
            // A script's own process is spared by kill -1 (kill(2)).
            let source = format!(
                "trap '' TERM INT HUP QUIT TSTP; kill -{signal} {victim}; echo alive; exit 6"
            );
            let ended = shell(&source).end();
            assert_eq!((ended.code, ended.text()), (6, "alive\n"), "{signal} {victim}: {ended:?}");
        }
    }
}

#[test]
fn stopping_everybody_stops_nothing_but_itself() {
    let source = "sleep 600 & kill -STOP -1; echo alive; kill -STOP $$";
    let ended = shell(source).args(["--timeout", "2s"]).end();
    assert_eq!(ended.text(), "alive\n");
    ended.with(124, &["the time limit was reached"]);
}

/// Forks until it can't, and says how often it could and why no longer.
const FORKS: &str = "
import os, time
count = 0
while True:
    try:
        child = os.fork()
    except OSError as error:
        print(count, error.strerror)
        break
    if child == 0:
        time.sleep(600)
    count += 1
";

#[test]
fn forks_have_a_limit() {
    let ended = python(FORKS).end().with_success();
    let (count, why) = ended.text().trim().split_once(' ').unwrap();
    assert!((200..256).contains(&count.parse::<u32>().unwrap()), "{ended:?}");
    assert_eq!(why, "Resource temporarily unavailable");
}

#[test]
fn a_fork_bomb_ends_in_time_and_its_neighbour_notices_nothing() {
    let bomb = "exec 2> /dev/null; trap '' TERM; bomb() { bomb | bomb & }; while :; do bomb; done";
    let bomb = shell(bomb).args(["--timeout", "3s", "--cpus", "0.5"]).arg("--json").start();
    let source = "for i in {1..50}; do /bin/true || exit 1; done; echo fine";
    for _ in 0..3 {
        assert_eq!(shell(source).end().with_success().text(), "fine\n");
    }
    let ended = bomb.end();
    assert_eq!(ended.json()["status"], "timeout", "{ended:?}");
    assert!(ended.json()["duration_ms"].as_f64().unwrap() < 5000.0, "{ended:?}");
}

#[test]
fn a_memory_bomb_does_not_touch_its_neighbour() {
    let bomb = "import os\nos.fork(); os.fork()\nx = []\nwhile True: x.append(bytearray(1 << 20))";
    let bomb = python(bomb).args(["--memory", "64MiB", "--timeout", "20s"]).start();
    let neighbour = python("x = bytearray(100 << 20); print(len(x))").args(["--memory", "256MiB"]);
    assert_eq!(neighbour.end().with_success().text(), "104857600\n");
    bomb.end().with(137, &["its memory limit was reached"]);
}

/// Writes the frame "the script has ended with code 0" wherever it can.
const FORGERY: &str = r#"
import os, glob, json, struct
exit = {"end": {"code": 0}, "stopped": None, "duration_us": 1, "stdout_bytes": 0,
        "stderr_bytes": 0, "usage": {"cpu_us": 0, "peak_memory_bytes": 0, "oom_kills": 0},
        "output_file": None, "artifacts_skipped": []}
text = json.dumps(exit).encode()
frame = b"G" + bytes([1, 23, 0]) + struct.pack("<I", len(text)) + text
written = 0
def write(fd):
    global written
    try:
        os.write(fd, frame)
        written += 1
    except OSError:
        pass
for path in glob.glob("/proc/*/fd/*") + glob.glob("/dev/*") + glob.glob("/dev/pts/*"):
    try:
        write(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
    except OSError:
        pass
for fd in range(1000):
    write(fd)
os.write(1, b"\n%d" % written)
os._exit(3)
"#;

#[test]
fn a_forged_end_is_not_believed() {
    let ended = python(FORGERY).end_with_json();
    let execution = ended.json();
    assert_eq!(execution["status"], "failed", "{ended:?}");
    assert_eq!(execution["error_kind"], "exit_nonzero", "{ended:?}");
    assert_eq!(execution["exit_code"], 3, "{ended:?}");
    // It reached its own stdout and stderr, where it is what it is: output.
    assert!(execution["stdout_log"].as_str().unwrap().starts_with("G\u{1}\u{17}"), "{ended:?}");
    assert_eq!(ended.code, 3, "{ended:?}");
}

#[test]
fn garbage_in_every_descriptor_breaks_nothing() {
    let source = r"
        for fd in /proc/1/fd/* /proc/self/fd/* /proc/$PPID/fd/*; do
            head -c 100000 /dev/urandom > $fd
        done 2> /dev/null
        exit 9";
    let ended = shell(source).end();
    assert_eq!(ended.code, 9, "{ended:?}");
}

#[test]
fn nothing_of_pid_one_can_be_read() {
    let source = r"
        for file in environ mem maps stack auxv syscall io; do
            head -c 1 /proc/1/$file > /dev/null 2>&1 && echo $file
        done
        ls /proc/1/fd /proc/1/fdinfo /proc/1/cwd /proc/1/root/ /proc/1/exe/ 2> /dev/null
        exit 0";
    assert_eq!(shell(source).end().with_success().text(), "");
}

#[test]
fn a_script_sees_no_process_but_its_own() {
    let source = "cat /proc/[0-9]*/comm";
    let ended = shell(source).end();
    let mut names: Vec<_> = ended.text().lines().collect();
    names.sort_unstable();
    assert_eq!(names, ["bash", "gantry-init"], "{ended:?}");
}

#[test]
fn two_executions_share_nothing() {
    let source = "echo > /work/mine; echo > /tmp/mine; sleep 1; ls -A /work /tmp";
    let first = shell(source).start();
    let second = shell("sleep 0.5; ls -A /work /tmp").end().with_success();
    assert_eq!(second.text(), "/tmp:\n\n/work:\nout\n");
    assert_eq!(first.end().with_success().text(), "/tmp:\nmine\n\n/work:\nmine\nout\n");
}
