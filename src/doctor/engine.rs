//! Checks of the engine's own report about itself.

use super::Finding;
use super::versions::Version;
use crate::domain::elf::Architecture;
use crate::domain::quantities::show_bytes;
use crate::domain::uid_range::UidRange;
use crate::engine::docker::{Description, Endpoint};

/// The oldest engine that Gantry is made for: before it, a seccomp profile can't
/// answer ENOSYS, and threads of a current glibc fail.
const OLDEST: Version = Version::of(20, 10, 10);

/// Last id that engines with mapped users have as a rule (`SUB_UID_COUNT`,
/// login.defs(5)).
const MAPPED: u32 = 65_535;

pub(super) fn examine(endpoint: &Endpoint, engine: &Description) -> Vec<Finding> {
    vec![
        reached(endpoint, engine),
        architecture(engine),
        limits(engine),
        socket_memory(engine),
        confinement(engine),
        live_restore(engine),
    ]
}

fn reached(endpoint: &Endpoint, engine: &Description) -> Finding {
    let Description { version, api_version, storage_driver, .. } = engine;
    let seen = format!("{version} (API {api_version}, {storage_driver}) at {endpoint}");
    if engine.podman_version.is_some() {
        let advice = "use Docker Engine: Podman's interface has no StdinOnce, so that waiting \
                      sandboxes would outlive a server that dies, and it ignores NetworkDisabled";
        return Finding::error("engine", format!("Podman {seen}"), advice);
    }
    if Version::parse(version).is_some_and(|version| version < OLDEST) {
        return Finding::error("engine", seen, "update Docker Engine to 20.10.10 or later");
    }
    if matches!(endpoint, Endpoint::Http(_)) {
        let advice = "anyone on the way owns the machine: use TLS (DOCKER_TLS_VERIFY=1)";
        return Finding::warning("engine", seen, advice);
    }
    Finding::ok("engine", seen)
}

fn architecture(engine: &Description) -> Finding {
    let memory = show_bytes(engine.memory_bytes);
    let seen = format!("{}, {} CPUs, {memory}", engine.architecture, engine.cpus);
    match Architecture::from_engine(&engine.architecture) {
        Some(_) => Finding::ok("machine", seen),
        None => Finding::error("machine", seen, "use an engine on x86_64 or aarch64"),
    }
}

fn limits(engine: &Description) -> Finding {
    let seen = format!("version {}", engine.cgroup_version);
    // Without swap accounting a script may swap; it is still bounded.
    let (soft, hard): (Vec<&str>, Vec<&str>) =
        engine.missing_limits.iter().partition(|name| **name == "swap");
    if !hard.is_empty() {
        let seen = format!("{seen}, no limits for {}", hard.join(", "));
        return Finding::error("cgroups", seen, "enable these controllers in the kernel");
    }
    if !soft.is_empty() {
        let seen = format!("{seen}, no limit for swap");
        return Finding::warning("cgroups", seen, "boot with swapaccount=1, or without swap");
    }
    Finding::ok("cgroups", seen)
}

/// cgroups of version 1 have a count of their own for the memory of TCP and UDP sockets,
/// which no runtime sets any more (runc 1.0.0-rc94).
fn socket_memory(engine: &Description) -> Finding {
    let subject = "socket memory";
    if engine.cgroup_version != "1" {
        return Finding::ok(subject, "is part of what each sandbox may use");
    }
    let seen = "cgroups of version 1 don't count it: each socket of a sandbox holds up to 192 KiB \
                (TCP; with egress 2 MiB) or 208 KiB (UDP) of the host's `tcp_mem` and `udp_mem`, \
                and only 4 KiB of it count as the sandbox's memory, which bounds their number";
    let advice = "boot with cgroups of version 2 (systemd.unified_cgroup_hierarchy=1)";
    Finding::warning(subject, seen, advice)
}

/// True if users in containers have other numbers outside.
pub(super) fn has_mapped_users(engine: &Description) -> bool {
    let mapped = ["name=rootless", "name=userns"];
    engine.security_options.iter().any(|it| mapped.iter().any(|mode| it.contains(mode)))
}

/// Finds out if sandboxes can have the users that they are to have.
pub(super) fn users(engine: &Description, uids: UidRange) -> Finding {
    let subject = "users";
    let seen = format!("sandboxes have uids out of {uids}");
    if uids == UidRange::SHARED {
        let seen = format!("all sandboxes share uid {uids}, and the kernel's quotas for it");
        return Finding::warning(subject, seen, "unset GANTRY_UIDS, or give it a range");
    }
    if has_mapped_users(engine) && uids.last() > MAPPED {
        let seen = format!("{seen}; an engine with mapped users may have no more than {MAPPED}");
        return Finding::warning(subject, seen, "give GANTRY_UIDS a range below");
    }
    Finding::ok(subject, seen)
}

