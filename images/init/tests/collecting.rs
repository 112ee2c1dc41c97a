//! Artifacts and output files of a script are sent, and nothing else is.

mod sandbox;

use std::collections::BTreeMap;

use gantry_init::message::{End, OutputFileEnd, SkipReason};
use sandbox::is_root;
use sandbox::run::{bash, shell};

#[test]
fn the_output_file_is_sent() {
    let source = "mkdir results; printf '{\"a\":\\0001}' >results/out.json";
    let Some(answer) = shell(source).output_file("results/out.json", 100).run() else { return };
    assert_eq!(answer.exit().output_file, Some(OutputFileEnd::Sent));
    assert_eq!(answer.output_file, b"{\"a\":\x001}");
    assert!(answer.artifacts.is_empty());
}

#[test]
fn a_large_output_file_comes_whole() {
    let source = "seq 1 400000 >result";
    let Some(answer) = shell(source).output_file("result", 10 << 20).run() else { return };
    let expected: String = (1..=400_000).map(|number| format!("{number}\n")).collect();
    assert!(answer.output_file == expected.into_bytes());
}

#[test]
fn an_output_file_that_can_not_be_sent_is_named() {
    for (source, expected) in [
        (":", OutputFileEnd::Missing),
        ("rm -rf /work/out; printf 12345678901 >out", OutputFileEnd::TooLarge(11)),
        ("printf 1234567890 >out", OutputFileEnd::Sent),
        (": >out", OutputFileEnd::Sent),
        ("mkdir -p out", OutputFileEnd::Unreadable),
        ("ln -s /etc/passwd out", OutputFileEnd::Unreadable),
        ("ln -s nowhere out", OutputFileEnd::Unreadable),
        ("mkfifo out", OutputFileEnd::Unreadable),
    ] {
        let source = format!("rmdir out; {source}");
        let Some(answer) = shell(&source).output_file("out", 10).run() else { return };
        assert_eq!(answer.exit().output_file, Some(expected), "{source}");
        let is_sent = expected == OutputFileEnd::Sent && source.contains("1234567890");
        assert_eq!(answer.output_file.len(), if is_sent { 10 } else { 0 }, "{source}");
    }
}

#[test]
fn a_directory_of_the_output_file_is_not_a_link_either() {
    let source = "ln -s /etc d";
    let Some(answer) = shell(source).output_file("d/passwd", 1 << 20).run() else { return };
    assert_eq!(answer.exit().output_file, Some(OutputFileEnd::Unreadable));
    assert!(answer.output_file.is_empty());
}

#[test]
fn artifacts_come_in_the_order_of_their_names() {
    let source = "cd out; mkdir -p b/c; echo 1 >z; echo 2 >b/c/x; echo 3 >a; : >b/empty; \
        head -c 300000 /dev/zero >b/large; exit 3";
    let Some(answer) = shell(source).run() else { return };
    assert_eq!(answer.end(), End::Code(3), "a failed script's artifacts are wanted most");
    assert_eq!(answer.artifact_names(), ["a", "b/c/x", "b/empty", "b/large", "z"]);
    assert_eq!(answer.artifacts[0].1, b"3\n");
    assert!(answer.artifacts[3].1 == vec![0; 300_000]);
    assert!(answer.skipped().is_empty());
}

#[test]
fn what_is_not_a_file_is_skipped() {
    let source = "cd out; echo secret >../secret; ln -s ../secret link; ln -s / root; mkfifo fifo; \
        echo fine >fine; echo no >unreadable; chmod 0 unreadable";
    let Some(answer) = shell(source).run() else { return };
    let mut expected =
        BTreeMap::from(["link", "root", "fifo"].map(|name| (name, SkipReason::Unreadable)));
    let mut sent = vec!["fine"];
    if is_root() {
        expected.insert("unreadable", SkipReason::Unreadable);
    } else {
        sent.push("unreadable");
    }
    assert_eq!(answer.artifact_names(), sent);
    assert_eq!(answer.skipped(), expected);
}

#[test]
fn a_link_in_the_place_of_the_directory_is_not_followed() {
    let Some(answer) = shell("rmdir out; ln -s /etc out").run() else { return };
    assert!(answer.artifacts.is_empty());
    assert_eq!(answer.skipped(), BTreeMap::from([(".", SkipReason::Unreadable)]));
    let answer = shell("rmdir out").run().unwrap();
    assert!(answer.artifacts.is_empty() && answer.skipped().is_empty());
}

