//! `gantry run FILE`: what is said of files that can't be run, and what runs.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::testkit::elf::Elf;
use crate::testkit::home::system;
use crate::testkit::run::{Run, path, program, python, shell};

/// Nothing here waits for anything.
const AT_ONCE: Duration = Duration::from_secs(20);

#[test]
fn a_file_that_is_not_there_is_named() {
    let said = ["error: ", "nowhere.sh can't be read", "No such file"];
    path("nowhere.sh").within(AT_ONCE).end().with(125, &said);
}

#[test]
fn a_path_through_a_file_is_named() {
    let run = Run::command(&["run"]);
    let file = run.file("file", b"echo");
    run.arg(file.join("script.sh")).end().with(125, &["file/script.sh can't be read"]);
}

#[test]
fn a_file_that_can_not_be_read_is_named() {
    // Not even root can read its first page, which is not mapped.
    path("/proc/self/mem").within(AT_ONCE).end().with(125, &["/proc/self/mem can't be read"]);
}

#[test]
fn an_empty_file_is_refused() {
    let run = Run::command(&["run"]);
    let file = run.file("nothing.sh", b"");
    run.arg(file).within(AT_ONCE).end().with(125, &["error: nothing.sh is empty"]);
}

#[test]
fn a_huge_file_is_refused_at_once() {
    let run = Run::command(&["run"]);
    let file = run.file("huge.sh", b"");
    fs::File::options().write(true).open(&file).unwrap().set_len(64 * 1024 * 1024 + 1).unwrap();
    let said = ["huge.sh has 67108865 bytes", "64 MiB", "hint: "];
    run.arg(file).within(AT_ONCE).end().with(125, &said);
}

#[test]
fn a_folder_that_is_no_bundle_is_refused() {
    let run = Run::command(&["run"]);
    let empty = run.folder().join("empty");
    std::fs::create_dir(&empty).unwrap();
    run.arg(empty).within(AT_ONCE).end().with(125, &["is no bundle"]);
}

#[test]
fn a_pipe_that_nobody_writes_to_is_refused_and_not_waited_for() {
    let run = Run::command(&["run"]);
    let pipe = run.folder().join("pipe");
    system("mkfifo", &[pipe.to_str().unwrap()]);
    run.arg(pipe).within(AT_ONCE).end().with(125, &["it is not a regular file"]);
}

#[test]
fn a_device_is_refused() {
    path("/dev/zero").within(AT_ONCE).end().with(125, &["it is not a regular file"]);
}

#[test]
fn a_program_runs_and_its_code_is_the_answer() {
    program(&Elf::exiting_with(0).bytes()).end().with_success();
    program(&Elf::exiting_with(42).bytes()).end().with(42, &[]);
}

#[test]
fn a_program_for_another_machine_is_refused_with_both_names() {
    let here = std::env::consts::ARCH;
    let other = Elf::exiting_with(0).for_another_machine().bytes();
    let runs_here = format!("this engine runs {here}");
    let said = ["program: binary is for ", &runs_here, "hint: compile it for "];
    program(&other).within(AT_ONCE).end().with(125, &said);
}

#[test]
fn a_program_with_a_loader_that_the_image_lacks_is_refused() {
    let musl = Elf::exiting_with(0).loaded_by("/lib/ld-musl-x86_64.so.1").bytes();
    let said = ["needs the loader \"/lib/ld-musl-x86_64.so.1\"", "hint: ", "musl"];
    program(&musl).within(AT_ONCE).end().with(125, &said);
}

#[test]
fn a_program_that_was_cut_is_refused() {
    let whole = Elf::exiting_with(0).loaded_by("/lib64/ld-linux-x86-64.so.2").bytes();
    for length in [4, 40, 64, 100, whole.len() - 40] {
        let said = ["damaged ELF file", "hint: copy the file again; part of it is missing"];
        program(&whole[..length]).within(AT_ONCE).end().with(125, &said);
    }
}

#[test]
fn a_program_whose_library_is_missing_ends_with_the_loaders_words() {
    let said = ["libnowhere.so.7: cannot open shared object file"];
    program(&Elf::exiting_with(0).needing("libnowhere.so.7").bytes()).end().with(127, &said);
}

#[test]
fn a_program_that_was_taken_for_a_script_is_refused() {
    let bytes = Elf::exiting_with(0).bytes();
    let said = ["has a NUL byte at offset ", "it is not a shell script", "hint: "];
    program(&bytes).args(["--type", "shell"]).end().with(125, &said);
}

#[test]
fn a_script_that_was_taken_for_a_program_is_refused() {
    let said = ["not an ELF file", "hint: "];
    shell("echo").args(["--type", "binary"]).end().with(125, &said);
}

