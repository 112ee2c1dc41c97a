use std::collections::BTreeMap;

use super::*;
use crate::domain::confinement::Ulimit;

type Change = fn(&mut Confinement);

fn requested() -> Confinement {
    Confinement {
        user: "60578:65534".to_owned(),
        network_mode: "none".to_owned(),
        network_disabled: true,
        networks: vec!["none".to_owned()],
        readonly_root: true,
        capabilities_dropped: vec!["ALL".to_owned()],
        no_new_privileges: true,
        seccomp: Some("sha256:aa".to_owned()),
        memory_bytes: 256 << 20,
        memory_swap_bytes: 256 << 20,
        nano_cpus: 1_500_000_000,
        pids: 64,
        ulimits: [("core".to_owned(), limit(0)), ("nofile".to_owned(), limit(4096))].into(),
        sysctls: Some([("net.ipv4.tcp_rmem".to_owned(), "1 2 3".to_owned())].into()),
        tmpfs: [("/work".to_owned(), "rw,noexec,nosuid,nodev,size=64,mode=0700".to_owned())].into(),
        mounts: vec![mount("/srv/in", "/in", true)],
        ipc_mode: "none".to_owned(),
        ..Confinement::default()
    }
}

fn limit(value: i64) -> Ulimit {
    Ulimit { soft: value, hard: value }
}

fn mount(source: &str, target: &str, read_only: bool) -> SeenMount {
    SeenMount { source: source.to_owned(), target: target.to_owned(), read_only }
}

fn found(change: Change) -> Result<(), ConfinementGap> {
    let mut found = requested();
    change(&mut found);
    found.verify_against(&requested())
}

#[test]
fn what_is_as_it_was_asked_for_holds() {
    assert_eq!(found(|_| {}), Ok(()));
}

#[test]
fn whatever_is_weaker_is_named() {
    let weaker: [(&str, Change); 35] = [
        ("privileged", |it| it.privileged = true),
        ("user", |it| it.user = String::new()),
        ("user", |it| it.user = "0:65534".to_owned()),
        ("user", |it| it.user = "60579:65534".to_owned()),
        ("groups", |it| it.groups.push("docker".to_owned())),
        ("capabilities_added", |it| it.capabilities_added.push("CAP_SYS_ADMIN".to_owned())),
        ("capabilities_dropped", |it| it.capabilities_dropped.clear()),
        ("capabilities_dropped", |it| it.capabilities_dropped = vec!["CHOWN".to_owned()]),
        ("no_new_privileges", |it| it.no_new_privileges = false),
        ("seccomp", |it| it.seccomp = None),
        ("seccomp", |it| it.seccomp = Some("unconfined".to_owned())),
        ("seccomp", |it| it.seccomp = Some("sha256:bb".to_owned())),
        ("devices", |it| it.devices.push("/dev/kvm".to_owned())),
        ("masked_paths", |it| it.masked_paths = Some(Vec::new())),
        ("readonly_paths", |it| it.readonly_paths = Some(Vec::new())),
        ("ipc_mode", |it| it.ipc_mode = "host".to_owned()),
        ("ipc_mode", |it| it.ipc_mode = "shareable".to_owned()),
        ("pid_mode", |it| it.pid_mode = "container:db".to_owned()),
        ("uts_mode", |it| it.uts_mode = "host".to_owned()),
        ("userns_mode", |it| it.userns_mode = "host".to_owned()),
        ("network_mode", |it| it.network_mode = "bridge".to_owned()),
        ("memory_bytes", |it| it.memory_bytes = 0),
        ("memory_bytes", |it| it.memory_bytes += 1),
        ("memory_swap_bytes", |it| it.memory_swap_bytes = 0),
        ("memory_swap_bytes", |it| it.memory_swap_bytes *= 2),
        ("nano_cpus", |it| it.nano_cpus = 0),
        ("pids", |it| it.pids = -1),
        ("ulimits", |it| it.ulimits.retain(|name, _| name != "core")),
        ("ulimits", |it| it.ulimits.extend([("nofile".to_owned(), limit(-1))])),
        ("sysctls", |it| it.sysctls = Some(BTreeMap::new())),
        ("sysctls", |it| {
            it.sysctls
                .iter_mut()
                .for_each(|it| drop(it.insert("net.ipv4.tcp_rmem".to_owned(), "1 2 4".to_owned())))
        }),
        ("readonly_root", |it| it.readonly_root = false),
        ("tmpfs", |it| drop(it.tmpfs.insert("/work".to_owned(), "rw,size=64".to_owned()))),
        ("mounts", |it| it.mounts[0].read_only = false),
        ("mounts", |it| it.mounts.push(mount("/var/lib/docker/volumes/x", "/data", true))),
    ];
    for (setting, change) in weaker {
        let gap = found(change).unwrap_err();
        assert_eq!(gap.setting, setting, "{gap}");
        assert!(gap.to_string().contains(setting), "{gap}");
    }
}

