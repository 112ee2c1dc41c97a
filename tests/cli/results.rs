//! `gantry run --artifacts` and `--output-file`: what scripts leave in files.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::testkit::run::{python, shell};
use serde_json::{Value, json};

/// All files below a folder with their content, by their path in it.
fn files_in(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                folders.push(entry);
            } else {
                let name = entry.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
                files.insert(name, fs::read(&entry).unwrap());
            }
        }
    }
    files
}

#[test]
fn files_in_out_become_artifacts() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("new/folder");
    let source = r"
        cd out; mkdir -p deep/er
        printf 'a\0\377' > plain.bin; printf nested > deep/er/nested.txt; : > empty
        printf x > 'größe und so'";
    let ended = shell(source).arg("--artifacts").arg(&target).end();
    let expected = [
        ("plain.bin", &b"a\0\xff"[..]),
        ("deep/er/nested.txt", b"nested"),
        ("empty", b""),
        ("größe und so", b"x"),
    ];
    let expected = expected.map(|(name, content)| (name.to_owned(), content.to_vec()));
    assert_eq!(files_in(&target), BTreeMap::from(expected), "{ended:?}");
    ended.with(0, &["note: artifact plain.bin (3 B)", "note: artifact deep/er/nested.txt"]);
}

/// Leaves one file, and much that is none.
const ODDITIES: &str = r#"
import os, socket
os.chdir('out')
socket.socket(socket.AF_UNIX).bind('socket')
os.mkfifo('pipe')
os.symlink('/etc/passwd', 'link')
os.symlink('.', 'loop')
os.symlink('/etc', 'folder')
for name in ('secret', 'kept', 'new\nline', b'\xff', 'a\\b'):
    with open(name, 'w') as file:
        file.write('y')
os.chmod('secret', 0)
"#;

#[test]
fn what_is_no_file_is_skipped_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let run = python(ODDITIES).arg("--artifacts").arg(folder.path()).arg("--json");
    let ended = run.end();
    let artifacts = ended.json()["artifacts"].as_array().unwrap().clone();
    let skipped = |name: &str| {
        let found = artifacts.iter().find(|artifact| artifact["name"] == name);
        found.map_or(Value::Null, |artifact| artifact["skipped"].clone())
    };
    for name in ["socket", "pipe", "link", "loop", "folder", "secret"] {
        assert_eq!(skipped(name), "not a readable file", "{name}");
    }
    for name in ["new\u{fffd}line", "\u{fffd}", "a\\b"] {
        assert_eq!(skipped(name), "forbidden name", "{artifacts:?}");
    }
    let kept = artifacts.iter().find(|artifact| artifact["name"] == "kept").unwrap();
    assert_eq!((&kept["bytes"], &kept["skipped"]), (&json!(1), &Value::Null));
    assert_eq!(files_in(folder.path()), BTreeMap::from([("kept".to_owned(), b"y".to_vec())]));
    let said = ["note: artifact socket was not taken: not a readable file"];
    assert_eq!(ended.json()["error_kind"], "outputs_refused");
    ended.with(1, &said);
}

#[test]
fn artifacts_have_caps() {
    let source = "cd out; for i in {1..10050}; do : > $i; done; echo done";
    let ended = shell(source).end_with_json().with(1, &["50 files in /work/out", "hint: "]);
    assert_eq!(ended.json()["error_kind"], "outputs_refused");
    assert_eq!(ended.json()["exit_code"], 0);
    assert_eq!(ended.json()["stdout_log"], "done\n");
    assert_eq!(ended.json()["stdout_truncated"], false);
    let artifacts = ended.json()["artifacts"].as_array().unwrap().clone();
    let (taken, skipped): (Vec<_>, Vec<_>) =
        artifacts.iter().partition(|artifact| artifact["skipped"].is_null());
    assert_eq!((taken.len(), skipped.len()), (10_000, 24));
    assert!(skipped.iter().all(|artifact| artifact["skipped"] == "too many artifacts"));

    let ended = shell("head -c 65M /dev/zero > out/large; echo > out/small").end();
    ended.with(1, &["artifact large was not taken: too large", "the script left 1 file"]);
}

