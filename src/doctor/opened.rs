//! Parts of the host that its operator has opened to scripts: shares, and users that they may
//! run as.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::{Finding, engine};
use crate::config::Settings;
use crate::domain::user::User;
use crate::engine::docker::Description;

/// Bits of a mode by which others may list a folder and open what is in it.
const OTHERS_READ: u32 = 0o005;

/// Looks at the folder of each share.
pub(super) fn shares(settings: &Settings) -> Vec<Finding> {
    match settings.shares(&[]) {
        Ok(shares) => shares.iter().map(|(name, root)| share(name.as_str(), root)).collect(),
        Err(error) => vec![Finding::error("shares", error, "correct the setting")],
    }
}

fn share(name: &str, root: &Path) -> Finding {
    let subject = "shares";
    let shown = root.display();
    let seen = match fs::metadata(root) {
        Ok(seen) => seen,
        Err(error) => {
            let seen = format!("{name}: {shown}: {error}");
            return Finding::warning(subject, seen, "mount its disk, or correct GANTRY_SHARES");
        }
    };
    if !seen.is_dir() {
        let seen = format!("{name}: {shown} is no folder");
        return Finding::error(subject, seen, "name a folder in GANTRY_SHARES");
    }
    if seen.mode() & OTHERS_READ != OTHERS_READ {
        let mode = seen.mode() & 0o7777;
        let seen = format!("{name}: others may not read {shown} (mode {mode:04o})");
        let advice = "scripts have users of their own and the group 65534: let others read it, or \
                      give scripts an owner who may (GANTRY_OWNERS)";
        return Finding::warning(subject, seen, advice);
    }
    Finding::ok(subject, format!("{name}: {shown}"))
}

/// Looks at the users that scripts may run as; `None` if there are none.
pub(super) fn owners(settings: &Settings, engine: &Description) -> Option<Finding> {
    let subject = "owners";
    let owners = match settings.owners() {
        Ok(owners) if owners.is_empty() => return None,
        Ok(owners) => owners,
        Err(error) => return Some(Finding::error(subject, error, "correct the setting")),
    };
    let names: Vec<_> = owners.iter().map(User::to_string).collect();
    let seen = format!("scripts may run as {}", names.join(", "));
    if engine::has_mapped_users(engine) {
        let seen = format!("{seen}; the engine maps users, so results belong to others");
        let advice = "add the ids that the engine maps them to (/etc/subuid) to what may write \
                      to the mounts";
        return Some(Finding::warning(subject, seen, advice));
    }
    Some(Finding::ok(subject, seen))
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::super::Severity;
    use super::*;

    #[test]
    fn a_share_that_scripts_can_not_read_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let looked = |mode: u32| {
            fs::set_permissions(folder.path(), Permissions::from_mode(mode)).unwrap();
            share("media", folder.path())
        };
        assert_eq!(looked(0o755).severity, Severity::Ok);
        let closed = looked(0o750);
        assert_eq!(closed.severity, Severity::Warning);
        assert!(closed.seen.starts_with("media: others may not read"), "{closed:?}");
        let gone = share("media", &folder.path().join("nowhere"));
        assert_eq!(gone.severity, Severity::Warning);
        fs::write(folder.path().join("file"), "").unwrap();
        assert_eq!(share("media", &folder.path().join("file")).severity, Severity::Error);
    }
}
