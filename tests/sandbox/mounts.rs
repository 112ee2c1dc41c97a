//! `gantry run --mount`: nothing of the host, but what its operator allows.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use crate::testkit::run::{Run, shell};
use tempfile::TempDir;

/// A root with `data/file` in it, readable and writable for everybody, beside a
/// folder that is not below it.
struct Host {
    folder: TempDir,
}

impl Host {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["root/data", "outside"] {
            fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        let host = Self { folder };
        fs::write(host.path("root/data/file"), "content").unwrap();
        fs::write(host.path("outside/secret"), "secret").unwrap();
        for (name, mode) in [("", 0o755), ("root", 0o755), ("root/data", 0o777)] {
            fs::set_permissions(host.path(name), fs::Permissions::from_mode(mode)).unwrap();
        }
        host
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// A run with a mount, where `root` is allowed.
    fn run(&self, source: &str, from: &Path, to: &str) -> Run {
        let mount = format!("{}:{to}", from.display());
        shell(source).args(["--mount", &mount]).env("GANTRY_MOUNT_ROOTS", self.path("root"))
    }
}

#[test]
fn without_roots_nothing_may_be_mounted() {
    let host = Host::new();
    let mount = format!("{}:/in", host.path("root").display());
    let said = ["GANTRY_MOUNT_ROOTS is empty", "hint: the operator can allow it"];
    shell("ls /in").args(["--mount", &mount]).end().with(125, &said);
    shell("ls /in").args(["--mount", &mount]).env("GANTRY_MOUNT_ROOTS", "").end().with(125, &said);
}

#[test]
fn what_is_below_a_root_can_be_read_and_not_written() {
    let host = Host::new();
    let source = "cat /in/file; { echo x > /in/new; } 2>&1; rm -f /in/file 2>&1";
    for suffix in ["", ":ro"] {
        let ended = host.run(source, &host.path("root/data"), &format!("/in{suffix}")).end();
        assert!(ended.text().starts_with("content"), "{ended:?}");
        assert_eq!(ended.text().matches("Read-only file system").count(), 2, "{ended:?}");
    }
    assert_eq!(fs::read_to_string(host.path("root/data/file")).unwrap(), "content");
}

#[test]
fn what_is_mounted_for_writing_can_be_written() {
    let host = Host::new();
    let source = "echo new > /out/new; rm /out/file";
    host.run(source, &host.path("root/data"), "/out:rw").end().with_success();
    assert_eq!(fs::read_to_string(host.path("root/data/new")).unwrap(), "new\n");
    assert!(!host.path("root/data/file").exists());
}

#[test]
fn a_file_on_a_mount_may_be_larger_than_scratch() {
    let host = Host::new();
    // /work has room for 128 MiB, and no file in it may be larger.
    let source = "dd if=/dev/zero of=/out/large bs=1M count=200 2> /dev/null; \
                  dd if=/dev/zero of=/out/sparse bs=1M seek=8191 count=1 2> /dev/null; \
                  dd if=/dev/zero of=/work/large bs=1M count=200 2> /dev/null || echo full";
    let ended = host.run(source, &host.path("root/data"), "/out:rw").end();
    assert_eq!(ended.with_success().text(), "full\n");
    for (name, bytes) in [("large", 200 << 20), ("sparse", 8_u64 << 30)] {
        assert_eq!(fs::metadata(host.path("root/data").join(name)).unwrap().len(), bytes);
    }
}

#[test]
fn one_file_can_be_mounted() {
    let host = Host::new();
    let ended = host.run("cat /in.txt", &host.path("root/data/file"), "/in.txt").end();
    assert_eq!(ended.with_success().text(), "content");
}

#[test]
fn what_is_outside_of_the_roots_is_refused() {
    let host = Host::new();
    let said = ["it is below none of GANTRY_MOUNT_ROOTS", "hint: "];
    host.run("ls /in", &host.path("outside"), "/in").end().with(125, &said);
    host.run("ls /in", Path::new("/etc"), "/in").end().with(125, &said);
    // A name that begins like the root's is not below it.
    fs::create_dir(host.path("root-2")).unwrap();
    host.run("ls /in", &host.path("root-2"), "/in").end().with(125, &said);
}

#[test]
fn two_dots_do_not_lead_out() {
    let host = Host::new();
    let said = ["it is below none of GANTRY_MOUNT_ROOTS"];
    host.run("ls /in", &host.path("root/../outside"), "/in").end().with(125, &said);
    host.run("ls /in", &host.path("root/.."), "/in").end().with(125, &said);
    let inside = host.run("cat /in/file", &host.path("root/data/../data"), "/in").end();
    assert_eq!(inside.with_success().text(), "content");
}

#[test]
fn links_do_not_lead_out() {
    let host = Host::new();
    symlink(host.path("outside"), host.path("root/link")).unwrap();
    symlink("../outside", host.path("root/relative")).unwrap();
    let said = ["it is below none of GANTRY_MOUNT_ROOTS"];
    for name in ["root/link", "root/relative", "root/link/secret"] {
        host.run("ls /in", &host.path(name), "/in").end().with(125, &said);
    }
    // A link inside of what is mounted leads nowhere in the sandbox.
    symlink(host.path("outside/secret"), host.path("root/data/link")).unwrap();
    let ended = host.run("cat /in/link", &host.path("root/data"), "/in").end();
    ended.with(1, &["No such file"]);
}

#[test]
fn what_controls_the_machine_is_refused_whatever_the_roots_are() {
    for source in ["/", "/proc", "/sys/fs", "/dev/null", "/run", "/var/run/docker.sock"] {
        let mount = format!("{source}:/in");
        let ended = shell("ls /in").args(["--mount", &mount]).env("GANTRY_MOUNT_ROOTS", "/").end();
        assert_eq!(ended.code, 125, "{source}: {ended:?}");
        let said = ["it gives control over the host", "No such file"];
        assert!(said.iter().any(|it| ended.stderr.contains(it)), "{source}: {ended:?}");
    }
}

#[test]
fn a_source_that_is_not_there_is_named_and_not_made() {
    let host = Host::new();
    let nowhere = host.path("root/nowhere");
    host.run("ls /in", &nowhere, "/in").end().with(125, &["root/nowhere", "No such file"]);
    assert!(!nowhere.exists());
}

#[test]
fn mounts_do_not_overlap() {
    let host = Host::new();
    let again = format!("{}:/in/deeper", host.path("root/data").display());
    let run = host.run("ls /in", &host.path("root/data"), "/in").args(["--mount", &again]);
    run.end().with(125, &["\"/in\"", "\"/in/deeper\"", "overlap"]);
}

#[test]
fn set_user_id_bits_on_a_mount_mean_nothing() {
    let host = Host::new();
    let program = host.path("root/data/id");
    if fs::copy("/usr/bin/id", &program).is_err() {
        return;
    }
    fs::set_permissions(&program, fs::Permissions::from_mode(0o6755)).unwrap();
    let ended = host.run("/in/id -u && id -u", &host.path("root/data"), "/in").end();
    let users: Vec<_> = ended.text().lines().collect();
    assert!(ended.code != 0 || (users[0] == users[1] && users[0] != "0"), "{ended:?}");
}
