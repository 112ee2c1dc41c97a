//! What a script sees of its sandbox, and what it is refused.

mod support;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use support::run::{Run, python, shell};

/// Runs a Python script that prints one JSON document.
#[track_caller]
fn probe(source: &str) -> Value {
    python(source).end().with_success().json()
}

/// Prints, for each of these attempts, what came of it.
const ATTEMPTS: &str = r#"
import ctypes, errno, json, os, platform, socket
libc = ctypes.CDLL(None, use_errno=True)
X86 = platform.machine() == 'x86_64'
def call(x86, arm, *arguments):
    ctypes.set_errno(0)
    answer = libc.syscall(x86 if X86 else arm, *arguments)
    return 'done' if answer >= 0 else errno.errorcode[ctypes.get_errno()]
def family(number, kind=socket.SOCK_RAW, protocol=0):
    try:
        socket.socket(number, kind, protocol)
        return 'done'
    except OSError as error:
        return errno.errorcode[error.errno]
pair, limit, parameter = (ctypes.create_string_buffer(16) for _ in range(3))
found = {
    'unshare a user namespace': call(272, 97, 0x10000000),
    'unshare a mount namespace': call(272, 97, 0x00020000),
    'clone with a user namespace': call(56, 220, 0x10000000 | 17, 0, 0, 0, 0),
    'setns': call(308, 268, 0, 0),
    'mount': call(165, 40, b'none', b'/work', b'tmpfs', 0, 0),
    'umount': call(166, 39, b'/work', 0),
    'open_tree': call(428, 428, -100, b'/', 1),
    'fsopen': call(430, 430, b'tmpfs', 0),
    'pivot_root': call(155, 41, b'/work', b'/work'),
    'chroot': call(161, 51, b'/work'),
    'ptrace': call(101, 117, 0, 0, 0, 0),
    'process_vm_readv': call(310, 270, 1, 0, 0, 0, 0, 0),
    'pidfd_getfd': call(438, 438, 0, 0, 0),
    'kcmp': call(312, 272, 1, 1, 0, 0, 0),
    'keyctl': call(250, 219, 0, -3, 0),
    'add_key': call(248, 217, b'user', b'x', b'x', 1, -3),
    'request_key': call(249, 218, b'user', b'x', 0, -3),
    'bpf': call(321, 280, 0, 0, 0),
    'perf_event_open': call(298, 241, 0, 0, -1, -1, 0),
    'io_uring_setup': call(425, 425, 8, 0),
    'userfaultfd': call(323, 282, 0),
    'init_module': call(175, 105, 0, 0, b''),
    'kexec_load': call(246, 104, 0, 0, 0, 0),
    'open_by_handle_at': call(304, 265, -100, 0, 0),
    'reboot': call(169, 142, 0, 0, 0, 0),
    'swapon': call(167, 224, b'/work/swap', 0),
    'sethostname': call(170, 161, b'x', 1),
    'settimeofday': call(164, 170, 0, 0),
    'syslog': call(103, 116, 2, 0, 0),
    'acct': call(163, 89, 0),
    'quotactl': call(179, 60, 0, 0, 0, 0),
    'fanotify_init': call(300, 262, 0, 0),
    'AF_ALG': family(38, socket.SOCK_SEQPACKET),
    'AF_VSOCK': family(40, socket.SOCK_STREAM),
    'AF_NETLINK': family(16),
    'AF_PACKET': family(17),
    'AF_RXRPC': family(33, socket.SOCK_DGRAM),
    'AF_BLUETOOTH': family(31),
    'AF_XDP': family(44),
    'AF_INET raw': family(2, socket.SOCK_RAW, 1),
    'a pair of AF_VSOCK': call(53, 199, 40, 1, 0, pair),
    'the limits of PID 1': call(302, 261, 1, 0, limit, None),
    'the priority of PID 1': call(141, 140, 0, 1, 19),
    'the priority of its user': call(141, 140, 2, 65534, 19),
    'the scheduler of PID 1': call(144, 119, 1, 5, parameter),
    'a device': call(259, 33, -100, b'/work/device', 0o020666, 0x0103),
}
print(json.dumps(found))
"#;

