//! A script gets exactly the request, and its output comes back unchanged.

mod sandbox;

use gantry_init::message::{End, RefusedReason};
use sandbox::run::{Run, bash, executable, shell};

#[test]
fn it_refuses_to_run_as_anything_but_pid_1() {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_gantry-init")).output().unwrap();
    assert_eq!(output.status.code(), Some(64));
    assert!(output.stdout.is_empty());
    assert!(String::from_utf8_lossy(&output.stderr).contains("PID 1"));
}

#[test]
fn exit_codes_come_back() {
    for code in [0, 1, 3, 255] {
        let Some(answer) = shell(&format!("exit {code}")).run() else { return };
        assert_eq!(answer.end(), End::Code(code));
        assert_eq!(answer.stopped(), None);
    }
}

#[test]
fn signals_come_back_real_time_ones_too() {
    for signal in [9, 11, 13, 15, 34, 64] {
        let Some(answer) = shell(&format!("kill -{signal} $$")).run() else { return };
        assert_eq!(answer.end(), End::Signal(signal));
        assert_eq!(answer.stopped(), None);
    }
}

#[test]
fn stdout_and_stderr_are_apart() {
    let Some(answer) = shell("echo out; echo err >&2; echo more").run() else { return };
    assert_eq!((answer.stdout(), answer.stderr()), ("out\nmore\n".into(), "err\n".into()));
    assert_eq!((answer.exit().stdout_bytes, answer.exit().stderr_bytes), (9, 4));
    assert_eq!(answer.hello.as_ref().unwrap().init, env!("CARGO_PKG_VERSION"));
}

#[test]
fn all_bytes_pass_unchanged_both_ways() {
    let bytes: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    let Some(answer) = shell("cat; cat </run/gantry/script >&2").stdin(&bytes).run() else {
        return;
    };
    assert!(answer.stdout == bytes);

    let mut run = shell("");
    run.script = [b"cat \"$0\"; exit\n".as_slice(), &bytes].concat();
    let script = run.script.clone();
    assert!(run.run().unwrap().stdout == script, "a script need not be text to its end");
}

