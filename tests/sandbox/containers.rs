//! What a script sees of its sandbox, and what it is refused. All that a hostile one
//! would try is in `sandbox_probe.rs`.

use std::collections::BTreeMap;

use crate::testkit::run::{Run, python, shell};
use serde_json::{Value, json};

/// Runs a Python script that prints one JSON document.
#[track_caller]
fn probe(source: &str) -> Value {
    python(source).end().with_success().json()
}

/// What ordinary programs need of what is refused to others (`sandbox_probe.rs`).
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

/// Calls of ordinary programs on processes of their own, by number.
const OWN: &str = r"
import ctypes, json, os, resource, socket, subprocess
child = subprocess.Popen(['sleep', '60'])
pid = child.pid
os.setpriority(os.PRIO_PGRP, os.getpgid(0), 5)
os.setpriority(os.PRIO_PROCESS, pid, 7)
os.sched_setscheduler(pid, os.SCHED_BATCH, os.sched_param(0))
os.sched_setparam(pid, os.sched_param(0))
os.sched_setaffinity(pid, [min(os.sched_getaffinity(pid))])
resource.prlimit(pid, resource.RLIMIT_NOFILE, (10, 20))
# ioprio_set(IOPRIO_WHO_PROCESS, pid, IOPRIO_CLASS_IDLE)
libc = ctypes.CDLL(None, use_errno=True)
idle = libc.syscall({'x86_64': 251, 'aarch64': 30}[os.uname().machine], 1, pid, 3 << 13)
found = {
    'priority': os.getpriority(os.PRIO_PROCESS, pid),
    'processors': len(os.sched_getaffinity(pid)),
    'files': resource.prlimit(pid, resource.RLIMIT_NOFILE),
    'idle': idle,
    'interfaces': [name for _, name in socket.if_nameindex() if name == 'lo'],
}
child.kill()
print(json.dumps(found))
";

#[test]
fn a_script_changes_its_own_processes_and_sees_its_own_interfaces() {
    let expected = json!({
        "priority": 7, "processors": 1, "files": [10, 20], "idle": 0, "interfaces": ["lo"],
    });
    assert_eq!(probe(OWN), expected);
}

/// Leaves a queue and semaphores behind, and takes a segment of memory.
const SHARED: &str = r"
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.shmat.restype = ctypes.c_void_p
def done(answer):
    if answer in (-1, ctypes.c_void_p(-1).value):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return answer
done(libc.semget(0, 3, 0o1600))
done(libc.msgget(0, 0o1600))
size = int(sys.argv[1])
segment = done(libc.shmget(0, size, 0o1600))
ctypes.memset(ctypes.c_void_p(done(libc.shmat(segment, None, 0))), 1, size)
print('shared')
";

#[test]
fn shared_memory_is_the_scripts_own_and_counts_as_its_memory() {
    let shared = |mib: u64| {
        let size = (mib << 20).to_string();
        python(SHARED).args(["--memory", "128MiB", "--arg", &size])
    };
    assert_eq!(shared(16).end().with_success().text(), "shared\n");
    let execution = shared(256).end_with_json();
    assert_eq!(execution.json()["error_kind"], "out_of_memory", "{execution:?}");
}

#[test]
fn files_have_attributes_where_the_kernel_gives_them_to_memory() {
    let source = "
import errno, os
path = '/work/file'
open(path, 'w').close()
try:
    os.setxattr(path, 'user.a', b'value')
    assert os.getxattr(path, 'user.a') == b'value' and os.listxattr(path) == ['user.a']
    os.removexattr(path, 'user.a')
except OSError as error:
    assert error.errno == errno.EOPNOTSUPP, error
for name in ('trusted.a', 'security.capability'):
    try:
        os.setxattr(path, name, (0x2000000).to_bytes(4, 'little') + bytes(16))
    except PermissionError:
        continue
    raise AssertionError(name)
";
    python(source).end().with_success();
}

#[test]
fn a_core_limit_that_lets_the_host_see_a_crash_can_not_be_set() {
    let source = "
import resource
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
print(resource.getrlimit(resource.RLIMIT_CORE))
try:
    resource.prlimit(0, resource.RLIMIT_CORE, (0, 0))
except PermissionError:
    print(resource.prlimit(0, resource.RLIMIT_CORE))
";
    assert_eq!(python(source).end().with_success().text(), "(1, 1)\n(1, 1)\n");
}

#[test]
fn what_a_script_writes_can_be_executed_and_loaded() {
    let source = "for place in /work /tmp; do
        printf '#!/bin/sh\\necho ran $0\\n' > $place/helper.sh; cp /bin/echo $place/program
        chmod +x $place/helper.sh $place/program
        $place/helper.sh; $place/program program
    done";
    let ended = shell(source).end().with_success();
    let expected = "ran /work/helper.sh\nprogram\nran /tmp/helper.sh\nprogram\n";
    assert_eq!(ended.text(), expected);
    let loaded = probe(
        "import ctypes, glob, json, shutil\n\
         library = glob.glob('/usr/lib/*/libz.so.1')[0]\n\
         print(json.dumps([ctypes.CDLL(shutil.copy(library, place)).zlibVersion() != 0 \
         for place in ('/work', '/tmp')]))",
    );
    assert_eq!(loaded, json!([true, true]));
}

#[test]
fn set_id_files_and_devices_stay_without_effect() {
    let ended = shell("grep -E ' /(work|tmp|run/gantry|dev/shm) ' /proc/mounts").end();
    let lines: Vec<_> = ended.text().lines().collect();
    assert_eq!(lines.len(), 4, "{ended:?}");
    for line in lines {
        assert!(line.contains("nosuid") && line.contains("nodev"), "{line}");
    }
}

#[test]
fn a_file_may_be_longer_than_what_it_takes() {
    let ended = shell("truncate -s 1G sparse && stat -c %s sparse && ulimit -f").end();
    assert_eq!(ended.with_success().text(), "1073741824\nunlimited\n");
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
    assert!(ended.text().ends_with("\n0022\n"), "{ended:?}");
    let uids: Vec<_> = status["Uid"].split('\t').chain(ended.text().lines().rev().nth(1)).collect();
    assert!(uids.len() == 5 && uids.iter().all(|it| *it == uids[0]), "{uids:?}");
    let uid: u32 = uids[0].parse().unwrap();
    assert!((60_578..=61_183).contains(&uid), "{uid}");
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
fn nothing_in_shared_memory_can_be_executed() {
    let ended = shell("cp /bin/true /dev/shm/x && /dev/shm/x").end();
    ended.with(126, &["Permission denied"]);
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
    // Of so many CPUs.
    let counts = |name: &str, value: &str| {
        let is_count = ["_THREADS", "_COUNT", "GOMAXPROCS"].iter().any(|it| name.ends_with(it));
        is_count && value == "1"
    };
    let shells = ["OLDPWD", "PWD", "SHLVL", "_"];
    let theirs = [("A", "x y"), ("EMPTY", ""), ("NL", "1\n2=3")];
    for (name, value) in &found {
        let is_known = ours.contains(name) || shells.contains(name) || counts(name, value);
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
    // Beside it is what /etc/passwd leads to.
    assert!(ended.text().ends_with("@passwd\nown_name.sh\n"), "{ended:?}");
}
