//! Preparation before the request: a rehearsal leaves no process, a process that stands
//! by runs the script, and every failure of it is reported or made good.

#![allow(clippy::unwrap_used, reason = "a test")]

mod sandbox;

use std::io::{Read, Write};

use gantry_init::frame::{Frame, Kind};
use gantry_init::message::{End, Launch, Preparation, Prepared, StandBy, StoodBy};
use nix::sys::signal::{Signal, kill};
use sandbox::run::{Run, bash};
use sandbox::{Sandbox, children, eventually, next_frame};

/// Stands by as an interpreter does: it takes over at the word to start.
const STANDS_BY: &str = r#"
IFS=, read -r control preparation request <<< "$GANTRY_STAND_BY"
echo ready >&"$control"
read -r -N 1 -u "$control" || exit 0
exec {control}>&- 
cat "/proc/self/fd/$request"
source "$0"
"#;

fn words(program: &str) -> Vec<String> {
    ["/bin/bash", "-c", program].map(str::to_owned).to_vec()
}

fn rehearsal(program: &str) -> Preparation {
    Preparation { rehearsal: words(program), stand_by: None }
}

/// A script whose interpreter stands by as this program does.
fn standing_by(program: &str, source: &str) -> Run {
    let mut run = bash(source);
    let interpreter = words(program);
    let launch = Launch::Interpreted { interpreter, file_name: "script".into() };
    let stand_by = StandBy {
        launch: launch.clone(),
        working_directory: "/work/deep".into(),
        env: vec![("PATH".into(), "/usr/bin:/bin".into()), ("ID".into(), String::new())],
        differing: vec!["ID".into(), "JOB".into()],
        own_env: vec![("OWN".into(), "1".into())],
        source: "the\nsource".into(),
        modules: Some(vec!["a.b".into()]),
    };
    run = run.working_directory("/work/deep");
    run.request.launch = launch;
    run.prepared(Preparation { rehearsal: vec![], stand_by: Some(stand_by) })
}

fn unfit(program: &str) -> Option<String> {
    let answer = standing_by(program, "exit 7").run()?;
    // The script runs nevertheless, in a process of its own, with the program before it.
    answer.prepared.unwrap().unfit
}

/// The payload of the next frame of this kind.
fn payload(output: &mut impl Read, wanted: Kind) -> Vec<u8> {
    loop {
        let Frame { kind, payload } = next_frame(output);
        if kind == wanted {
            return payload;
        }
    }
}

/// A sandbox in which a process stands by.
fn prepared(mut run: Run) -> Option<(Sandbox, Run)> {
    let mut sandbox = Sandbox::start()?;
    let bytes = run.preparation_bytes();
    sandbox.input.as_mut().unwrap().write_all(&bytes).unwrap();
    let payload = payload(sandbox.output.as_mut().unwrap(), Kind::Prepared);
    assert_eq!(serde_json::from_slice::<Prepared>(&payload).unwrap(), Prepared::default());
    Some((sandbox, run))
}

#[test]
fn a_rehearsal_is_unheard_and_leaves_nobody() {
    let program = "echo out; echo err >&2; read -r line; sleep 0.1 & exit 3";
    let run = bash("echo here; ps -A 2>/dev/null | grep -c sleep").prepared(rehearsal(program));
    let Some(answer) = run.run() else { return };
    assert_eq!(answer.prepared, Some(Prepared::default()));
    assert_eq!((answer.stdout(), answer.stderr()), ("here\n0\n".into(), String::new()));
}

#[test]
fn a_rehearsal_that_can_not_be_or_does_not_end_is_no_reason_to_fail() {
    for words in [vec!["/not/there".to_owned()], words("kill -STOP $$"), words("\0")] {
        let preparation = Preparation { rehearsal: words, stand_by: None };
        let Some(answer) = bash("echo here").prepared(preparation).run() else { return };
        assert_eq!(answer.prepared, Some(Prepared::default()));
        assert_eq!(answer.stdout(), "here\n");
    }
}