#[test]
fn an_unknown_type_is_answered_with_the_known_ones() {
    let said = ["\"perl\"", "shell, python, binary"];
    shell("echo").args(["--type", "perl"]).end().with(125, &said);
}

#[test]
fn the_type_is_told_from_name_and_content() {
    let source = "import sys; print(sys.argv[0].rpartition('/')[2])";
    assert_eq!(python(source).end().with_success().text(), "script.py\n");
    let with_shebang = format!("#!/usr/bin/env python3\n{source}");
    assert_eq!(shell(&with_shebang).end().with_success().text(), "script.sh\n");
    let nameless = Run::of("script", source.as_bytes()).args(["--type", "python"]);
    assert_eq!(nameless.end().with_success().text(), "script\n");
    let awk = Run::of("sum", b"#!/usr/bin/awk -f\nBEGIN { print 6 * 7 }");
    assert_eq!(awk.end().with_success().text(), "42\n");
}

#[test]
fn an_interpreter_that_the_image_lacks_is_named() {
    let said = ["is not in the image", "/usr/bin/nowhere"];
    let ended = shell("#!/usr/bin/nowhere -x\necho").end().with(127, &said);
    assert_eq!(ended.stderr.matches("is not in the image").count(), 1, "{ended:?}");
}

#[test]
fn what_can_not_be_an_interpreter_is_named() {
    shell("#!/etc/passwd\n").end().with(126, &["can't be executed", "/etc/passwd"]);
    shell("#!/etc\n").end().with(126, &["can't be executed", "/etc"]);
}

#[test]
fn a_file_with_any_name_runs() {
    for name in ["-rf", "with space 'and' \"quotes\".sh", "größe.sh", "new\nline", "..."] {
        let run = Run::of("script.sh", b"printf %s \"$SCRIPT_NAME\"");
        let named = run.folder().join(name);
        fs::rename(run.folder().join("script.sh"), &named).unwrap();
        let ended = path(&named).end().with_success();
        assert_eq!(ended.text(), name, "{ended:?}");
    }
}

#[test]
fn windows_line_ends_after_the_interpreter_do_not_matter() {
    let ended = shell("#!/bin/sh\r\nexit 5 #\r\n").end();
    assert_eq!(ended.code, 5, "{ended:?}");
}

#[test]
fn a_script_that_was_saved_on_windows_runs() {
    let source = "#!/bin/bash\nset -e\nif true; then\n  echo one\nfi\ncat <<END\ntwo\nEND\n";
    let ended = shell(&source.replace('\n', "\r\n")).end().with_success();
    assert_eq!(ended.text(), "one\ntwo\n");
    let ended = python("if True:\r\n    print('a',\r\n'b')\r\n").end().with_success();
    assert_eq!(ended.text(), "a b\n");
}

#[test]
fn options_of_python_in_the_first_line_count() {
    let source = "import sys; print(sys.flags.optimize, sys.warnoptions)";
    let with = |line: &str| python(&format!("{line}\n{source}"));
    let ended = with("#!/usr/bin/env -S python3 -O -W error").end().with_success();
    assert_eq!(ended.text(), "1 ['error']\n");
    let said = ["-m in its `#!` line", "hint: "];
    with("#!/usr/bin/python3 -m pdb").within(AT_ONCE).end().with(125, &said);
}

#[test]
fn a_large_script_runs() {
    let comment = "# 63 more of these, and a newline at the end: 64 bytes in all  \n";
    let source = comment.repeat(20 * 1024 * 1024 / comment.len()) + "echo done\n";
    assert_eq!(shell(&source).end().with_success().text(), "done\n");
}

#[test]
fn without_an_engine_it_is_said_where_it_was_looked_for() {
    let nowhere = Path::new("/nonexistent/docker.sock");
    let said = ["/nonexistent/docker.sock", "hint: "];
    let address = format!("unix://{}", nowhere.display());
    shell("echo").env("DOCKER_HOST", address).within(AT_ONCE).end().with(125, &said);
}

#[test]
fn a_program_finds_itself() {
    let readlink = fs::read("/usr/bin/readlink").unwrap();
    let ended = program(&readlink).args(["--arg", "/proc/self/exe"]).end().with_success();
    assert_eq!(ended.text(), "/run/gantry/program\n");
    let cat = fs::read("/usr/bin/cat").unwrap();
    let ended = program(&cat).args(["--arg", "/proc/self/cmdline"]).end().with_success();
    assert_eq!(ended.text(), "/run/gantry/program\0/proc/self/cmdline\0");
}
