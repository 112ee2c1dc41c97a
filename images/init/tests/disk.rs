//! A script with `/work` on disk: it is measured, its files are moved, and the rest is gone.

#![allow(clippy::unwrap_used, reason = "a test")]

mod sandbox;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use gantry_init::message::{End, OverDisk, SkipReason, Stopped};
use sandbox::answer::Answer;
use sandbox::run::{Run, bash, shell};
use sandbox::{Sandbox, is_root};

const MIB: u64 = 1 << 20;

/// A folder as the server makes it for a container.
fn work() -> tempfile::TempDir {
    let work = tempfile::tempdir().unwrap();
    for (name, mode) in [("out", 0o777), ("tmp", 0o777), (".gantry", 0o777), ("in", 0o755)] {
        fs::create_dir(work.path().join(name)).unwrap();
        let permissions = fs::Permissions::from_mode(mode);
        fs::set_permissions(work.path().join(name), permissions).unwrap();
    }
    fs::set_permissions(work.path(), fs::Permissions::from_mode(0o1777)).unwrap();
    work
}

/// Runs it to the end of PID 1; `None` where another user's files can't be had.
fn run(run: Run, work: &Path) -> Option<Answer> {
    if !is_root() {
        eprintln!("skipped: it needs two users");
        return None;
    }
    Some(run.start_in(Sandbox::start_on(work)?).answer())
}

/// The entries of a folder.
fn listed(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn files_are_moved_and_the_rest_is_gone() {
    let work = work();
    let source =
        "mkdir -p out/b deep/er tmp/t; echo 1 >out/z; printf 22 >out/b/x; chmod 700 out/b/x
        echo 3 >left; echo 4 >deep/er/left; echo 5 >tmp/t/left; ln -s / link; mkfifo fifo
        echo in the way >.gantry/0; chmod 0 out/b deep tmp/t";
    let script = shell(source).disk(64 * MIB, 1000);
    let Some(answer) = run(script, work.path()) else { return };
    assert_eq!((answer.end(), answer.exit_code), (End::Code(0), 0));
    let left: Vec<_> =
        answer.left.iter().map(|it| (it.name.as_str(), it.size, it.executable)).collect();
    assert_eq!(left, [("b/x", 2, true), ("z", 2, false)]);
    assert_eq!(answer.exit().artifacts_sent, 2);
    assert_eq!(listed(work.path()), [".gantry", "in", "out", "tmp"]);
    assert_eq!(listed(&work.path().join(".gantry")), ["0", "1"]);
    for empty in ["out", "tmp"] {
        assert_eq!(listed(&work.path().join(empty)), Vec::<String>::new());
    }
    let file = fs::symlink_metadata(work.path().join(".gantry/0")).unwrap();
    assert_eq!((file.mode() & 0o7777, file.nlink()), (0o777, 1));
    assert_eq!(fs::read(work.path().join(".gantry/1")).unwrap(), b"1\n");
    let disk = answer.exit().disk.unwrap();
    assert!(disk.over.is_none() && disk.peak_bytes > 0, "{disk:?}");
}

#[test]
fn the_servers_folders_stay_in_their_place() {
    let work = work();
    let source = "mv out other; rmdir tmp; rm -rf .gantry in; ln -s /etc .gantry; ls -A";
    let Some(answer) = run(shell(source).disk(64 * MIB, 1000), work.path()) else { return };
    assert_eq!(answer.stdout, b".gantry\nin\nout\ntmp\n");
}

#[test]
fn hard_links_are_kept_once() {
    let work = work();
    let source = "echo x >elsewhere; ln elsewhere out/a; ln elsewhere out/b; echo y >out/c";
    let Some(answer) = run(shell(source).disk(64 * MIB, 1000), work.path()) else { return };
    assert_eq!(answer.left.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["a", "c"]);
    assert_eq!(answer.skipped(), BTreeMap::from([("b", SkipReason::HardLink)]));
    assert_eq!(fs::metadata(work.path().join(".gantry/0")).unwrap().nlink(), 1);
}

#[test]
fn who_has_too_much_is_stopped() {
    let too_many = "i=0; while :; do : >$i; i=$((i+1)); done";
    let flood = "while :; do head -c 1000000 /dev/zero; done >tmp/flood";
    let nameless = "exec 3>tmp/file; rm tmp/file; while :; do head -c 1000000 /dev/zero; done >&3";
    let deep = "while :; do mkdir d; cd d; done";
    for (source, files) in [(flood, 1000), (nameless, 1000), (too_many, 100), (deep, 100_000)] {
        let work = work();
        let Some(answer) = run(bash(source).disk(16 * MIB, files), work.path()) else { return };
        assert_eq!(answer.stopped(), Some(Stopped::Disk), "{source}: {answer:?}");
        let over = answer.exit().disk.unwrap().over.unwrap();
        let is_expected = match over {
            OverDisk::Bytes(bytes) => files == 1000 && bytes > 16 * MIB,
            OverDisk::Files(count) => files == 100 && count > 100,
            OverDisk::Depth => files == 100_000,
        };
        assert!(is_expected, "{source}: {over:?}");
        assert_eq!(listed(work.path()), [".gantry", "in", "out", "tmp"]);
    }
}

#[test]
fn what_came_too_fast_to_be_stopped_is_found_at_the_end() {
    let work = work();
    let source = "head -c 20000000 /dev/zero >out/large";
    let Some(answer) = run(shell(source).disk(16 * MIB, 1000), work.path()) else { return };
    let disk = answer.exit().disk.unwrap();
    assert!(matches!(disk.over, Some(OverDisk::Bytes(20_000_000..))), "{disk:?}");
}

#[test]
fn growth_is_told_and_lengths_without_blocks_are_none() {
    let work = work();
    let source = "truncate -s 1T out/sparse; head -c 5000000 /dev/zero >a; sync; read -r line";
    let script = shell(source).disk(16 * MIB, 1000).artifacts(10, 16 * MIB).times_ms(3_000, 100);
    let Some(answer) = run(script.stdin(b""), work.path()) else { return };
    let exit = answer.exit();
    assert!(exit.disk.unwrap().over.is_none(), "{exit:?}");
    assert_eq!(answer.skipped(), BTreeMap::from([("sparse", SkipReason::TooLarge)]));
}

#[test]
fn an_unused_sandbox_leaves_nothing_either() {
    if !is_root() {
        return;
    }
    let work = work();
    fs::create_dir(work.path().join("left")).unwrap();
    std::os::unix::fs::chown(work.path().join("left"), Some(65534), Some(65534)).unwrap();
    let Some(mut sandbox) = Sandbox::start_on(work.path()) else { return };
    drop(sandbox.input.take());
    assert_eq!(sandbox.exit_code(), 65);
    assert_eq!(listed(work.path()), [".gantry", "in", "out", "tmp"]);
}