#[test]
fn the_kernels_risky_corners_are_refused() {
    let found: BTreeMap<String, String> = serde_json::from_value(probe(ATTEMPTS)).unwrap();
    assert_eq!(found.len(), 46);
    let is_refused = |answer: &str| matches!(answer, "EPERM" | "EACCES" | "ENOSYS");
    let done: Vec<_> = found.iter().filter(|(_, answer)| !is_refused(answer)).collect();
    assert!(done.is_empty(), "{done:?}");
}

/// What ordinary programs need of what is refused above.
const ORDINARY: &str = r"
import json, multiprocessing, os, socket
os.nice(1)
os.mkfifo('/work/pipe')
os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
a, b = socket.socketpair()
a.send(b'x')
with multiprocessing.get_context('fork').Pool(2) as pool:
    squares = pool.map(abs, [-1, -2, -3])
print(json.dumps({'squares': squares, 'heard': b.recv(1).decode()}))
";

#[test]
fn ordinary_programs_get_what_they_need() {
    assert_eq!(probe(ORDINARY), json!({"squares": [1, 2, 3], "heard": "x"}));
}

#[test]
fn a_script_is_nobody_and_can_become_nobody_else() {
    let ended = shell(
        "grep -E '^(Uid|Gid|Groups|Cap|NoNew|Seccomp:)' /proc/self/status; id -u; \
                       find / -xdev -type f -perm /6000 2> /dev/null; umask",
    )
    .end();
    let status: BTreeMap<_, _> =
        ended.text().lines().filter_map(|line| line.split_once(":\t")).collect();
    for (name, expected) in [
        ("Uid", "65534\t65534\t65534\t65534"),
        ("Gid", "65534\t65534\t65534\t65534"),
        ("Groups", "65534 "),
        ("CapInh", "0000000000000000"),
        ("CapPrm", "0000000000000000"),
        ("CapEff", "0000000000000000"),
        ("CapBnd", "0000000000000000"),
        ("CapAmb", "0000000000000000"),
        ("NoNewPrivs", "1"),
        ("Seccomp", "2"),
    ] {
        assert_eq!(status.get(name), Some(&expected), "{name}");
    }
    assert!(ended.text().ends_with("\n65534\n0022\n"), "{ended:?}");
}

#[test]
fn limits_of_the_process_are_set() {
    let ended = shell("ulimit -c; ulimit -n; ulimit -Hn; ulimit -Hc; hostname; pwd").end();
    assert_eq!(ended.with_success().text(), "0\n4096\n4096\n0\nsandbox\n/work\n");
}

#[test]
fn only_these_places_can_be_written_to_and_each_has_a_size() {
    let source = r#"
import json, os
places = []
for folder, folders, files in os.walk('/'):
    if folder in ('/proc', '/sys'):
        folders[:] = []
    elif os.access(folder, os.W_OK):
        places.append(folder)
        folders[:] = []
sizes = {}
for place in places:
    status = os.statvfs(place)
    sizes[place] = status.f_blocks * status.f_frsize
print(json.dumps(sizes))
"#;
    let mib = |count: u64| count * 1024 * 1024;
    let found = probe(source);
    let sizes = json!({
        "/work": mib(128), "/tmp": mib(64), "/dev/shm": mib(64), "/run/gantry": mib(64) + 4096,
        // The engine's, for POSIX message queues; files can't be made there.
        "/dev/mqueue": found["/dev/mqueue"],
    });
    assert_eq!(found, sizes);
}

#[test]
fn the_root_is_read_only() {
    let source = "for place in / /etc /usr/bin /opt /var/tmp /dev /home /root /sys /proc; do
        { : > $place/x; } 2> /dev/null && echo $place; done; exit 0";
    assert_eq!(shell(source).end().with_success().text(), "");
}

#[test]
fn nothing_that_is_written_can_be_executed() {
    for place in ["/work", "/tmp", "/dev/shm", "/run/gantry"] {
        let ended = shell(&format!("cp /bin/true {place}/x && {place}/x")).end();
        ended.with(126, &["Permission denied"]);
    }
}

