//! Folders of single containers: scratch on disk.

use std::fs;

use crate::testkit::run::shell;

#[test]
fn scratch_on_disk_is_a_folder_of_the_host_that_is_gone_with_the_container() {
    let source = "df -P /work | grep -c tmpfs
        stat -c %a /work /work/out /work/tmp /work/in
        echo x >/work/out/file; mkdir -p /work/a/b; echo y >/work/a/b/c
        { echo z >/work/in/new; } 2>&1 | grep -o 'Read-only file system'
        { mv /work/out /work/other; rmdir /work/tmp; } 2>&1 | grep -c 'not permitted'
        ulimit -f";
    let run = shell(source).args(["--disk", "1GiB"]);
    let scratch = run.folder().join("data/scratch");
    let ended = run.end().with_success();
    assert_eq!(
        ended.text(),
        "0\n1777\n777\n777\n755\nRead-only file system\n2\n2097152\n",
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