fn confinement(engine: &Description) -> Finding {
    let options = &engine.security_options;
    let has = |name: &str| options.iter().any(|option| option.contains(name));
    let names = ["seccomp", "apparmor", "selinux", "rootless", "userns"];
    let seen = names.into_iter().filter(|name| has(name)).collect::<Vec<_>>().join(", ");
    if !has("seccomp") {
        let advice = "use a kernel and an engine with seccomp: it is what keeps scripts from \
                      most of the kernel";
        return Finding::error("confinement", format!("no seccomp ({seen})"), advice);
    }
    Finding::ok("confinement", seen)
}

fn live_restore(engine: &Description) -> Finding {
    if engine.live_restore {
        return Finding::ok("live-restore", "on: scripts survive a restart of the engine");
    }
    let advice = "set \"live-restore\": true in the engine's daemon.json";
    Finding::warning("live-restore", "off: a restart of the engine ends running scripts", advice)
}

/// Checks that the engine has the OCI runtimes that the setting and the scripts name.
pub(super) fn oci_runtimes<'a>(
    engine: &Description,
    configured: Option<&'a str>,
    of_scripts: impl Iterator<Item = &'a str>,
) -> Finding {
    let subject = "OCI runtimes";
    let has = |name: &str| engine.oci_runtimes.iter().any(|it| it == name);
    let known = engine.oci_runtimes.join(", ");
    let advice = "add it to \"runtimes\" in the engine's daemon.json, and reload the engine";
    if let Some(name) = configured.filter(|name| !has(name)) {
        let seen = format!("GANTRY_OCI_RUNTIME is {name}, and the engine has {known}");
        return Finding::error(subject, seen, advice);
    }
    let missing: Vec<_> = of_scripts.filter(|name| !has(name)).collect();
    if !missing.is_empty() {
        let missing = missing.join(", ");
        let seen = format!("scripts need {missing}, and the engine has {known}");
        return Finding::error(subject, seen, advice);
    }
    let used = configured.map_or_else(String::new, |name| format!("; sandboxes use {name}"));
    Finding::ok(subject, format!("{known}{used}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Severity;

    fn engine(runtimes: &[&str]) -> Description {
        Description {
            version: String::new(),
            api_version: String::new(),
            podman_version: None,
            runc_version: None,
            crun_version: None,
            containerd_version: None,
            architecture: String::new(),
            cgroup_version: String::new(),
            live_restore: true,
            storage_driver: String::new(),
            containerd_store: false,
            root_directory: String::new(),
            cpus: 1,
            memory_bytes: 1 << 30,
            oci_runtimes: runtimes.iter().map(|it| (*it).to_owned()).collect(),
            security_options: Vec::new(),
            authorization_plugins: Vec::new(),
            missing_limits: Vec::new(),
        }
    }

    #[test]
    fn podman_is_told_from_an_old_docker() {
        let podman = Description {
            version: "5.8.6".to_owned(),
            podman_version: Some("5.8.6".to_owned()),
            ..engine(&[])
        };
        let endpoint = Endpoint::parse(None, None).unwrap();
        let found = reached(&endpoint, &podman);
        assert_eq!(found.severity, Severity::Error);
        assert!(found.seen.starts_with("Podman 5.8.6 "), "{}", found.seen);
        assert!(super::super::versions::examine(&podman).is_empty());
    }

    #[test]
    fn what_bounds_users_and_sockets_is_said() {
        let with = |options: &[&str], version: &str| Description {
            security_options: options.iter().map(|it| (*it).to_owned()).collect(),
            cgroup_version: version.to_owned(),
            ..engine(&[])
        };
        let (plain, mapped) = (with(&["name=seccomp"], "1"), with(&["name=userns"], "2"));
        let large: UidRange = "70000-80000".parse().unwrap();
        for (engine, uids, severity) in [
            (&plain, UidRange::DEFAULT, Severity::Ok),
            (&mapped, UidRange::DEFAULT, Severity::Ok),
            (&plain, large, Severity::Ok),
            (&mapped, large, Severity::Warning),
            (&plain, UidRange::SHARED, Severity::Warning),
        ] {
            assert_eq!(users(engine, uids).severity, severity, "{uids}");
        }
        assert_eq!(socket_memory(&plain).severity, Severity::Warning);
        assert_eq!(socket_memory(&mapped).severity, Severity::Ok);
    }

    #[test]
    fn a_runtime_that_the_engine_does_not_have_is_said() {
        let engine = engine(&["crun", "runc"]);
        let found = |configured, scripts: &[&'static str]| {
            oci_runtimes(&engine, configured, scripts.iter().copied())
        };
        assert_eq!(found(None, &[]).severity, Severity::Ok);
        assert_eq!(found(Some("crun"), &["runc"]).severity, Severity::Ok);
        let missing = found(Some("runsc"), &[]);
        assert_eq!(missing.severity, Severity::Error);
        assert_eq!(missing.seen, "GANTRY_OCI_RUNTIME is runsc, and the engine has crun, runc");
        let missing = found(None, &["kata", "runc"]);
        assert_eq!(missing.seen, "scripts need kata, and the engine has crun, runc");
    }
}