#[test]
fn there_is_no_way_to_the_engine_or_the_host() {
    let source = "ls /var/run/docker.sock /run/docker.sock /run/containerd /.dockerenv 2> /dev/null
        ls /dev | tr '\\n' ' '; cat /proc/kcore /proc/keys /proc/timer_list 2> /dev/null
        { echo 1 > /proc/sysrq-trigger; echo x > /proc/sys/kernel/core_pattern; } 2> /dev/null
        { echo 1 > /sys/fs/cgroup/memory/cgroup.procs; } 2> /dev/null; exit 0";
    let ended = shell(source).end();
    let text = ended.text();
    assert!(!text.contains("docker.sock") && !text.contains("containerd"), "{ended:?}");
    let devices = text.lines().find(|line| line.contains("null")).unwrap();
    for device in devices.split_whitespace() {
        let known =
            "core fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero";
        assert!(known.split(' ').any(|it| it == device), "{device} in {ended:?}");
    }
}

#[test]
fn devices_and_namespaces_can_not_be_made() {
    for command in [
        "mknod /work/sda b 8 0",
        "mknod /work/mem c 1 1",
        "unshare --user true",
        "unshare --map-root-user --mount true",
        "nsenter --target 1 --mount true",
        "mount -t tmpfs none /work",
        "mount --bind /etc /work",
        "chroot /work true",
        "chown 0:0 /work",
    ] {
        let ended = shell(&format!("{command} 2> /dev/null")).end();
        assert!(ended.code != 0, "{command}: {ended:?}");
    }
}

#[test]
fn arguments_arrive_as_they_were_given() {
    let arguments =
        ["a b", "", "'\"`$(id)`\\", "line\nbreak", "-x", "--json", "größe 🦀", "*", ";", "$HOME"];
    let source = "import json, sys; print(json.dumps(sys.argv[1:]))";
    let mut run = python(source);
    for argument in arguments {
        run = run.arg("--arg").arg(argument);
    }
    assert_eq!(run.end().with_success().json(), json!(arguments));
    let mut run = shell("printf '%s\\0' \"$@\"");
    for argument in arguments {
        run = run.arg("--arg").arg(argument);
    }
    let expected: String = arguments.iter().flat_map(|argument| [argument, "\0"]).collect();
    assert_eq!(run.end().with_success().text(), expected);
}

#[test]
fn the_environment_is_what_was_asked_for_and_nothing_else() {
    let run = shell("env -0").args(["--env", "A=x y", "--env", "EMPTY=", "--env", "NL=1\n2=3"]);
    let ended = run.env("SECRET_OF_THE_HOST", "x").end().with_success();
    let found: BTreeMap<_, _> =
        ended.text().split_terminator('\0').map(|it| it.split_once('=').unwrap()).collect();
    let ours = ["EXECUTION_ID", "HOME", "LANG", "PATH", "SCRIPT_NAME"];
    let shells = ["OLDPWD", "PWD", "SHLVL", "_"];
    let theirs = [("A", "x y"), ("EMPTY", ""), ("NL", "1\n2=3")];
    for (name, value) in &found {
        let is_known = ours.contains(name) || shells.contains(name);
        assert!(is_known || theirs.contains(&(*name, *value)), "{name}={value}");
    }
    for (name, value) in theirs.into_iter().chain([("HOME", "/work"), ("SCRIPT_NAME", "script.sh")])
    {
        assert_eq!(found.get(name), Some(&value), "{name}");
    }
}

#[test]
fn the_execution_has_an_id_that_the_script_sees() {
    let execution = shell("printf %s $EXECUTION_ID").end_with_json().json();
    assert_eq!(execution["stdout_log"], execution["id"]);
}

#[test]
fn the_scripts_own_file_is_there_and_ours_alone() {
    let ended = Run::of("own name.sh", b"cat \"$0\"; ls -A /run/gantry").end().with_success();
    assert!(ended.text().starts_with("cat \"$0\""), "{ended:?}");
    assert!(ended.text().ends_with("own_name.sh\n"), "{ended:?}");
}
