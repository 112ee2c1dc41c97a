//! The user of a script: one that no other script has at the time, with a name and a
//! home, and with the kernel's quotas for itself.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use crate::testkit::run::{Run, python, shell};
use crate::testkit::running::Running;
use serde_json::json;

/// Takes what the kernel gives to one user, says how much it was, and keeps it.
const GREEDY: &str = r"
import ctypes, sys, time
libc = ctypes.CDLL(None, use_errno=True)
taken = 0
while taken < 4000 and libc.inotify_init() >= 0:
    taken += 1
print('took', taken, 'instances', file=sys.stderr, flush=True)
time.sleep(60)
";

/// Needs one of the same.
const MODEST: &str = r"
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
if libc.inotify_init() < 0:
    raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
";

/// The default range, as `gantry --help` says it.
const RANGE: std::ops::RangeInclusive<u32> = 60_578..=61_183;

/// Whoever says its number and stays.
fn staying() -> Running {
    let running = shell("echo uid $(id -u) says >&2; sleep 60").start();
    running.wait_for(" says");
    running
}

fn uid(running: &Running) -> u32 {
    let said = running.said();
    said.split_whitespace().skip_while(|it| *it != "uid").nth(1).unwrap().parse().unwrap()
}

#[test]
fn what_one_script_takes_of_its_users_quota_is_not_missing_for_another() {
    let greedy = python(GREEDY).start();
    greedy.wait_for(" instances");
    python(MODEST).end().with_success();
    greedy.signal("INT");
    greedy.end().with(130, &["took"]);
}

#[test]
fn each_script_has_a_user_that_no_other_one_has() {
    let all = [staying(), staying(), staying()];
    let mut uids = all.each_ref().map(uid).to_vec();
    assert!(uids.iter().all(|it| RANGE.contains(it)), "{uids:?}");
    uids.sort_unstable();
    uids.dedup();
    assert_eq!(uids.len(), 3, "{uids:?}");
    for running in all {
        running.signal("INT");
        running.end().with(130, &[]);
    }
}

#[test]
fn the_user_has_a_name_and_a_home() {
    let source = "id -un; whoami; id -gn; eval echo ~$(whoami); cd; pwd; touch /work/file; \
                  stat -c '%U %G' /work/file /work; getent passwd root | cut -d: -f6";
    let expected = "nobody\nnobody\nnogroup\n/work\n/work\nnobody nogroup\n\
                    nobody nogroup\n/root\n";
    assert_eq!(shell(source).end().with_success().text(), expected);
    let source = "
import getpass, json, os, pathlib, pwd
entry = pwd.getpwuid(os.getuid())
print(json.dumps([entry.pw_name, entry.pw_dir, getpass.getuser(), str(pathlib.Path.home()),
                  os.path.expanduser('~nobody'), pwd.getpwnam('nobody').pw_uid == os.getuid()]))
";
    let expected = json!(["nobody", "/work", "nobody", "/work", "/work", true]);
    assert_eq!(python(source).end().with_success().json(), expected);
}

#[test]
fn the_range_is_a_setting_and_what_is_none_is_said() {
    let id = || shell("id -u");
    assert_eq!(id().env("GANTRY_UIDS", "70123").end().with_success().text(), "70123\n");
    assert_eq!(id().env("GANTRY_UIDS", "65534").end().with_success().text(), "65534\n");
    let ended = id().env("GANTRY_UIDS", "0-70000").end();
    ended.with(125, &["GANTRY_UIDS", "FIRST-LAST"]);
}

/// `data/file` below a folder that may be mounted.
fn mounted(run: impl FnOnce(&str) -> Run, suffix: &str) -> (tempfile::TempDir, Run) {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("data")).unwrap();
    fs::write(root.path().join("data/file"), "content").unwrap();
    fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(root.path().join("data"), fs::Permissions::from_mode(0o777)).unwrap();
    let mount = format!("{}:/data{suffix}", root.path().join("data").display());
    let run = run(&mount).env("GANTRY_MOUNT_ROOTS", root.path());
    (root, run)
}

#[test]
fn what_may_write_to_the_host_has_the_user_that_its_folders_are_made_for() {
    let source = "id -u; touch /data/new";
    let (root, run) = mounted(|mount| shell(source).args(["--mount", mount]), ":rw");
    assert_eq!(run.end().with_success().text(), "65534\n");
    assert_eq!(fs::metadata(root.path().join("data/new")).unwrap().uid(), 65_534);
    let source = "id -u; cat /data/file";
    let (_root, run) = mounted(|mount| shell(source).args(["--mount", mount]), "");
    let ended = run.end().with_success();
    let (uid, content) = ended.text().split_once('\n').unwrap();
    assert!(RANGE.contains(&uid.parse().unwrap()), "{ended:?}");
    assert_eq!(content, "content");
}

/// A user and a group that no machine has.
const OWNER: &str = "424242:424343";

/// A run that writes to `data`, which only `OWNER` may look into; `None` if this process
/// can't give it to them.
fn owned(source: &str) -> Option<(tempfile::TempDir, Run)> {
    let (root, run) = mounted(|mount| shell(source).args(["--mount", mount]), ":rw");
    let data = root.path().join("data");
    fs::set_permissions(&data, fs::Permissions::from_mode(0o700)).unwrap();
    std::os::unix::fs::chown(&data, Some(424_242), Some(424_343)).ok()?;
    Some((root, run.args(["--owner", OWNER])))
}

#[test]
fn what_a_script_writes_to_a_mount_belongs_to_its_owner() {
    let source = "echo $(id -u) $(id -g) $(id -G) $(id -un) ~; touch /work/a /data/new; \
                  mkdir /data/folder; stat -c %u:%g /work/a /work /tmp/. /dev/shm/.";
    let Some((root, run)) = owned(source) else { return };
    let ended = run.env("GANTRY_OWNERS", format!("1000:1000,{OWNER}")).end().with_success();
    let all = format!("424242 424343 424343 nobody /work\n{}", format!("{OWNER}\n").repeat(4));
    assert_eq!(ended.text(), all);
    for name in ["new", "folder"] {
        let made = fs::metadata(root.path().join("data").join(name)).unwrap();
        assert_eq!((made.uid(), made.gid()), (424_242, 424_343), "{name}");
    }
}

#[test]
fn an_owner_has_a_home_although_the_image_has_another_one_for_him() {
    let source = "import json, os, pwd; print(json.dumps([os.getuid(), pwd.getpwuid(os.getuid()).pw_dir, \
                  os.path.expanduser('~')]))";
    let run = python(source).args(["--owner", "33:33"]).env("GANTRY_OWNERS", "33:33");
    assert_eq!(run.end().with_success().json(), json!([33, "/work", "/work"]));
}

#[test]
fn nobody_is_an_owner_whom_the_operator_does_not_allow() {
    let run = |owner: &str| shell("id -u").args(["--owner", owner]);
    let said = ["--owner 1000:1000 is refused", "hint: the operator can allow it"];
    run("1000:1000").end().with(125, &said);
    run("1000:1000").env("GANTRY_OWNERS", "1000:1001").end().with(125, &said);
    for (list, words) in [
        ("0:0", "no script runs as root"),
        ("1000:0", "with the group of root"),
        ("1000", "is not UID:GID"),
        ("1000:1000,60600:100", "60578-61183"),
    ] {
        run("1000:1000").env("GANTRY_OWNERS", list).end().with(125, &["GANTRY_OWNERS", words]);
    }
}