#[test]
fn what_engines_say_in_other_words_holds() {
    let other_words: [Change; 13] = [
        // Docker since 28 writes capabilities out.
        |it| it.capabilities_dropped = vec!["CAP_ALL".to_owned()],
        // Podman lists what was dropped.
        |it| {
            let names = DEFAULT_CAPABILITIES.into_iter().map(|it| format!("CAP_{it}"));
            it.capabilities_dropped = names.collect();
        },
        |it| it.seccomp = Some("/tmp/profile.json".to_owned()),
        |it| it.runtime = Some("runc".to_owned()),
        |it| it.memory_swap_bytes = -1,
        |it| it.nano_cpus = 1_499_990_000,
        |it| it.networks.clear(),
        |it| it.sysctls = None,
        |it| it.ipc_mode = "private".to_owned(),
        |it| it.cgroupns_mode = "host".to_owned(),
        |it| it.ulimits.extend([("nproc".to_owned(), limit(100))]),
        |it| drop(it.tmpfs.insert("/run".to_owned(), "rw,size=64".to_owned())),
        // A virtual machine sees the host's files elsewhere.
        |it| it.mounts[0].source.insert_str(0, "/host_mnt"),
    ];
    for (number, change) in other_words.into_iter().enumerate() {
        assert_eq!(found(change), Ok(()), "number {number}");
    }
}

#[test]
fn egress_is_on_its_own_network_and_on_no_other() {
    let requested = Confinement {
        network_mode: "gantry-egress".to_owned(),
        network_disabled: false,
        networks: vec!["gantry-egress".to_owned()],
        ..requested()
    };
    let holds = |mode: &str, networks: &[&str]| {
        let networks = networks.iter().map(|it| (*it).to_owned()).collect();
        let network_mode = mode.to_owned();
        Confinement { network_mode, networks, ..requested.clone() }
            .verify_against(&requested)
            .is_ok()
    };
    assert!(holds("gantry-egress", &["gantry-egress"]));
    // Podman says the driver.
    assert!(holds("bridge", &["gantry-egress"]));
    assert!(!holds("bridge", &["bridge"]));
    assert!(!holds("gantry-egress", &["gantry-egress", "backend"]));
    assert!(!holds("host", &[]));
    assert!(!holds("container:db", &[]));
}

#[test]
fn another_runtime_than_the_one_that_was_asked_for_is_none() {
    let requested = Confinement { runtime: Some("runsc".to_owned()), ..requested() };
    let holds = |runtime: Option<&str>| {
        let runtime = runtime.map(str::to_owned);
        Confinement { runtime, ..requested.clone() }.verify_against(&requested).is_ok()
    };
    assert!(holds(Some("runsc")) && holds(Some("oci")));
    assert!(!holds(Some("runc")) && !holds(None));
}
