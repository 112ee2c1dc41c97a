//! Folders of single containers: scratch on disk.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::testkit::run::shell;

#[test]
fn scratch_on_disk_is_a_folder_of_the_host_that_is_gone_with_the_container() {
    let source = "df -P /work | grep -c tmpfs
        stat -c %a /work /work/out /work/tmp /work/in
        echo x >/work/out/file; rm /work/out/file; mkdir -p /work/a/b; echo y >/work/a/b/c
        { echo z >/work/in/new; } 2>&1 | grep -o 'Read-only file system'
        { mv /work/out /work/other; rmdir /work/tmp; } 2>&1 | grep -c 'not permitted'
        ulimit -f";
    let run = shell(source).args(["--disk", "1GiB"]);
    let scratch = run.folder().join("data/scratch");
    let ended = run.end().with_success();
    assert_eq!(
        ended.text(),
        "0\n1777\n777\n777\n755\nRead-only file system\n2\n1048576\n",
        "{ended:?}"
    );
    assert!(fs::read_dir(scratch).map_or(0, Iterator::count) == 0);
}

#[test]
fn scratch_in_memory_needs_no_folder() {
    let run = shell("ls -A /work; df -P /work | grep -c tmpfs");
    let scratch = run.folder().join("data/scratch");
    assert_eq!(run.end().with_success().text(), "out\n1\n");
    assert!(!scratch.exists());
}

#[test]
fn files_on_disk_are_given_to_the_caller_by_their_names() {
    let source = "mkdir -m 700 out/b; echo x >out/b/file; echo y >out/tool; chmod 755 out/tool";
    let target = tempfile::tempdir().unwrap();
    let ended = shell(source).args(["--disk", "64MiB"]).arg("--artifacts").arg(target.path()).end();
    assert_eq!(ended.code, 0, "{ended:?}");
    let mode = |name: &str| {
        let metadata = fs::metadata(target.path().join(name)).unwrap();
        metadata.permissions().mode() & 0o777
    };
    assert_eq!(fs::read(target.path().join("b/file")).unwrap(), b"x\n");
    assert_eq!((mode("b/file"), mode("tool")), (0o644, 0o755));
    let execution = shell(source).args(["--disk", "64MiB", "--json"]).end();
    let left = &execution.json()["artifacts"];
    assert_eq!((&left[0]["name"], &left[1]["bytes"]), (&"b/file".into(), &2.into()));
}

#[test]
fn a_run_that_has_too_much_on_disk_is_told_so() {
    let source = "head -c 100000000 /dev/zero >out/zeros; sleep 60";
    shell(source).args(["--disk", "16MiB"]).end().with(143, &["of 16 MiB", "hint: raise"]);
}