#[test]
fn who_stands_by_runs_the_script() {
    let run = standing_by(STANDS_BY, "echo; echo \"$0 $ID $PPID $PWD\"; cat; echo err >&2; exit 5");
    let run = run.args(&["a b"]).env(&[("PATH", "/usr/bin:/bin"), ("ID", "7=z")]).stdin(b"in");
    let Some(answer) = run.run() else { return };
    assert_eq!(answer.prepared, Some(Prepared::default()));
    assert_eq!(answer.exit().stood_by, Some(StoodBy::Ran));
    assert_eq!((answer.end(), answer.stderr()), (End::Code(5), "err\n".into()));
    let stdout = answer.stdout();
    let (fields, rest) = stdout.rsplit_once("7=z\n").unwrap();
    assert!(fields.starts_with("10\n/work/deep1\n59\n/bin/bash2\n-c"), "{fields}");
    let env = "18\n/run/gantry/script3\na b18\nPATH=/usr/bin:/bin6\nID=";
    assert!(fields.ends_with(env), "{fields}");
    // It was started where the script starts, and without the variables of the request.
    assert_eq!(rest, "/run/gantry/script  1 /work/deep\nin");
}

/// As [`STANDS_BY`], with something in front and this to say.
fn saying(before: &str, line: &str) -> String {
    format!("{before}\n{}", STANDS_BY.replace("echo ready", &format!("echo '{line}'")))
}

/// Serves a request that has these variables besides those of all; answers who ran it and its
/// stdout.
fn stood_by(program: &str, env: &[(&str, &str)]) -> Option<(Option<StoodBy>, String)> {
    let env: Vec<_> = [("PATH", "/usr/bin:/bin")].iter().chain(env).copied().collect();
    let mut run = standing_by(program, "echo \"ran $OWN $STAY\"").env(&env);
    run.preparation.as_mut().unwrap().stand_by.as_mut().unwrap().modules = None;
    let answer = run.run()?;
    assert_eq!(answer.end(), End::Code(0));
    Some((answer.exit().stood_by.clone(), answer.stdout()))
}

#[test]
fn requests_that_could_tell_are_served_by_another_process() {
    let replaced = |reason: &str| Some(StoodBy::Replaced(reason.to_owned()));
    for (said, env, expected) in [
        ("ready", vec![("ID", "7"), ("JOB", "j")], Some(StoodBy::Ran)),
        ("ready", vec![], Some(StoodBy::Ran)),
        ("ready JOB", vec![("ID", "7")], Some(StoodBy::Ran)),
        (
            "ready JOB",
            vec![("ID", "7"), ("JOB", "j")],
            replaced("the request has JOB, which its imports have looked for"),
        ),
        (
            "ready",
            vec![("ID", "7"), ("STAY", "1")],
            replaced("the request has a value of its own for STAY"),
        ),
    ] {
        let Some((how, stdout)) = stood_by(&saying("", said), &env) else { return };
        let has_run = how == Some(StoodBy::Ran);
        assert_eq!(how, expected, "{said} {env:?}");
        // Whoever is started from scratch runs the program itself, without a request.
        assert_eq!(stdout.ends_with("ran 1 \n"), has_run, "{stdout}");
    }
}

#[test]
fn what_it_writes_while_it_gets_ready_comes_first() {
    let program = saying("echo early; echo warning >&2; [ -s \"$0\" ]", "ready: slow");
    let mut run = standing_by(&program, "echo late >&2");
    run.preparation.as_mut().unwrap().stand_by.as_mut().unwrap().modules = None;
    let Some(answer) = run.env(&[("PATH", "/usr/bin:/bin")]).run() else { return };
    assert_eq!(answer.prepared, Some(Prepared { unfit: None, remark: Some("slow".into()) }));
    assert_eq!(answer.exit().stood_by, Some(StoodBy::Ran));
    assert!(answer.stdout().starts_with("early\n"));
    assert_eq!(answer.stderr(), "warning\nlate\n");
}

