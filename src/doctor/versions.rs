//! Versions with known holes. Distributions mend holes without changing the
//! version, so what is found here may be mended already.

use super::Finding;
use crate::engine::docker::Description;

/// Three numbers, compared one after the other, and whether it was a candidate for
/// these: that one comes before them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version {
    numbers: (u32, u32, u32),
    candidate: u32,
}

impl Version {
    /// A release.
    pub(super) const fn of(first: u32, second: u32, third: u32) -> Self {
        Self { numbers: (first, second, third), candidate: u32::MAX }
    }

    /// A candidate for a release.
    const fn candidate(candidate: u32, release: Self) -> Self {
        Self { candidate, ..release }
    }

    /// The first three numbers of a version and that of its candidate, whatever follows
    /// them.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.trim_start_matches(|c: char| !c.is_ascii_digit());
        let mut numbers = text.splitn(3, '.').map(first_number);
        let first = numbers.next()??;
        let mut following = || numbers.next().flatten().unwrap_or(0);
        let release = Self::of(first, following(), following());
        let after = text.split_once("-rc").or_else(|| text.split_once("~rc"));
        let candidate = after.and_then(|(_, it)| first_number(it.trim_start_matches('.')));
        Some(candidate.map_or(release, |number| Self::candidate(number, release)))
    }
}

