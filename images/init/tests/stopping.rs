//! A script ends by itself, at its deadline or by a cancel, and takes everybody
//! with it.

mod sandbox;

use std::time::{Duration, Instant};

use gantry_init::frame::Kind;
use gantry_init::message::{End, LINGER_MS, Stopped};
use nix::sys::signal::{Signal, kill};
use sandbox::run::{bash, shell};
use sandbox::{Sandbox, children, eventually};

#[test]
fn at_the_deadline_a_script_may_clean_up() {
    let source = "trap 'echo cleaned; exit 3' TERM; echo up; while :; do sleep 0.01; done";
    let Some(answer) = shell(source).times_ms(300, 10_000).run() else { return };
    assert_eq!((answer.end(), answer.stopped()), (End::Code(3), Some(Stopped::Deadline)));
    assert_eq!(answer.stdout(), "up\ncleaned\n");
    let duration = answer.exit().duration_us;
    assert!((300_000..5_000_000).contains(&duration), "{duration}");
}

#[test]
fn who_ignores_term_is_killed() {
    let source = "trap '' TERM; (trap '' TERM; sleep 100) & while :; do sleep 0.01; done";
    let Some(answer) = shell(source).times_ms(200, 300).run() else { return };
    assert_eq!((answer.end(), answer.stopped()), (End::Signal(9), Some(Stopped::Deadline)));
    let duration = answer.exit().duration_us;
    assert!((500_000..5_000_000).contains(&duration), "{duration}");
}

#[test]
fn the_default_is_to_die_of_term() {
    let Some(answer) = shell("sleep 100; echo never").times_ms(200, 10_000).run() else { return };
    assert_eq!((answer.end(), answer.stopped()), (End::Signal(15), Some(Stopped::Deadline)));
    assert_eq!(answer.stdout(), "");
}

#[test]
fn a_stopped_script_gets_its_term() {
    let source = "trap 'echo cleaned; exit 3' TERM; kill -STOP $$; sleep 100";
    let Some(answer) = shell(source).times_ms(200, 10_000).run() else { return };
    assert_eq!((answer.end(), answer.stdout().as_str()), (End::Code(3), "cleaned\n"));
}

#[test]
fn a_cancel_ends_it() {
    let Some(mut running) = shell("echo up; exec sleep 100").start() else { return };
    running.wait_for_stdout("up");
    running.send(Kind::Cancel, b"");
    let answer = running.answer();
    assert_eq!((answer.end(), answer.stopped()), (End::Signal(15), Some(Stopped::Cancelled)));
}

#[test]
fn a_cancel_right_behind_the_start_ends_it() {
    let Some(mut running) = shell("exec sleep 100").start() else { return };
    running.send(Kind::Cancel, b"");
    let answer = running.answer();
    assert_eq!((answer.end(), answer.stopped()), (End::Signal(15), Some(Stopped::Cancelled)));
}

#[test]
fn term_from_outside_is_a_cancel() {
    let Some(mut running) = shell("echo up; exec sleep 100").start() else { return };
    running.wait_for_stdout("up");
    kill(running.sandbox.init(), Signal::SIGTERM).unwrap();
    let answer = running.answer();
    assert_eq!((answer.end(), answer.stopped()), (End::Signal(15), Some(Stopped::Cancelled)));
}

#[test]
fn an_end_by_itself_is_not_a_stop() {
    let Some(mut running) = shell("echo up; sleep 0.3; exit 4").start() else { return };
    running.wait_for_stdout("up");
    let answer = running.answer();
    assert_eq!((answer.end(), answer.stopped()), (End::Code(4), None));
}

#[test]
fn a_daemon_that_holds_stdout_is_not_waited_for() {
    let started = Instant::now();
    let Some(answer) = shell("(setsid sleep 100 &) ; echo done").run() else { return };
    assert_eq!((answer.end(), answer.stdout().as_str()), (End::Code(0), "done\n"));
    assert_eq!(answer.stopped(), None);
    assert!(started.elapsed() >= Duration::from_millis(LINGER_MS));
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[test]
fn a_daemon_without_stdout_does_not_delay_the_end() {
    let source = "setsid sleep 100 >/dev/null 2>&1 & exit 0";
    let started = Instant::now();
    let Some(answer) = shell(source).times_ms(100_000, 0).run() else { return };
    assert_eq!((answer.end(), answer.stopped()), (End::Code(0), None));
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[test]
fn what_a_pipe_reader_of_the_script_has_is_not_lost() {
    let source = "exec > >(cat); seq 1 20000; exit 5";
    let Some(answer) = bash(source).run() else { return };
    let expected: String = (1..=20_000).map(|number| format!("{number}\n")).collect();
    assert!(answer.stdout() == expected, "{} bytes", answer.stdout.len());
    assert_eq!(answer.end(), End::Code(5));
}

#[test]
fn a_slow_gantry_does_not_cost_a_pipe_reader_its_output() {
    // More than all buffers on the way hold, and nobody reads for longer than
    // the lingering takes.
    let source = "exec > >(cat); head -c 2000000 /dev/zero; exit 5";
    let Some(mut sandbox) = Sandbox::start() else { return };
    let input = sandbox.input.as_mut().unwrap();
    std::io::Write::write_all(input, &bash(source).bytes()).unwrap();
    std::thread::sleep(Duration::from_millis(4 * LINGER_MS));
    let zeros = sandbox.output().iter().filter(|&&byte| byte == 0).count();
    assert!(zeros >= 2_000_000, "{zeros}");
    assert_eq!(sandbox.exit_code(), 0);
}

#[test]
fn the_deadline_is_kept_though_nobody_reads() {
    let Some(mut sandbox) = Sandbox::start() else { return };
    let run = shell("trap '' TERM; yes").times_ms(300, 200).stream_cap(u64::MAX);
    std::io::Write::write_all(sandbox.input.as_mut().unwrap(), &run.bytes()).unwrap();
    let init = sandbox.init();
    eventually(|| (!children(init).is_empty()).then_some(()));
    eventually(|| children(init).is_empty().then_some(()));

    let mut decoder = gantry_init::frame::Decoder::new();
    decoder.feed(&sandbox.output());
    let frames: Vec<_> = std::iter::from_fn(|| decoder.next_frame().unwrap()).collect();
    let exit: gantry_init::message::Exit =
        serde_json::from_slice(&frames.last().unwrap().payload).unwrap();
    assert_eq!((exit.end, exit.stopped), (End::Signal(9), Some(Stopped::Deadline)));
    let passed_on: usize = frames
        .iter()
        .filter(|frame| frame.kind == Kind::Stdout)
        .map(|frame| frame.payload.len())
        .sum();
    assert_eq!(exit.stdout_bytes, passed_on as u64, "and nothing is lost");
}

#[test]
fn a_script_goes_on_when_gantry_is_gone() {
    let source = "i=0; while [ $i -lt 50 ]; do echo line; sleep 0.01; i=$((i+1)); done";
    let Some(mut sandbox) = Sandbox::start() else { return };
    std::io::Write::write_all(sandbox.input.as_mut().unwrap(), &shell(source).bytes()).unwrap();
    let mut output = sandbox.output.take().unwrap();
    std::io::Read::read_exact(&mut output, &mut [0; 60]).unwrap();
    let started = Instant::now();
    drop(output);
    drop(sandbox.input.take());
    assert_eq!(sandbox.exit_code(), 66, "nobody took the answer");
    assert!(started.elapsed() > Duration::from_millis(300), "the script went on");
}
