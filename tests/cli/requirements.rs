//! `gantry run --requirements`: what may not be asked for, and what is said of
//! what can't be had. No registry is named here: the one that the machine is set
//! up for is used.

use std::time::Duration;

use crate::testkit::home::system;
use crate::testkit::run::{Run, python};

/// Refuses requirements before anything is built, saying all of `said`.
#[track_caller]
fn refuses(requirements: &[u8], said: &[&str]) {
    let run = Run::command(&["run"]);
    let file = run.file("script.py", b"print(1)");
    let run = run.arg(file).requirements(requirements).within(Duration::from_secs(20));
    let said: Vec<_> = said.iter().copied().chain(["requirements.txt"]).collect();
    run.end().with(125, &said);
}

#[test]
fn options_are_refused_with_their_line() {
    for (line, said) in [
        ("--index-url https://index.example/simple", "option --index-url is not allowed"),
        ("-i https://index.example/simple", "option -i is not allowed"),
        ("--extra-index-url=https://index.example", "option --extra-index-url is not allowed"),
        ("--find-links ./wheels", "option --find-links is not allowed"),
        ("--trusted-host index.example", "option --trusted-host is not supported"),
        ("--pre", "option --pre is not supported"),
        ("-r more.txt", "option -r needs files"),
        ("-e .", "option -e needs files"),
        ("-e git+https://code.example/x.git#egg=x", "option -e needs files"),
        ("--no-binary :all:", "option --no-binary is not supported"),
    ] {
        let requirements = format!("six\n\n# a comment\n{line}\n");
        refuses(requirements.as_bytes(), &["requirements line 4: ", said, "hint: "]);
    }
}

#[test]
fn places_to_fetch_from_are_refused() {
    for (line, said) in [
        ("six @ https://files.example/six.whl", "direct URLs are not allowed"),
        ("six @ git+https://code.example/six.git", "direct URLs are not allowed"),
        ("https://files.example/six.whl", "direct URLs are not allowed"),
        ("git+ssh://git@code.example/six.git", "URL"),
        ("six @ file:///etc/passwd", "requirements line 1: "),
        ("./six", "local paths are not supported"),
        ("/etc/passwd", "local paths are not supported"),
        ("six-1.17.0-py2.py3-none-any.whl", "local paths are not supported"),
    ] {
        refuses(line.as_bytes(), &[said, "hint: "]);
    }
}

#[test]
fn the_password_of_a_refused_url_is_not_shown() {
    let run = Run::command(&["run"]);
    let file = run.file("script.py", b"print(1)");
    let run = run.arg(file).requirements("--index-url https://me:s3cret@index.example/simple");
    let ended = run.end().with(125, &["option --index-url is not allowed"]);
    assert!(!ended.stderr.contains("s3cret"), "{ended:?}");
}

#[test]
fn what_is_no_requirement_is_shown_with_its_line() {
    refuses(b"six\nnot a requirement!\n", &["requirements line 2", "hint: for example: numpy"]);
    refuses(b"six==\n", &["requirements line 1: not a valid requirement"]);
    refuses(b"six; rm -rf /\n", &["requirements line 1: option -rf is not supported"]);
    refuses(b"six\x1b[31m\n", &["requirements line 1"]);
}

#[test]
fn ten_thousand_requirements_are_refused() {
    let many: String = (0..10_000).map(|number| format!("package-{number}\n")).collect();
    refuses(many.as_bytes(), &["10000 requirements, at most 1000", "hint: "]);
}

#[test]
fn a_huge_requirements_file_is_refused() {
    refuses(&b"six\n".repeat(100_000), &["400000 bytes", "256 KiB"]);
    refuses(&b"six\n".repeat(300_000), &["more than 1 MiB"]);
    refuses(&b"x".repeat(5_000), &["5000 bytes long", "hint: "]);
}

#[test]
fn requirements_that_are_no_text_are_refused_with_the_place() {
    refuses(b"six\n\xff\xfe\n", &["is not UTF-8 text (byte 4)", "hint: save it as UTF-8"]);
    let utf16: Vec<u8> = "\u{feff}six\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    refuses(&utf16, &["is UTF-16 text, not UTF-8", "hint: save it as UTF-8"]);
}

#[test]
fn requirements_may_come_out_of_a_pipe() {
    let run = Run::command(&["run"]);
    let script = run.file("script.py", b"print(1)");
    let pipe = script.with_file_name("requirements");
    system("mkfifo", &[pipe.to_str().unwrap()]);
    let writer = std::thread::spawn({
        let pipe = pipe.clone();
        move || std::fs::write(pipe, "six\n--pre\n").unwrap()
    });
    let ended = run.arg(script).arg("--requirements").arg(pipe).end();
    ended.with(125, &["requirements line 2: option --pre is not supported"]);
    writer.join().unwrap();
}

#[test]
fn a_requirements_file_that_is_not_there_is_named() {
    let run = python("print(1)").args(["--requirements", "nowhere.txt"]);
    run.end().with(125, &["nowhere.txt can't be read", "No such file"]);
    let run = python("print(1)").args(["--requirements", "."]);
    run.end().with(125, &["it is a folder, not a file"]);
}

#[test]
fn requirements_that_say_nothing_need_no_environment() {
    let run = python("print(1)").requirements("# nothing\n\n");
    assert_eq!(run.end().with_success().text(), "1\n");
}

#[test]
fn a_package_that_does_not_exist_is_named() {
    let name = "gantry-tests-know-that-there-is-none";
    let said = [&format!("error: can't install {name}>=1"), "not found in the package registry"];
    python("print(1)").requirements(format!("six\n{name}>=1\n")).end().with(125, &said);
}

#[test]
fn a_version_that_does_not_exist_is_named() {
    let said = ["error: can't install six==0.0.1234", "no version of six==0.0.1234"];
    python("print(1)").requirements("six==0.0.1234").end().with(125, &said);
}

#[test]
fn requirements_that_contradict_each_other_are_explained() {
    let said = ["error: can't install six==1.16.0", "unsatisfiable", "six==1.17.0"];
    python("print(1)").requirements("six==1.16.0\nsix==1.17.0").end().with(125, &said);
}

#[test]
fn a_package_without_wheels_leads_to_a_hint() {
    // It has never had one.
    let said = ["can't install docopt==0.6.2", "hint: only wheels are installed by default"];
    let ended = python("print(1)").requirements("docopt==0.6.2").end().with(125, &said);
    assert!(ended.stderr.contains("or allow `sources`"), "{ended:?}");
}

#[test]
fn a_hash_that_the_index_does_not_have_is_refused() {
    let requirement = format!("six==1.16.0 --hash=sha256:{}\n", "0".repeat(64));
    let ended = python("import six").requirements(requirement.as_bytes()).end();
    ended.with(125, &["can't install six==1.16.0", "none of its hashes is the index's"]);
}
