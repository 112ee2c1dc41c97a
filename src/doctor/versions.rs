//! Versions with known holes. Distributions mend holes without changing the
//! version, so what is found here may be mended already.

use super::Finding;
use crate::engine::docker::Description;

/// Three numbers, compared one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version(pub(super) u32, pub(super) u32, pub(super) u32);

impl Version {
    /// The first three numbers of a version, whatever follows them.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.trim_start_matches(|c: char| !c.is_ascii_digit());
        let mut numbers = text.split('.').map(|part| {
            let digits = part.split(|c: char| !c.is_ascii_digit()).next();
            digits.and_then(|digits| digits.parse().ok())
        });
        let first = numbers.next()??;
        let mut following = || numbers.next().flatten().unwrap_or(0);
        Some(Self(first, following(), following()))
    }
}

/// A hole: where, in which versions, what it is.
struct Hole {
    is_in: fn(Version) -> bool,
    name: &'static str,
    what: &'static str,
    fixed: &'static str,
}

const RUNC: [Hole; 2] = [
    Hole {
        is_in: |version| version < Version(1, 1, 12),
        name: "CVE-2024-21626",
        what: "a container's working directory can lead to the host's files; Gantry fixes its own",
        fixed: "1.1.12",
    },
    Hole {
        is_in: |version| {
            version < Version(1, 2, 8) || (Version(1, 3, 0)..Version(1, 3, 3)).contains(&version)
        },
        name: "CVE-2025-31133, -52565, -52881",
        what: "races between mounts at a container's start",
        fixed: "1.2.8 or 1.3.3",
    },
];

const DEADLOCK: Hole = Hole {
    is_in: |version| {
        version < Version(20, 10, 27) || (Version(22, 0, 0)..Version(24, 0, 7)).contains(&version)
    },
    name: "moby#46661",
    what: "the engine can deadlock and start nothing while it answers; sandboxes without a \
           network don't touch what deadlocks",
    fixed: "20.10.27 or 24.0.7",
};

const AUTHORIZATION: Hole = Hole {
    is_in: |version| version < Version(29, 3, 1),
    name: "CVE-2024-41110, CVE-2026-34040",
    what: "authorisation plugins can be skipped, and this engine has some",
    fixed: "29.3.1",
};

pub(super) fn examine(engine: &Description) -> Vec<Finding> {
    let version = Version::parse(&engine.version);
    let mut findings = Vec::new();
    let mut look = |subject, version: Option<Version>, text: &str, hole: &Hole| {
        if version.is_some_and(hole.is_in) {
            findings.push(found(subject, text, hole));
        }
    };
    look("engine version", version, &engine.version, &DEADLOCK);
    if !engine.authorization_plugins.is_empty() {
        look("engine version", version, &engine.version, &AUTHORIZATION);
    }
    if let Some(runc) = &engine.runc_version {
        for hole in &RUNC {
            look("runc version", Version::parse(runc), runc, hole);
        }
    }
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

    #[test]
    fn versions_are_read_as_they_are_printed() {
        assert_eq!(Version::parse("20.10.24+dfsg1"), Some(Version(20, 10, 24)));
        assert_eq!(Version::parse("1.1.5+ds1-1+deb12u1"), Some(Version(1, 1, 5)));
        assert_eq!(Version::parse("v29.0.0-rc.1"), Some(Version(29, 0, 0)));
        assert_eq!(Version::parse("28"), Some(Version(28, 0, 0)));
        assert_eq!(Version::parse("unknown"), None);
        assert_eq!(Version::parse(""), None);
    }

    #[test]
    fn the_threat_model_names_every_hole() {
        let page = include_str!("../../SECURITY.md");
        for hole in RUNC.iter().chain([&DEADLOCK, &AUTHORIZATION]) {
            assert!(page.contains(hole.name), "{}", hole.name);
        }
    }

    #[test]
    fn runc_holes_end_where_they_were_mended() {
        let holes = |text: &str| {
            let version = Version::parse(text).unwrap();
            RUNC.iter().filter(|hole| (hole.is_in)(version)).count()
        };
        assert_eq!(holes("1.1.5"), 2);
        assert_eq!(holes("1.1.12"), 1);
        assert_eq!(holes("1.2.8"), 0);
        assert_eq!(holes("1.3.2"), 1);
        assert_eq!(holes("1.3.3"), 0);
    }

    #[test]
    fn the_deadlock_ends_where_it_was_mended() {
        let has = |text: &str| (DEADLOCK.is_in)(Version::parse(text).unwrap());
        assert!(has("20.10.24") && has("24.0.6"));
        assert!(!has("20.10.27") && !has("24.0.7") && !has("25.0.0") && !has("29.1.0"));
    }
}
