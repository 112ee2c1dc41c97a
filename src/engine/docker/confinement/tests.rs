use super::*;
use crate::domain::limits::Limits;
use crate::domain::run_folder::{RunFolder, RunFolders};
use crate::domain::sandbox_spec::{Network, Purpose};
use crate::domain::user::User;

fn spec(network: Network) -> SandboxSpec {
    SandboxSpec {
        image: "sha256:1".to_owned(),
        limits: Limits::default(),
        network,
        mounts: Vec::new(),
        owner: None,
        folder: RunFolder::None,
        oci_runtime: None,
        exec: true,
        purpose: Purpose::Execution,
    }
}

fn inspected(json: &str) -> Confinement {
    reported_confinement(serde_json::from_str(json).unwrap(), &[])
}

#[test]
fn what_is_asked_for_holds_for_itself() {
    for network in [Network::None, Network::Egress] {
        let requested = requested_confinement(&spec(network), User::of_sandbox(70_000), &[]);
        assert_eq!(requested.verify_against(&requested), Ok(()));
        assert!(requested.seccomp.as_ref().is_some_and(|it| it.len() == 71), "{requested:?}");
        assert!(requested.no_new_privileges && requested.readonly_root && !requested.privileged);
        assert_eq!(requested.ulimits.keys().collect::<Vec<_>>(), ["core", "nofile"]);
        assert_eq!(requested.tmpfs.len(), 4);
    }
}

#[test]
fn security_options_are_read_in_every_spelling() {
    for option in ["no-new-privileges", "no-new-privileges:true", "no-new-privileges=true"] {
        let json = format!(r#"{{"HostConfig": {{"SecurityOpt": ["{option}", "label=disable"]}}}}"#);
        let seen = inspected(&json);
        assert!(seen.no_new_privileges, "{option}");
        assert_eq!(seen.security_options, ["label=disable"]);
    }
    let json =
        r#"{"HostConfig": {"SecurityOpt": ["no-new-privileges=false", "seccomp=unconfined"]}}"#;
    let seen = inspected(json);
    assert!(!seen.no_new_privileges);
    assert_eq!(seen.seccomp.as_deref(), Some("unconfined"));
}

#[test]
fn podmans_words_are_read_as_dockers() {
    let seen = inspected(
        r#"{"HostConfig": {"CpuQuota": 150000, "CpuPeriod": 100000, "NanoCpus": 0,
            "Ulimits": [{"Name": "RLIMIT_NOFILE", "Soft": 10, "Hard": 20}]}}"#,
    );
    assert_eq!(seen.nano_cpus, 1_500_000_000);
    assert_eq!(seen.ulimits["nofile"], Ulimit { soft: 10, hard: 20 });
}

#[test]
fn what_the_image_brings_of_the_host_is_seen() {
    let seen = inspected(
        r#"{"Mounts": [
            {"Type": "volume", "Source": "/v/1", "Destination": "/data", "RW": true},
            {"Type": "tmpfs", "Destination": "/run", "RW": true}]}"#,
    );
    let volume =
        SeenMount { source: "/v/1".to_owned(), target: "/data".to_owned(), read_only: false };
    assert_eq!(seen.mounts, [volume]);
}

#[test]
fn a_builds_volume_is_the_one_that_was_asked_for() {
    let build = |cache_volume: Option<&str>| {
        let cache_volume = cache_volume.map(str::to_owned);
        let purpose = Purpose::Build { cache_volume };
        requested_confinement(&SandboxSpec { purpose, ..spec(Network::Egress) }, User::SHARED, &[])
    };
    let seen = inspected(
        r#"{"Mounts": [{"Type": "volume", "Name": "gantry-cache", "Destination": "/cache",
            "Source": "/var/lib/docker/volumes/gantry-cache/_data", "RW": true}]}"#,
    );
    let holds = |requested: &Confinement| {
        Confinement { mounts: seen.mounts.clone(), ..requested.clone() }
            .verify_against(requested)
            .is_ok()
    };
    assert!(holds(&build(Some("gantry-cache"))) && holds(&build(None)));
    assert!(!holds(&build(Some("another"))));
    assert!(!holds(&requested_confinement(&spec(Network::None), User::of_sandbox(70_000), &[])));
}

