//! `gantry run --input`: JSON in, byte for byte, or a fault with its place.

use crate::testkit::MIB;
use crate::testkit::home::system;
use crate::testkit::run::{Run, python, shell};

/// Refuses an input, saying all of `said`.
#[track_caller]
fn refuses(input: &str, said: &[&str]) {
    let run = Run::command(&["run"]);
    let file = run.file("script.sh", b"cat");
    run.arg(file).arg("--input").arg(input).end().with(125, said);
}

#[test]
fn input_that_is_not_json_is_shown_with_line_and_column() {
    refuses(
        "{\"a\": 1,}",
        &["input is not JSON: ", "at line 1, column 9", "{\"a\": 1,}\n        ^"],
    );
    refuses("[1,\n 2,\n x]", &["at line 3, column 2", " x]\n ^"]);
    refuses("{", &["line 1"]);
    refuses("nope", &["at line 1, column 2"]);
    refuses("[1] [2]", &["at line 1, column 5"]);
}

#[test]
fn input_without_a_document_is_refused() {
    refuses("", &["input is empty", "hint: "]);
    refuses(" \n\t", &["input is empty"]);
}

#[test]
fn input_that_nests_too_deep_is_refused() {
    refuses(&"[".repeat(100_000), &["input is not JSON"]);
    let deep = format!("{}{}", "[".repeat(129), "]".repeat(129));
    refuses(&deep, &["nested more than 128 levels deep", "column 129"]);
}

#[test]
fn input_reaches_the_script_byte_for_byte() {
    let json = " {\"b\": 1.10, \"a\": 123456789012345678901234567890,\n \"a\": \"\\u00e9é\"} ";
    assert_eq!(shell("cat").args(["--input", json]).end().with_success().text(), json);
}

#[test]
fn input_comes_from_a_file() {
    let run = shell("cat");
    let file = run.file("input.json", b"[1, 2]\n");
    let argument = format!("@{}", file.display());
    assert_eq!(run.arg("--input").arg(argument).end().with_success().text(), "[1, 2]\n");
}

#[test]
fn an_input_file_that_can_not_be_read_is_named() {
    refuses("@nowhere.json", &["nowhere.json can't be read", "No such file"]);
    refuses("@/", &["it is a folder, not a file"]);
    let run = shell("cat");
    let pipe = run.folder().join("pipe");
    system("mkfifo", &[pipe.to_str().unwrap()]);
    let argument = format!("@{}", pipe.display());
    run.arg("--input").arg(argument).end().with(125, &["it is not a regular file"]);
}

#[test]
fn an_input_file_that_is_not_text_is_refused_with_its_place() {
    let run = shell("cat");
    let file = run.file("input.json", b"[\"\xff\"]");
    let argument = format!("@{}", file.display());
    run.arg("--input").arg(argument).end().with(125, &["invalid UTF-8 at line 1, column 3"]);
}

#[test]
fn input_comes_from_stdin() {
    let ended = shell("cat").args(["--input", "-"]).stdin("{\"a\":1}").end();
    assert_eq!(ended.with_success().text(), "{\"a\":1}");
    let said = ["at line 2, column 1"];
    shell("cat").args(["--input", "-"]).stdin("[\n}").end().with(125, &said);
}

#[test]
fn without_input_the_script_reads_nothing_and_not_our_stdin() {
    assert_eq!(shell("wc -c").stdin("secret").end().with_success().text(), "0\n");
}

#[test]
fn input_beyond_its_limit_is_refused() {
    let huge = format!("\"{}\"", "x".repeat(64 * MIB));
    let said = ["at most 67108864 (64 MiB) are allowed", "hint: "];
    shell("cat").args(["--input", "-"]).stdin(huge).end().with(125, &said);
}

#[test]
fn input_that_does_not_fit_into_the_memory_limit_is_refused() {
    let run = shell("cat").args(["--input", "-", "--memory", "16MiB"]);
    let said = ["must not be more than half of the memory limit", "hint: give it a memory limit"];
    run.stdin(format!("\"{}\"", "x".repeat(9 * MIB))).end().with(125, &said);
}

#[test]
fn a_script_may_leave_fifty_megabytes_of_input_unread() {
    let input = format!("\"{}\"", "x".repeat(50 * MIB));
    let ended = shell("echo done").args(["--input", "-"]).stdin(input).end().with_success();
    assert_eq!(ended.text(), "done\n");
}

#[test]
fn a_script_may_close_its_stdin() {
    let source = "exec <&-; sleep 0.1; echo done";
    let input = format!("\"{}\"", "x".repeat(MIB));
    let ended = shell(source).args(["--input", "-"]).stdin(input).end().with_success();
    assert_eq!(ended.text(), "done\n");
}

#[test]
fn a_script_reads_fifty_megabytes_of_input() {
    let input = format!("\"{}\"", "x".repeat(50 * MIB));
    let length = input.len();
    let ended = shell("wc -c").args(["--input", "-"]).stdin(input).end().with_success();
    assert_eq!(ended.text(), format!("{length}\n"));
}

#[test]
fn stdin_is_a_pipe_that_event_loops_take() {
    let source = "
import asyncio, select, sys
async def main():
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return await reader.read()
epoll = select.epoll()
epoll.register(0, select.EPOLLIN)
print(len(epoll.poll()), len(asyncio.run(main())))";
    let input = format!("\"{}\"", "x".repeat(1_000_000));
    let run = python(source);
    let file = run.file("input.json", input.as_bytes());
    let ended = run.arg("--input").arg(format!("@{}", file.display())).end().with_success();
    assert_eq!(ended.text(), "1 1000002\n");
}
