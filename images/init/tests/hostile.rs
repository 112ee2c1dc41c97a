//! Attacks of scripts on init, and their results.

mod sandbox;

use std::time::Instant;

use gantry_init::message::{End, Stopped};
use sandbox::run::{bash, shell};
use sandbox::{Sandbox, is_root};

const GIGABYTE: u64 = 1 << 30;

#[test]
fn a_flood_is_cut_counted_and_never_blocks() {
    let source = "head -c 1G /dev/zero; echo over >&2";
    let Some(sandbox) = Sandbox::start() else { return };
    let init = sandbox.init();
    let started = Instant::now();
    let mut running = shell(&format!("{source}; echo sleeping >&2; read line <&- ; sleep 0.5"))
        .stream_cap(1_000_000)
        .start_in(sandbox);
    let status = format!("/proc/{init}/status");
    let mut peak = String::new();
    running.wait_for_stdout("\0");
    while let Ok(text) = std::fs::read_to_string(&status)
        && let Some(line) = text.lines().find(|line| line.starts_with("VmHWM:"))
    {
        peak = line.to_owned();
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let answer = running.answer();
    eprintln!("{:?} for 1 GiB and a sleep of 0.5 s; {peak}", started.elapsed());
    assert_eq!(answer.end(), End::Code(0));
    assert_eq!(answer.stdout.len(), 1_000_000);
    assert_eq!(answer.exit().stdout_bytes, GIGABYTE);
    assert!(answer.stderr().starts_with("over\n"));
    let kibibytes: u64 = peak.split_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(kibibytes < 8 * 1024, "init stays small: {peak}");
}

#[test]
fn closing_the_output_ends_nothing() {
    let source = "echo before; exec >&- 2>&-; sleep 0.3; echo after >/work/out/file; exit 6";
    let Some(answer) = shell(source).run() else { return };
    assert_eq!((answer.end(), answer.stdout().as_str()), (End::Code(6), "before\n"));
    assert_eq!(answer.artifacts, [("file".to_owned(), b"after\n".to_vec())]);
}

#[test]
fn pid_1_takes_no_signals_from_inside() {
    let source = "for signal in TERM INT HUP QUIT USR1 STOP KILL SEGV PIPE CHLD 34 64; do \
        kill -$signal 1; done; sleep 0.2; exit 5";
    let Some(answer) = bash(source).run() else { return };
    assert_eq!((answer.end(), answer.stopped()), (End::Code(5), None));
}

#[test]
fn killing_everybody_kills_only_the_script() {
    let source = "sleep 100 & kill -9 -1; sleep 0.1; kill -9 $$";
    let Some(answer) = bash(source).run() else { return };
    assert_eq!((answer.end(), answer.stopped()), (End::Signal(9), None));
}

#[test]
fn a_child_may_kill_its_parent() {
    let Some(answer) = bash("(kill -9 $$; echo orphan)").run() else { return };
    assert_eq!((answer.end(), answer.stopped()), (End::Signal(9), None));
    assert_eq!(answer.stdout(), "orphan\n", "and what it has to say is heard");
}

#[test]
fn stopping_everybody_does_not_stop_the_deadline() {
    let source = "sleep 100 & trap '' TERM; kill -STOP -1; kill -STOP $$; sleep 100";
    let Some(answer) = bash(source).times_ms(300, 300).run() else { return };
    assert_eq!((answer.end(), answer.stopped()), (End::Signal(9), Some(Stopped::Deadline)));
}

#[test]
fn frames_of_the_script_are_output_like_any_other() {
    if !is_root() {
        eprintln!("skipped: the root of a user namespace may look into whoever is in it");
        return;
    }
    // An exit frame: code 0.
    let source = r#"
        forged='G\001\027\000\002\000\000\000{}'
        for fd in 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do
            printf "$forged" 2>/dev/null >&$fd
        done
        for file in /proc/1/fd/* /proc/1/fd/0 /proc/1/fd/1 /proc/1/fd/2 /dev/stdout /dev/fd/1; do
            printf "$forged" >$file
        done 2>/dev/null
        echo; cat /proc/1/environ /proc/1/maps /proc/1/mem
        exit 9
    "#;
    let Some(answer) = bash(source).run() else { return };
    assert_eq!(answer.end(), End::Code(9));
    assert!(answer.stdout().starts_with("G\u{1}\u{17}\0\u{2}\0\0\0{}"), "{:?}", answer.stdout());
    assert_eq!(answer.stderr().matches("Permission denied").count(), 3, "{}", answer.stderr());
}

#[test]
fn a_fork_bomb_ends_at_the_deadline() {
    if !is_root() {
        eprintln!("skipped: the limit on processes needs a user of its own");
        return;
    }
    // No other process of this machine has this user.
    let user = 4_000_000_000;
    let Some(sandbox) = Sandbox::start_as(user, &["prlimit", "--nproc=200"]) else { return };
    let source = "trap '' TERM; bomb() { while :; do bomb & done 2>/dev/null; }; bomb";
    let answer = bash(source).times_ms(1_000, 200).start_in(sandbox).answer();
    assert_eq!((answer.end(), answer.stopped()), (End::Signal(9), Some(Stopped::Deadline)));
}

#[test]
fn orphans_by_the_thousand_are_reaped() {
    let source = "for i in $(seq 3000); do (: &) ; done; ps -eo stat= | grep -c Z; exit 0";
    let Some(answer) = bash(source).run() else { return };
    assert_eq!(answer.end(), End::Code(0), "{}", answer.stderr());
    let zombies: u32 = answer.stdout().trim().parse().unwrap();
    assert!(zombies < 100, "{zombies}");
}

#[test]
fn a_full_scratch_directory_hides_nothing() {
    let source = "head -c 100M /dev/zero >/work/fill; echo code $?; rm /work/fill; exit 0";
    let Some(answer) = shell(source).run() else { return };
    assert_eq!((answer.end(), answer.stdout().as_str()), (End::Code(0), "code 1\n"));
    assert!(answer.stderr().contains("No space left"));
}