fn first_number(text: &str) -> Option<u32> {
    text.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// A hole: where, in which versions, what it is.
struct Hole {
    /// From each first version up to, and without, the second.
    versions: &'static [(Version, Version)],
    name: &'static str,
    what: &'static str,
    fixed: &'static str,
}

impl Hole {
    fn is_in(&self, version: Version) -> bool {
        self.versions.iter().any(|(first, mended)| (*first..*mended).contains(&version))
    }
}

/// The first version of all, and the first candidate of one.
const ANY: Version = Version::candidate(0, Version::of(0, 0, 0));

const fn begun(first: u32, second: u32) -> Version {
    Version::candidate(0, Version::of(first, second, 0))
}

/// Advisories of opencontainers/runc.
const RUNC: [Hole; 6] = [
    Hole {
        versions: &[(ANY, Version::of(1, 1, 5))],
        name: "CVE-2023-25809, -27561, -28642",
        what: "links in an image lead past what of /proc and /sys is masked; Gantry's own have none",
        fixed: "1.1.5",
    },
    Hole {
        versions: &[(ANY, Version::of(1, 1, 12))],
        name: "CVE-2024-21626",
        what: "a container's working directory can lead to the host's files; Gantry fixes its own",
        fixed: "1.1.12",
    },
    Hole {
        versions: &[
            (ANY, Version::of(1, 1, 14)),
            (begun(1, 2), Version::candidate(3, Version::of(1, 2, 0))),
        ],
        name: "CVE-2024-45310",
        what: "scripts that share a writable mount can have empty files made on the host",
        fixed: "1.1.14",
    },
    Hole {
        versions: &[
            (ANY, Version::of(1, 2, 8)),
            (begun(1, 3), Version::of(1, 3, 3)),
            (begun(1, 4), Version::candidate(3, Version::of(1, 4, 0))),
        ],
        name: "CVE-2025-31133, -52565, -52881",
        what: "races between mounts at a container's start",
        fixed: "1.2.8, 1.3.3 or 1.4.0-rc.3",
    },
    Hole {
        versions: &[
            (ANY, Version::of(1, 3, 6)),
            (begun(1, 4), Version::of(1, 4, 3)),
            (begun(1, 5), Version::candidate(3, Version::of(1, 5, 0))),
        ],
        name: "CVE-2026-41579",
        what: "an image whose /dev is a link can write to the host; Gantry's own have none",
        fixed: "1.3.6, 1.4.3 or 1.5.0-rc.3",
    },
    Hole {
        versions: &[(ANY, Version::of(1, 6, 0))],
        name: "CVE-2026-135844",
        what: "an image's huge /etc/passwd takes memory at each start; Gantry's own are small",
        fixed: "1.6.0",
    },
];

/// Advisories of containers/crun, but for those of its virtual machines.
const CRUN: [Hole; 2] = [
    Hole {
        versions: &[(Version::of(1, 19, 0), Version::of(1, 27, 0))],
        name: "CVE-2026-30892",
        what: "`docker exec --user 1` becomes root; Gantry never does so, and nobody should by hand",
        fixed: "1.27",
    },
    Hole {
        versions: &[(ANY, Version::of(1, 30, 0))],
        name: "CVE-2026-88264, -88265",
        what: "an image whose /dev/console or /dev/null is a link leads to the host's files; \
               Gantry's own have none",
        fixed: "1.30",
    },
];

/// Advisories of containerd/containerd.
const CONTAINERD: [Hole; 1] = [Hole {
    versions: &[
        (ANY, Version::of(1, 7, 29)),
        (begun(2, 0), Version::of(2, 0, 7)),
        (begun(2, 1), Version::of(2, 1, 5)),
        (begun(2, 2), Version::of(2, 2, 0)),
    ],
    name: "CVE-2024-25621",
    what: "other users of the machine can get into its folders",
    fixed: "1.7.29, 2.0.7, 2.1.5 or 2.2.0",
}];

/// Issues and advisories of moby/moby, but for those that need a plugin.
const ENGINE: [Hole; 4] = [
    Hole {
        versions: &[(ANY, Version::of(20, 10, 27)), (begun(22, 0), Version::of(24, 0, 7))],
        name: "moby#46661",
        what: "the engine can deadlock and start nothing while it answers; sandboxes without a \
               network don't touch what deadlocks",
        fixed: "20.10.27 or 24.0.7",
    },
    Hole {
        versions: &[(begun(26, 0), Version::of(26, 0, 2))],
        name: "CVE-2024-32473",
        what: "scripts with egress have IPv6 on networks that should have none",
        fixed: "26.0.2",
    },
    Hole {
        versions: &[(ANY, Version::of(25, 0, 13)), (begun(26, 0), Version::of(28, 0, 0))],
        name: "CVE-2025-54410",
        what: "after a reload of firewalld, scripts with egress reach containers of other networks",
        fixed: "25.0.13 or 28.0.0",
    },
    Hole {
        versions: &[(ANY, Version::of(29, 5, 1))],
        name: "CVE-2026-41567, -41568, -42306",
        what: "`docker cp` to or from a container that ran a script can be led to the host's \
               files; Gantry never does so, and nobody should by hand",
        fixed: "29.5.1",
    },
];

/// Only where there are plugins to be skipped.
const AUTHORIZATION: Hole = Hole {
    versions: &[(ANY, Version::of(29, 3, 1))],
    name: "CVE-2024-41110, CVE-2026-34040",
    what: "authorisation plugins can be skipped, and this engine has some",
    fixed: "29.3.1",
};

pub(super) fn examine(engine: &Description) -> Vec<Finding> {
    let mut findings = Vec::new();
    // Its numbers are not Docker's.
    if engine.podman_version.is_some() {
        return findings;
    }
    let mut look = |subject, text: &str, holes: &[Hole]| {
        let Some(version) = Version::parse(text) else { return };
        let open = holes.iter().filter(|hole| hole.is_in(version));
        findings.extend(open.map(|hole| found(subject, text, hole)));
    };
    look("engine version", &engine.version, &ENGINE);
    if !engine.authorization_plugins.is_empty() {
        look("engine version", &engine.version, &[AUTHORIZATION]);
    }
    look("containerd version", engine.containerd_version.as_deref().unwrap_or(""), &CONTAINERD);
    look("runc version", engine.runc_version.as_deref().unwrap_or(""), &RUNC);
    look("crun version", engine.crun_version.as_deref().unwrap_or(""), &CRUN);
    findings
}

fn found(subject: &'static str, version: &str, hole: &Hole) -> Finding {
    let seen = format!("{version} has {}: {}", hole.name, hole.what);
    let advice = format!("update to {} or later, unless your distribution mended it", hole.fixed);
    Finding::warning(subject, seen, advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names of the holes that a version has.
    fn names(holes: &[Hole], text: &str) -> Vec<&'static str> {
        let version = Version::parse(text).unwrap();
        holes.iter().filter(|hole| hole.is_in(version)).map(|hole| hole.name).collect()
    }

    #[test]
    fn versions_are_read_as_they_are_printed() {
        let candidate = |number, release| Some(Version::candidate(number, release));
        for (text, version) in [
            ("20.10.24+dfsg1", Some(Version::of(20, 10, 24))),
            ("1.1.5+ds1-1+deb12u1", Some(Version::of(1, 1, 5))),
            ("1.1.12-0ubuntu3.1", Some(Version::of(1, 1, 12))),
            ("28", Some(Version::of(28, 0, 0))),
            ("v29.0.0-rc.1", candidate(1, Version::of(29, 0, 0))),
            ("1.0.0~rc93+ds1", candidate(93, Version::of(1, 0, 0))),
            ("unknown", None),
            ("", None),
        ] {
            assert_eq!(Version::parse(text), version, "{text}");
        }
    }

    #[test]
    fn a_candidate_comes_before_its_release() {
        let parse = |text| Version::parse(text).unwrap();
        assert!(parse("1.4.0-rc.2") < parse("1.4.0-rc.3"));
        assert!(parse("1.4.0-rc.3") < parse("1.4.0"));
        assert!(parse("1.3.9") < parse("1.4.0-rc.1"));
    }

    #[test]
    fn the_threat_model_names_every_hole() {
        let page = include_str!("../../SECURITY.md");
        let all = RUNC.iter().chain(&CRUN).chain(&CONTAINERD).chain(&ENGINE);
        for hole in all.chain([&AUTHORIZATION]) {
            assert!(page.contains(hole.name), "{}", hole.name);
        }
    }

    #[test]
    fn runc_holes_end_where_they_were_mended() {
        let count = |text| names(&RUNC, text).len();
        for (version, holes) in [
            ("1.0.0-rc93", 6),
            ("1.1.4", 6),
            ("1.1.5", 5),
            ("1.1.12", 4),
            ("1.1.14", 3),
            ("1.2.0-rc.2", 4),
            ("1.2.0-rc.3", 3),
            ("1.2.7", 3),
            ("1.2.8", 2),
            ("1.3.0-rc.1", 3),
            ("1.3.2", 3),
            ("1.3.3", 2),
            ("1.3.6", 1),
            ("1.4.0-rc.2", 3),
            ("1.4.0-rc.3", 2),
            ("1.4.2", 2),
            ("1.4.3", 1),
            ("1.5.0-rc.2", 2),
            ("1.5.0-rc.3", 1),
            ("1.5.2", 1),
            ("1.6.0", 0),
        ] {
            assert_eq!(count(version), holes, "{version}");
        }
    }

    #[test]
    fn cruns_holes_end_where_they_were_mended() {
        let (exec, devices) = ("CVE-2026-30892", "CVE-2026-88264, -88265");
        for (version, holes) in [
            ("1.8.1", &[devices][..]),
            ("1.21", &[exec, devices]),
            ("1.27", &[devices]),
            ("1.30", &[]),
        ] {
            assert_eq!(names(&CRUN, version), holes, "{version}");
        }
    }

    #[test]
    fn the_engines_holes_end_where_they_were_mended() {
        let (deadlock, ipv6, firewalld, copies) =
            ("moby#46661", "CVE-2024-32473", "CVE-2025-54410", "CVE-2026-41567, -41568, -42306");
        for (version, holes) in [
            ("20.10.24", &[deadlock, firewalld, copies][..]),
            ("20.10.27", &[firewalld, copies]),
            ("24.0.6", &[deadlock, firewalld, copies]),
            ("24.0.7", &[firewalld, copies]),
            ("25.0.12", &[firewalld, copies]),
            ("25.0.13", &[copies]),
            ("26.0.1", &[ipv6, firewalld, copies]),
            ("26.0.2", &[firewalld, copies]),
            ("28.0.0", &[copies]),
            ("29.5.0", &[copies]),
            ("29.5.1", &[]),
        ] {
            assert_eq!(names(&ENGINE, version), holes, "{version}");
        }
        assert_eq!(names(&[AUTHORIZATION], "29.3.0").len(), 1);
        assert_eq!(names(&[AUTHORIZATION], "29.3.1").len(), 0);
    }

    #[test]
    fn containerds_hole_ends_where_it_was_mended() {
        let has = |text| !names(&CONTAINERD, text).is_empty();
        for version in ["1.6.20~ds1", "1.7.28", "2.0.6", "2.1.4", "2.2.0-rc.1"] {
            assert!(has(version), "{version}");
        }
        for version in ["1.7.29", "2.0.7", "2.1.5", "v2.2.0"] {
            assert!(!has(version), "{version}");
        }
    }
}