#[test]
fn it_finds_its_script_before_the_request() {
    let program =
        r#"IFS=, read -r control _ <<< "$GANTRY_STAND_BY"; echo "$PWD $(<"$0")" >&"$control""#;
    let Some(reason) = unfit(program) else { return };
    assert_eq!(reason, "/work/deep the");
}

#[test]
fn who_stands_by_is_told_for_what() {
    let program = r#"
    IFS=, read -r control preparation request <<< "$GANTRY_STAND_BY"
    what=$(tr '\n' ' ' < "/proc/self/fd/$preparation")
    echo "$what" >&"$control"
    "#;
    let Some(reason) = unfit(program) else { return };
    assert_eq!(reason, "18 /run/gantry/script10 the source1 13 a.b");
}

#[test]
fn what_does_not_stand_by_says_why() {
    let control = r#"IFS=, read -r control _ <<< "$GANTRY_STAND_BY";"#;
    let long = format!("{control} printf '%05000d' 1 >&$control");
    for (program, expected) in [
        ("exit 1".to_owned(), "it ended while it got ready"),
        (format!("{control} echo no such module >&$control"), "no such module"),
        (format!("{control} printf 'rea' >&$control"), "rea"),
        (format!("{control} echo loud; echo ready >&$control; sleep 1"), "it writes"),
        (format!("{control} exec 2>&-; echo ready >&$control; sleep 1"), "it writes, or closes"),
        (long, "00000"),
    ] {
        let Some(reason) = unfit(&program) else { return };
        assert!(reason.starts_with(expected) && reason.len() <= 1024, "{program}: {reason}");
    }
}

#[test]
fn nobody_of_one_that_is_not_fit_is_left() {
    let program = "sleep 1000 & exit 1";
    let mut run = standing_by(program, "");
    run.request.launch = bash("").request.launch;
    run.script = b"ps -A 2>/dev/null | grep -c sleep".to_vec();
    let Some(answer) = run.run() else { return };
    assert!(answer.prepared.as_ref().unwrap().unfit.is_some());
    assert_eq!(answer.stdout(), "0\n");
}

#[test]
fn a_request_for_something_else_is_served_by_a_process_of_its_own() {
    let mut run = standing_by(STANDS_BY, "");
    run.request.launch = bash("").request.launch;
    run.script = b"ps -A >list; grep -c bash list; cat".to_vec();
    let Some(answer) = run.stdin(b"in").run() else { return };
    assert_eq!(answer.prepared, Some(Prepared::default()));
    assert_eq!((answer.end(), answer.stdout()), (End::Code(0), "1\nin".into()));
}

#[test]
fn it_is_stopped_while_it_waits() {
    let program = format!("while :; do :; done & {STANDS_BY}");
    let Some((mut sandbox, run)) = prepared(standing_by(&program, "kill %1; echo; echo ran"))
    else {
        return;
    };
    let init = sandbox.init();
    let spinning = || {
        let all: Vec<_> = children(init).into_iter().flat_map(children).collect();
        all.iter().map(|pid| ticks(pid.as_raw())).sum::<u64>()
    };
    let before = spinning();
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(spinning(), before);
    sandbox.input.as_mut().unwrap().write_all(&run.bytes()).unwrap();
    let said = payload(sandbox.output.as_mut().unwrap(), Kind::Stdout);
    assert!(!said.is_empty());
    payload(sandbox.output.as_mut().unwrap(), Kind::Exit);
}