#[test]
fn caps_are_kept() {
    let source = "cd out; for name in a b c d; do printf 12345 >$name; done; \
        truncate -s 1T huge; printf 1 >small";
    let Some(answer) = shell(source).artifacts(3, 12).run() else { return };
    assert_eq!(answer.artifact_names(), ["a", "b", "small"]);
    let too_large = ["c", "d", "huge"].map(|name| (name, SkipReason::TooLarge));
    assert_eq!(answer.skipped(), BTreeMap::from(too_large));

    let answer = shell(source).artifacts(1, 1000).run().unwrap();
    assert_eq!(answer.artifact_names(), ["a"]);
    assert_eq!(answer.skipped()["b"], SkipReason::TooMany);
}

#[test]
fn bad_names_are_skipped() {
    let source = r"cd out; touch good .hidden ... 'ü ü' $'line\nbreak' $'not\xfftext' $'\e[2J';
        touch 'a\b' '\' 'c:\d\e.txt' $'\xc2\x85';
        mkdir -p 1/2/3/4/5/6/7/8; touch 1/2/3/4/5/6/7/8/deep;
        long=$(printf 'x%.0s' {1..200}); mkdir -p $long/$long/$long/$long/$long; touch $long/$long/$long/$long/$long/$long";
    let Some(answer) = bash(source).run() else { return };
    assert_eq!(answer.artifact_names(), ["...", ".hidden", "1/2/3/4/5/6/7/8/deep", "good", "ü ü"]);
    let skipped = answer.skipped();
    let named = ["line\u{fffd}break", "not\u{fffd}text", "\u{fffd}[2J", "\u{fffd}"];
    for name in named.into_iter().chain(["a\\b", "\\", "c:\\d\\e.txt"]) {
        assert_eq!(skipped.get(name), Some(&SkipReason::Name), "{name:?} in {skipped:?}");
    }
    assert_eq!(skipped.len(), 8, "{skipped:?}");
}

#[test]
fn files_in_a_folder_with_a_bad_name_are_counted() {
    let source = r"cd out; mkdir -p 'bad\folder/deep' 'empty\folder' empty;
        touch 'bad\folder/'{1..30} 'bad\folder/deep/'{1..12} good";
    let Some(answer) = bash(source).run() else { return };
    assert_eq!(answer.artifact_names(), ["good"]);
    assert_eq!(answer.skipped(), BTreeMap::from([("bad\\folder", SkipReason::Name)]));
    assert_eq!((answer.exit().artifacts_sent, answer.exit().artifacts_unlisted), (1, 41));
}

#[test]
fn every_file_is_sent_listed_or_counted() {
    let source = "cd out; touch {1..150}";
    let Some(answer) = bash(source).artifacts(100, 1000).run() else { return };
    let exit = answer.exit();
    let counts = (answer.artifacts.len(), exit.artifacts_skipped.len(), exit.artifacts_unlisted);
    assert_eq!(counts, (100, 24, 26));
}

#[test]
fn a_full_place_is_noticed() {
    let full = "head -c 100M /dev/zero >full";
    for (source, was_full, is_full) in [
        ("head -c 10M /dev/zero >half", false, false),
        (full, true, true),
        // It complains, more than a pipe holds, and then it cleans up.
        (&format!("{full}; head -c 200000 /dev/zero >&2; rm full"), true, false),
    ] {
        let Some(answer) = bash(source).run() else { return };
        let work = answer.exit().places.iter().find(|it| it.path == "/work").unwrap();
        assert_eq!((work.was_full, work.is_full), (was_full, is_full), "{source}");
        assert_eq!(work.bytes, 64 << 20);
    }
}

#[test]
fn very_many_files_are_not_all_looked_at() {
    let source = "cd out; seq 1 30000 | xargs touch";
    let Some(answer) = bash(source).artifacts(10, 1000).run() else { return };
    assert_eq!(answer.artifacts.len(), 10);
    assert_eq!(answer.skipped().len(), 24);
    assert!(answer.skipped().values().all(|&reason| reason == SkipReason::TooMany));
    assert_eq!(answer.exit().artifacts_unlisted, 30_000 - 10 - 24);
}