#[test]
fn a_full_place_is_named_with_its_size() {
    let run = |source: &str| shell(source).args(["--memory", "64MiB"]).end_with_json();
    let cut = "head -c 100M /dev/zero > out/film 2> /dev/null; exit 0";
    let ended = run(cut).with(1, &["/work (32 MiB) was full", "hint: "]);
    assert_eq!(ended.json()["error_kind"], "out_of_disk");
    assert_eq!(ended.json()["artifacts"][0]["name"], "film");
    let ended = run("head -c 100M /dev/zero > /dev/shm/x").with(1, &["/dev/shm (32 MiB)"]);
    assert_eq!(ended.json()["error_kind"], "out_of_disk");
    assert_eq!(run("head -c 100M /dev/zero > x; exit 0").code, 0);
}

#[test]
fn without_a_folder_artifacts_are_only_counted() {
    let ended = shell("echo > out/a; echo > out/b").end();
    ended.with(0, &["note: the script left 2 files; --artifacts DIR keeps them"]);
}

#[test]
fn a_script_that_fails_leaves_its_artifacts_too() {
    let folder = tempfile::tempdir().unwrap();
    let ended = shell("echo why > out/log; exit 3").arg("--artifacts").arg(folder.path()).end();
    assert_eq!(files_in(folder.path()), BTreeMap::from([("log".to_owned(), b"why\n".to_vec())]));
    ended.with(3, &["artifact log"]);
}

#[test]
fn a_folder_that_can_not_be_made_is_said_before_anything_runs() {
    let run = shell("echo ran >&2; echo > out/a").args(["--artifacts", "/proc/nowhere"]);
    let ended = run.end().with(125, &["error: --artifacts /proc/nowhere: ", "hint: "]);
    assert!(!ended.stderr.contains("ran"), "{ended:?}");
}

#[test]
fn nothing_is_ever_replaced() {
    let run = shell("echo ran >&2; echo hostile > out/Makefile").args(["--artifacts", "."]);
    let ended = run.end().with(125, &["--artifacts .: the folder is not empty", "hint: "]);
    assert!(!ended.stderr.contains("ran"), "{ended:?}");
}

#[test]
fn the_result_is_read_from_the_output_file() {
    let run = shell("echo talk; mkdir results; echo '{\"x\": [1]}' > results/r.json");
    let ended = run.args(["--output-file", "results/r.json"]).end_with_json().with_success();
    assert_eq!(ended.json()["output_data"], json!({"x": [1]}));
    assert_eq!(ended.json()["stdout_log"], "talk\n");
}

#[test]
fn the_output_file_is_printed_instead_of_stdout() {
    let run = shell(r"printf 'a\0\377' > r.bin; echo talk; echo err >&2; exit 3");
    let ended = run.args(["--output-file", "r.bin"]).end();
    assert_eq!(
        (ended.code, &ended.stdout[..], ended.stderr.as_str()),
        (3, &b"a\0\xff"[..], "err\n")
    );
}

#[test]
fn a_promised_output_file_has_to_be_there() {
    let with_file = |source: &str| shell(source).args(["--output-file", "r.json"]).end_with_json();
    for (source, words) in [
        ("true", "the script left no output file"),
        ("ln -s /etc/passwd r.json", "the output file is not a readable file"),
        ("mkdir r.json", "the output file is not a readable file"),
        ("head -c 11M /dev/zero > r.json", "the output file has 11534336 bytes"),
    ] {
        let ended = with_file(source).with(1, &["error: ", words]);
        assert_eq!(ended.json()["error_kind"], "invalid_output", "{source}");
    }
    assert_eq!(with_file("exit 3").code, 3);
}

#[test]
fn an_output_file_stays_below_work() {
    for path in ["/etc/passwd", "../etc/passwd", "a/../../b", ""] {
        let ended = shell("true").args(["--output-file", path]).end();
        assert_eq!(ended.code, 125, "{path:?}: {ended:?}");
    }
}
