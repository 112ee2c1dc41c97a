//! Stdin is a pipe with an end, and whatever a script does with it, it ends.

mod sandbox;

use gantry_init::message::{End, Stopped};
use sandbox::is_root;
use sandbox::run::{bash, shell};

/// More than any pipe holds.
fn much() -> Vec<u8> {
    (0..=255).cycle().take(5_000_003).collect()
}

#[test]
fn stdin_is_a_pipe_with_an_end() {
    for length in [0, 1, 4096, 65_535, 65_536, 65_537, 5_000_003] {
        let source = "[ -p /dev/stdin ] && [ -p /proc/self/fd/0 ] && cat && cat";
        let Some(answer) = bash(source).stdin(&much()[..length]).run() else { return };
        assert_eq!(answer.end(), End::Code(0), "{}", answer.stderr());
        assert!(answer.stdout == much()[..length], "{length}: {}", answer.stdout.len());
    }
}

#[test]
fn stdin_that_is_not_read_costs_nothing() {
    for source in ["exit 7", "exec <&-; exit 7", "head -c 1 >/dev/null; exit 7"] {
        let Some(answer) = shell(source).stdin(&vec![b'x'; 50 << 20]).run() else { return };
        assert_eq!((answer.end(), answer.stopped()), (End::Code(7), None), "{source}");
    }
}

#[test]
fn stdin_can_be_opened_by_name_to_be_read_and_not_to_be_written() {
    let source = "cat /dev/stdin; head -c 100000 /dev/zero >/proc/self/fd/0; echo $?";
    let Some(answer) = bash(source).stdin(b"in\n").run() else { return };
    if is_root() {
        assert_eq!(answer.stdout(), "in\n1\n", "{}", answer.stderr());
    }
}

#[test]
fn what_is_read_slowly_comes_whole() {
    let source = "while read -r -N 100000 piece; do printf %s \"${#piece} \"; done";
    let Some(answer) = bash(source).stdin(&vec![b'x'; 1_000_000]).run() else { return };
    assert_eq!(answer.stdout(), "100000 ".repeat(10));
}

#[test]
fn output_floods_while_stdin_is_unread() {
    let source = "head -c 20000000 /dev/zero; head -c 20000000 /dev/zero >&2; wc -c";
    let Some(answer) = shell(source).stdin(&much()).stream_cap(100).run() else { return };
    let exit = answer.exit();
    assert_eq!((exit.end, exit.stderr_bytes), (End::Code(0), 20_000_000));
    assert_eq!(exit.stdout_bytes, 20_000_000 + "5000003\n".len() as u64);
}

#[test]
fn who_holds_stdin_behind_the_script_is_not_waited_for() {
    for source in ["exec 3<&0; sleep 600 <&3 >/dev/null 2>&1 & exit 4", "(sleep 600; cat) & exit 4"]
    {
        let Some(answer) = bash(source).stdin(&much()).run() else { return };
        assert_eq!((answer.end(), answer.stopped()), (End::Code(4), None), "{source}");
    }
}

#[test]
fn a_deadline_is_kept_while_stdin_is_unread() {
    let run = shell("sleep 600").stdin(&much()).times_ms(200, 100);
    let Some(answer) = run.run() else { return };
    assert_eq!(answer.stopped(), Some(Stopped::Deadline));
}