#[test]
fn arguments_are_an_argv() {
    let args = ["", "two words", "$HOME", "*", "'\"\\", "--", "\u{1f980}"];
    let Some(answer) = shell(r#"printf '<%s>' "$@""#).args(&args).run() else { return };
    assert_eq!(answer.stdout(), args.map(|arg| format!("<{arg}>")).concat());
}

#[test]
fn the_environment_is_exactly_the_given_one() {
    let env = [("A", "1"), ("EMPTY", ""), ("TEXT", "a b=c\n")];
    let Some(answer) =
        executable("env", &std::fs::read("/usr/bin/env").unwrap()).args(&["-0"]).env(&env).run()
    else {
        return;
    };
    assert_eq!(answer.stdout(), "A=1\0EMPTY=\0TEXT=a b=c\n\0", "{}", answer.stderr());
}

#[test]
fn it_starts_in_its_working_directory_which_is_made() {
    let Some(answer) = shell("pwd; ls -d /work/out").run() else { return };
    assert_eq!(answer.stdout(), "/work\n/work/out\n");
    let answer = shell("pwd -P").working_directory("/work/a/b c").run().unwrap();
    assert_eq!(answer.stdout(), "/work/a/b c\n");
    let answer = shell("pwd").working_directory("/usr/bin").run().unwrap();
    assert_eq!(answer.stdout(), "/usr/bin\n");
}

#[test]
fn it_starts_with_a_clean_process() {
    let source = "ls /proc/self/fd; umask; ps -o sid= -p $$ | tr -d ' '; echo $$; \
        grep -E 'Sig(Blk|Ign|Cgt)' /proc/self/status; cat /proc/self/oom_score_adj";
    let Some(answer) = bash(source).run() else { return };
    let lines: Vec<_> = answer.stdout().lines().map(str::to_owned).collect();
    assert_eq!(lines[..4], ["0", "1", "2", "3"], "3 is what ls itself has opened");
    assert_eq!(lines[4], "0022");
    assert_eq!(lines[5], lines[6], "it leads a session");
    assert_eq!(lines[7], "SigBlk:\t0000000000000000");
    let ignored = u64::from_str_radix(lines[8].strip_prefix("SigIgn:\t").unwrap(), 16).unwrap();
    let of_the_c_library = 0b11 << 31;
    assert_eq!(ignored & !of_the_c_library, 0, "{ignored:x}");
    assert_eq!(lines[10], "1000");
}

#[test]
fn a_program_runs_under_its_path() {
    let dash = std::fs::read("/bin/sh").unwrap();
    let run = executable("tool", &dash).args(&["-c", "echo $0 $1; ls /run/gantry", "tool", "x"]);
    let Some(answer) = run.run() else { return };
    assert_eq!(answer.stdout(), "tool x\ntool\n", "{}", answer.stderr());
    let answer = executable("argv-0", &dash).stdin(b"echo $0").run().unwrap();
    assert_eq!(answer.stdout(), "/run/gantry/argv-0\n");
}

fn refusal(run: Run) -> Option<(RefusedReason, String)> {
    let answer = run.run()?;
    let (reason, detail) = answer.refused();
    Some((reason, detail.into()))
}

fn interpreted(interpreter: &str) -> Run {
    let mut run = shell("");
    run.request.launch = gantry_init::message::Launch::Interpreted {
        interpreter: vec![interpreter.into()],
        file_name: "script".into(),
    };
    run
}

#[test]
fn a_program_has_a_place_of_its_own() {
    let readlink = std::fs::read("/usr/bin/readlink").unwrap();
    let run = executable("where.is.it", &readlink).args(&["-f", "/proc/self/exe"]);
    let Some(answer) = run.run() else { return };
    assert_eq!(answer.stdout(), "/run/gantry/where.is.it\n");
    let cat = std::fs::read("/usr/bin/cat").unwrap();
    let answer = executable("tool", &cat).args(&["/proc/self/cmdline"]).run().unwrap();
    assert_eq!(answer.stdout(), "/run/gantry/tool\0/proc/self/cmdline\0");
    // It can be run again by any of its names, and is not to be written to.
    let env = std::fs::read("/usr/bin/env").unwrap();
    let again = "\"$1\" /proc/self/exe true && ls -l /run/gantry && ! echo > /run/gantry/it";
    let run = executable("it", &env).args(&["sh", "-c", again, "sh", "/run/gantry/it"]);
    let listed = run.run().unwrap().stdout();
    assert!(listed.contains("-r-xr-xr-x"), "{listed}");
}

#[test]
fn what_is_not_in_the_image_is_not_found() {
    let Some((reason, detail)) = refusal(interpreted("/usr/bin/no-such-python")) else { return };
    assert_eq!(reason, RefusedReason::NotFound);
    assert!(detail.starts_with("/usr/bin/no-such-python: No such file"), "{detail}");

    let mut foreign = std::fs::read("/usr/bin/env").unwrap();
    let loader = foreign.windows(8).position(|bytes| bytes == b"ld-linux").unwrap();
    foreign[loader] = b'X';
    let (reason, detail) = refusal(executable("tool", &foreign)).unwrap();
    assert_eq!(reason, RefusedReason::NotFound);
    assert!(detail.starts_with("tool: ") && detail.contains("loader"), "{detail}");
}

#[test]
fn what_the_kernel_does_not_execute_is_refused() {
    let Some((reason, _)) = refusal(executable("text", b"no program")) else { return };
    assert_eq!(reason, RefusedReason::NotExecutable);
    let (reason, _) = refusal(interpreted("/etc/passwd")).unwrap();
    assert_eq!(reason, RefusedReason::NotExecutable);
    let (reason, detail) = refusal(shell("").args(&[&"x".repeat(200_000)])).unwrap();
    assert_eq!(reason, RefusedReason::NotExecutable);
    assert!(detail.contains("too long"), "{detail}");
}

#[test]
fn a_working_directory_that_can_not_be_entered_is_refused() {
    for path in ["/nowhere", "/etc/passwd", "/usr/new"] {
        let Some((reason, detail)) = refusal(shell("").working_directory(path)) else { return };
        assert_eq!(reason, RefusedReason::WorkingDirectory);
        assert!(detail.starts_with(path), "{detail}");
    }
}

#[test]
fn a_script_that_does_not_fit_is_refused() {
    let mut run = shell("");
    run.script = vec![b'#'; 17 << 20];
    let Some((reason, detail)) = refusal(run) else { return };
    assert_eq!(reason, RefusedReason::Script);
    assert!(detail.contains("No space left"), "{detail}");
}

#[test]
fn usage_is_measured() {
    let source = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done";
    let Some(answer) = shell(source).run() else { return };
    let usage = answer.exit().usage;
    assert!(usage.cpu_us > 10_000, "{usage:?}");
    assert!(usage.peak_memory_bytes > 100_000, "{usage:?}");
    let duration = answer.exit().duration_us;
    assert!((10_000..10_000_000).contains(&duration), "{duration}");
}
