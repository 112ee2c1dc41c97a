//! `gantry run`: flags that can't be meant are refused, each with the flag's
//! name and with what would do.

use crate::testkit::run::{Run, path, python, shell};

/// Refuses `flag value`, saying all of `said`, before anything is started.
#[track_caller]
fn refuses(flag: &str, value: &str, said: &[&str]) {
    let run = Run::command(&["run"]);
    let file = run.file("script.sh", b"echo");
    let ended = run.arg(file).arg(format!("--{flag}={value}")).end();
    assert_eq!(ended.text(), "");
    ended.with(125, said);
}

#[test]
fn memory_is_a_size_with_a_clear_unit() {
    refuses("memory", "lots", &["--memory", "\"lots\" is not a size", "hint: write bytes"]);
    refuses("memory", "512M", &["M alone could mean MB or MiB", "hint: "]);
    refuses("memory", "-1", &["\"-1\" is not a size"]);
    refuses("memory", "", &["is not a size"]);
    refuses("memory", "1e9", &["is not a size"]);
    refuses("memory", "99999999999999999999GiB", &["too large"]);
}

#[test]
fn memory_has_bounds() {
    refuses("memory", "1MiB", &["1 MiB", "is too little", "16 MiB"]);
    refuses("memory", "0", &["is too little"]);
    refuses("memory", "2TiB", &["is too much", "1 TiB"]);
}

#[test]
fn cpus_are_a_number_that_the_engine_can_grant() {
    refuses("cpus", "many", &["--cpus", "\"many\" is not a number of CPUs", "hint: "]);
    refuses("cpus", "0", &["too few", "0.01"]);
    refuses("cpus", "0.001", &["too few"]);
    refuses("cpus", "-2", &["is not a number of CPUs"]);
    refuses("cpus", "NaN", &["is not a number of CPUs"]);
    refuses("cpus", "4000", &["4000 is too much", "1024"]);
    // More than an `i64` has nano CPUs, which must not come to mean no limit.
    refuses("cpus", "10000000000", &["is too much"]);
    refuses("cpus", "99999999999999999999", &["too large"]);
}

#[test]
fn an_environment_is_made_of_what_can_be_had() {
    let known = "it is one of 3.10, 3.11, 3.12, 3.13, 3.14";
    refuses("python", "3.9", &["--python", "unknown Python version \"3.9\"", known]);
    refuses("python", "3.11", &["--python: a shell script has none; only python scripts do"]);
    refuses("warm-up", "", &["--warm-up: its first word is empty", "hint: write the program"]);
    python("print(1)").arg("--sources").end().with(125, &["--requirements"]);
    let asks = "#!/usr/bin/env python3.9\nprint(1)";
    let said = ["python3.9 in its `#!` line", "hint: name one of 3.10"];
    python(asks).end().with(125, &said);
}

#[test]
fn a_timeout_is_a_time_and_has_bounds() {
    refuses("timeout", "soon", &["--timeout", "\"soon\" is not a time", "hint: write seconds"]);
    refuses("timeout", "5 parsecs", &["is not a time"]);
    refuses("timeout", "-5s", &["is not a time"]);
    refuses("timeout", "0", &["is too little", "100 ms"]);
    refuses("timeout", "25h", &["is too much", "24 h"]);
}

#[test]
fn a_variable_has_a_name_and_a_value() {
    refuses("env", "NAME", &["--env", "there is no `=`", "hint: write NAME=value"]);
    refuses("env", "=value", &["not a valid name"]);
    refuses("env", "1NAME=x", &["\"1NAME\": not a valid name", "hint: "]);
    refuses("env", "MY-NAME=x", &["not a valid name"]);
}

#[test]
fn variables_that_steer_something_else_are_refused() {
    for (name, why) in [
        ("PATH", "it steers the shell"),
        ("LD_PRELOAD", "it steers the loader"),
        ("LD_LIBRARY_PATH", "it steers the loader"),
        ("PYTHONPATH", "it steers an interpreter"),
        ("PYTHONSTARTUP", "it steers an interpreter"),
        ("BASH_ENV", "it steers the shell"),
        ("BASH_FUNC_x", "it steers the shell"),
        ("ENV", "it steers the shell"),
        ("IFS", "it steers the shell"),
        ("UV_INDEX", "it steers the package installer"),
        ("EXECUTION_ID", "Gantry sets it"),
        ("SCRIPT_ID", "Gantry sets it"),
        ("SCRIPT_NAME", "Gantry sets it"),
        ("JOB_ID", "Gantry sets it"),
        ("GANTRY_TOKEN", "Gantry sets it"),
    ] {
        refuses(
            "env",
            &format!("{name}=value"),
            &[&format!("{name} can't be set: {why}"), "hint: "],
        );
    }
}