/// The time that a process has taken, in clock ticks (proc(5)).
fn ticks(pid: i32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[test]
fn when_it_dies_the_sandbox_ends_with_nothing_run() {
    let Some((mut sandbox, _)) = prepared(standing_by(STANDS_BY, "")) else { return };
    let process = eventually(|| children(sandbox.init()).first().copied());
    kill(process, Signal::SIGKILL).unwrap();
    assert_eq!(sandbox.exit_code(), 65);
}

#[test]
fn without_gantry_it_ends_while_somebody_gets_ready() {
    let mut run = standing_by("sleep 1000", "");
    let Some(mut sandbox) = Sandbox::start() else { return };
    let mut input = sandbox.input.take().unwrap();
    input.write_all(&run.preparation_bytes()).unwrap();
    eventually(|| children(sandbox.init()).first().copied());
    drop(input);
    assert_eq!(sandbox.exit_code(), 65);
}

#[test]
fn its_stdin_is_a_pipe_as_well() {
    let much = vec![b'x'; 3_000_000];
    let source = "[ -p /dev/stdin ] && wc -c && wc -c";
    let Some(answer) = standing_by(STANDS_BY, source).stdin(&much).run() else { return };
    assert!(answer.stdout().ends_with("3000000\n0\n"), "{:?}", answer.stderr());
    let answer = standing_by(STANDS_BY, "exit 7").stdin(&much).run().unwrap();
    assert_eq!(answer.end(), End::Code(7));
}

/// Stands by once a child of its own has timers (timer_create(2)) that send SIGCONT to
/// that child again and again. `program` arms them and goes on.
fn with_a_child_that_goes_on(program: &str) -> String {
    format!(
        r#"python3 -c '
import ctypes, os, signal, threading
class Event(ctypes.Structure):
    _fields_ = [("value", ctypes.c_void_p), ("signo", ctypes.c_int), ("notify", ctypes.c_int),
                ("pad", ctypes.c_char * 48)]
def arm():
    # The kernel sends it once only to whoever ignores it.
    if signal.getsignal(signal.SIGCONT) == signal.SIG_DFL:
        signal.signal(signal.SIGCONT, lambda *_: None)
    libc, event = ctypes.CDLL(None), Event(0, signal.SIGCONT, 0)
    # SIGSTOP ends a timer whose SIGCONT is about to be taken: not all of these are.
    for number in range(1, 9):
        timer, every = ctypes.c_void_p(), number * 50_000_000
        times = (ctypes.c_long * 4)(0, every, 0, every)
        assert libc.timer_create(1, ctypes.byref(event), ctypes.byref(timer)) == 0
        assert libc.timer_settime(timer, 0, ctypes.byref(times), None) == 0
    open("/work/armed", "w").close()
def spin():
    while True: pass
{program}' &
until [ -e /work/armed ]; do sleep 0.01; done
{STANDS_BY}"#
    )
}

#[test]
fn who_goes_on_by_itself_while_it_stands_by_is_given_up() {
    if !std::path::Path::new("/usr/bin/python3").exists() {
        eprintln!("skipped: no python3 here");
        return;
    }
    for program in [
        "arm(); spin()",
        "threading.Thread(target=spin).start(); arm()",
        "os.fork() or (arm(), spin()); signal.pause()",
        "signal.signal(signal.SIGCONT, lambda *_: spin()); arm(); signal.pause()",
        "arm()\nwhile True: signal.pause()",
        "arm()\nwhile True: os.kill(os.getpid(), signal.SIGSTOP); sum(range(10**6))",
    ] {
        let run = standing_by(&with_a_child_that_goes_on(program), "");
        let Some((mut sandbox, _)) = prepared(run) else { return };
        // It ends by itself, long before a request.
        assert_eq!(sandbox.exit_code(), 65, "{program}");
    }
}

#[test]
fn its_deadline_is_kept() {
    let run = standing_by(STANDS_BY, "sleep 1000").times_ms(200, 100);
    let Some(answer) = run.run() else { return };
    assert!(answer.stopped().is_some(), "{answer:?}");
}

#[test]
fn what_says_that_it_is_ready_and_never_runs_is_overdue() {
    let deaf = r#"IFS=, read -r control _ <<< "$GANTRY_STAND_BY"; echo ready >&$control; sleep 99"#;
    let huge = "x".repeat(1 << 20);
    let env = [("PATH", "/usr/bin:/bin"), ("ID", huge.as_str())];
    let run = standing_by(deaf, "").env(&env).times_ms(200, 100);
    let Some(answer) = run.run() else { return };
    assert!(answer.stopped().is_some(), "{answer:?}");
}