#[test]
fn a_build_has_a_network_of_its_own_or_none() {
    let requested = |network| {
        let purpose = Purpose::Build { cache_volume: None };
        let requested =
            requested_confinement(&SandboxSpec { purpose, ..spec(network) }, User::SHARED, &[]);
        (requested.network_mode, requested.network_disabled)
    };
    assert_eq!(requested(Network::Egress), ("gantry-build".to_owned(), false));
    assert_eq!(requested(Network::None), ("none".to_owned(), true));
}

#[test]
fn whatever_runs_a_packages_code_has_small_socket_buffers() {
    let largest = |network, purpose| {
        let requested =
            requested_confinement(&SandboxSpec { purpose, ..spec(network) }, User::SHARED, &[]);
        let receive = requested.sysctls.unwrap_or_default().remove("net.ipv4.tcp_rmem");
        receive.and_then(|it| it.rsplit(' ').next().map(str::to_owned))
    };
    let build = |volume: Option<&str>| Purpose::Build { cache_volume: volume.map(str::to_owned) };
    assert_eq!(largest(Network::None, Purpose::Execution).as_deref(), Some("131072"));
    assert_eq!(largest(Network::Egress, Purpose::Execution).as_deref(), Some("1048576"));
    assert_eq!(largest(Network::Egress, build(None)).as_deref(), Some("1048576"));
    assert_eq!(largest(Network::Egress, build(Some("gantry-cache"))), None);
}

#[test]
fn an_engine_that_says_nothing_of_it_confines_nothing() {
    assert!(
        inspected("{}")
            .verify_against(&requested_confinement(
                &spec(Network::None),
                User::of_sandbox(70_000),
                &[]
            ))
            .is_err()
    );
}

/// A sandbox with scratch on disk, and the mounts of its own folder.
fn on_disk(name: &str) -> (SandboxSpec, Vec<mount::Mount>) {
    let folder = RunFolder::Scratch { disk_bytes: 1 << 30 };
    let own = RunFolders::new("/scratch".into()).mounts(name, folder);
    (SandboxSpec { folder, ..spec(Network::None) }, own)
}

#[test]
fn the_own_folder_has_no_path_in_a_receipt() {
    let requested = ["a", "b"].map(|name| {
        let (spec, own) = on_disk(name);
        requested_confinement(&spec, User::of_sandbox(70_000), &own)
    });
    assert_eq!(requested[0], requested[1]);
    assert_eq!(requested[0].tmpfs.len(), 3);
    assert!(requested[0].executes_files());
    let mounts: Vec<_> = requested[0].mounts.iter().map(|it| (&*it.target, it.read_only)).collect();
    assert_eq!(mounts, [("/work", false), ("/work/in", true)]);
}

#[test]
fn a_mount_elsewhere_is_not_the_own_folder() {
    let (spec, own) = on_disk("a");
    let requested = requested_confinement(&spec, User::of_sandbox(70_000), &own);
    for (source, is_own) in [
        ("/scratch/a/work", true),
        ("/host_mnt/scratch/a/work", true),
        ("/scratch/b/work", false),
        ("/scratch/a", false),
    ] {
        let json = format!(
            r#"{{"Mounts": [{{"Type": "bind", "Source": "{source}", "Destination": "/work"}}]}}"#
        );
        let seen = reported_confinement(serde_json::from_str(&json).unwrap(), &own);
        let Confinement { mounts, .. } = seen;
        let seen = Confinement { mounts, ..requested.clone() };
        assert_eq!(seen.verify_against(&requested).is_ok(), is_own, "{source}");
    }
}

#[test]
fn a_file_is_bounded_by_the_disk_but_not_on_mounts() {
    let largest = |spec: &SandboxSpec| {
        let limits = requested_confinement(spec, User::of_sandbox(70_000), &[]).ulimits;
        limits.get("fsize").map(|it| it.hard)
    };
    let (disk, _) = on_disk("a");
    assert_eq!(largest(&disk), Some(1 << 30));
    let small = RunFolder::Scratch { disk_bytes: 16 << 20 };
    assert_eq!(largest(&SandboxSpec { folder: small, ..disk.clone() }), Some(128 << 20));
    let mounts = vec![mount::Mount::parse("/srv/out:/out:rw").unwrap()];
    assert_eq!(largest(&SandboxSpec { mounts, ..disk }), None);
    assert_eq!(largest(&spec(Network::None)), None);
}