#[test]
fn the_value_of_a_variable_is_never_shown() {
    for variable in ["PATH=s3cret", "1X=s3cret", "=s3cret", "EXECUTION_ID=s3cret"] {
        let run = Run::command(&["run"]);
        let file = run.file("script.sh", b"echo");
        let ended = run.arg(file).arg("--env").arg(variable).end();
        assert!(ended.code == 125 && !ended.stderr.contains("s3cret"), "{ended:?}");
    }
}

#[test]
fn of_the_same_variable_twice_the_last_one_counts() {
    let ended = shell("echo $A").args(["--env", "A=1", "--env", "A=2"]).end();
    assert_eq!(ended.with_success().text(), "2\n");
}

#[test]
fn a_mount_has_a_source_and_a_target() {
    refuses("mount", "/data", &["--mount", "not SRC:DST", "hint: for example"]);
    refuses("mount", "/data:", &["not SRC:DST"]);
    refuses("mount", "/data:/in:rx", &["not SRC:DST"]);
    refuses("mount", "/data:in", &["is not an absolute path", "hint: "]);
    refuses("mount", "/data:/a/../b", &["is not an absolute path"]);
}

#[test]
fn a_mount_stays_out_of_what_belongs_to_the_sandbox() {
    for target in ["/", "/work", "/work/in", "/tmp", "/run/gantry", "/etc", "/proc", "/usr/bin"] {
        refuses("mount", &format!("/data:{target}"), &["belongs to the sandbox", "hint: "]);
    }
}

#[test]
fn a_network_is_one_of_two() {
    refuses("network", "host", &["'host'", "none", "egress"]);
}

#[test]
fn an_unknown_flag_is_named() {
    refuses("privileged", "true", &["--privileged"]);
}

#[test]
fn an_argument_that_no_program_can_get_is_refused() {
    let long = "x".repeat(131_072 - "--arg=".len() - 1);
    let fits = shell("printf %s \"${#1}\"").arg(format!("--arg={long}")).end().with_success();
    assert_eq!(fits.text(), long.len().to_string());
    let many = |count: usize| {
        let mut run = shell("echo $#");
        for _ in 0..count {
            run = run.arg("--arg").arg("x".repeat(100_000));
        }
        run.end()
    };
    assert_eq!(many(5).with_success().text(), "5\n");
    many(6).with(125, &["600006 bytes", "512 KiB", "hint: put data into the input"]);
}

#[test]
fn settings_before_the_command_change_nothing() {
    for line in [
        &["--data-dir", "x", "run", "--bogus"][..],
        &["--mount-roots=x", "run", "script.sh", "--timeout"],
        &["--bogus", "run", "script.sh"],
    ] {
        Run::command(line).end().with(125, &["error: "]);
    }
    for line in [&["--data-dir", "run", "images", "--bogus"][..], &["bogus"]] {
        Run::command(line).end().with(2, &["error: "]);
    }
}

#[test]
fn files_of_another_machine_can_not_be_mounted() {
    let run = Run::command(&["run", "--mount", "/tmp:/in"]).env("DOCKER_HOST", "tcp://127.0.0.1:9");
    let file = run.file("script.sh", b"echo");
    let said = ["--mount can't be used with the engine at tcp://127.0.0.1:9", "hint: "];
    run.arg(file).end().with(125, &said);
}

#[test]
fn a_run_without_a_file_is_refused() {
    Run::command(&["run"]).end().with(125, &["Usage: gantry run"]);
}

#[test]
fn help_is_an_answer_and_no_error() {
    let ended = path("--help").end().with_success();
    assert!(ended.text().contains("--requirements <FILE>"), "{ended:?}");
}

#[test]
fn a_data_folder_that_can_not_be_is_named() {
    let said = ["the data folder /dev/null/data can't be used", "hint: ", "GANTRY_DATA_DIR"];
    shell("echo").env("GANTRY_DATA_DIR", "/dev/null/data").end().with(125, &said);
}

#[test]
fn a_setting_that_is_not_one_is_named() {
    let run = shell("import six").requirements("six");
    let said = ["GANTRY_REQUIREMENTS_ALLOW", "\"everything\"", "sources, urls and options"];
    run.env("GANTRY_REQUIREMENTS_ALLOW", "everything").end().with(125, &said);
}

#[test]
fn a_script_can_tell_how_many_cpus_it_has() {
    let counts = "nproc; echo $GOMAXPROCS; env | grep -c ^OMP_NUM_THREADS=";
    let ended = shell(counts).args(["--cpus", "1.5"]).end().with_success();
    assert_eq!(ended.text(), "2\n2\n1\n");
    let ended = shell(counts).args(["--cpus", "0.2", "--env", "OMP_NUM_THREADS=7"]).end();
    assert_eq!(ended.with_success().text(), "7\n1\n1\n");
    let count = "import os; print(os.cpu_count())";
    assert_eq!(python(count).args(["--cpus", "0.5"]).end().with_success().text(), "1\n");
    let own = python(count).args(["--env", "PYTHON_CPU_COUNT=3"]);
    assert_eq!(own.end().with_success().text(), "3\n");
}
