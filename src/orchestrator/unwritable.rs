//! Hint for a script that was refused to write to a mount, because of the user that it runs
//! as. Looks at the modes of the mounts' folders, and at nothing in them.

use std::fs;
use std::os::unix::fs::MetadataExt;

use gantry_init::message::WORK_DIR;

use crate::domain::confinement::{Confinement, SeenMount};
use crate::domain::sanitize::sanitize;
use crate::domain::user::User;

/// Bit of a mode that allows others to write; those of the group and of the owner are
/// beside it.
const OTHERS_WRITE: u32 = 0o002;

/// End of stderr that is searched, in bytes.
const SEARCHED: usize = 64 * 1024;

/// Hint for a script that failed and printed this to stderr; `None` if the modes of its
/// mounts are no reason.
pub(super) fn hint(confinement: &Confinement, stderr: &[u8]) -> Option<String> {
    let end = stderr.get(stderr.len().saturating_sub(SEARCHED)..).unwrap_or_default();
    if !String::from_utf8_lossy(end).to_ascii_lowercase().contains("permission denied") {
        return None;
    }
    let user: User = confinement.user.parse().ok()?;
    let mut mounts = confinement.mounts.iter().filter(|it| is_of_the_script(it));
    mounts.find_map(|mount| refused(mount, user))
}

fn is_of_the_script(mount: &SeenMount) -> bool {
    let is_scratch = mount.target == WORK_DIR || mount.target.starts_with("/work/");
    !mount.read_only && !is_scratch
}

/// Words about a mount that the user may not write to. Access control lists may allow more
/// than a mode says: then this is said needlessly, after another failure.
fn refused(mount: &SeenMount, user: User) -> Option<String> {
    let seen = fs::metadata(&mount.source).ok()?;
    let shift = if seen.uid() == user.uid() {
        6
    } else if seen.gid() == user.gid() {
        3
    } else {
        0
    };
    if seen.mode() & (OTHERS_WRITE << shift) != 0 {
        return None;
    }
    let (target, owner) = (sanitize(&mount.target), format!("{}:{}", seen.uid(), seen.gid()));
    let mode = seen.mode() & 0o7777;
    Some(format!(
        "the script runs as {user}, which may not write to {target} (owner {owner}, mode \
         {mode:04o})\nhint: an admin can give the script an owner that may, such as {owner}, if \
         GANTRY_OWNERS allows it; or let {user} write there"
    ))
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const DENIED: &[u8] = b"sh: can't create /out/a: Permission denied\n";

    #[test]
    fn a_folder_that_its_user_may_not_write_to_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let seen = fs::metadata(folder.path()).unwrap();
        let said = |mode: u32, user: &str, target: &str, read_only: bool, stderr: &[u8]| {
            fs::set_permissions(folder.path(), Permissions::from_mode(mode)).unwrap();
            let source = folder.path().to_str().unwrap().to_owned();
            let mount = SeenMount { source, target: target.to_owned(), read_only };
            let confinement = Confinement {
                user: user.to_owned(),
                mounts: vec![mount],
                ..Confinement::default()
            };
            hint(&confinement, stderr)
        };
        let words = said(0o755, "65534:65534", "/out", false, DENIED).unwrap();
        let owner = format!("owner {}:{}, mode 0755", seen.uid(), seen.gid());
        assert!(words.contains("/out") && words.contains(&owner), "{words}");
        assert!(words.contains("\nhint: "), "{words}");
        assert!(!words.contains(folder.path().to_str().unwrap()), "{words}");
        let group = format!("4242:{}", seen.gid().max(1));
        for (mode, user, target, read_only, stderr) in [
            (0o777, "65534:65534", "/out", false, DENIED),
            (0o755, "65534:65534", "/out", true, DENIED),
            (0o755, "65534:65534", "/work", false, DENIED),
            (0o755, "65534:65534", "/out", false, b"No space left on device".as_slice()),
            (0o755, "nobody", "/out", false, DENIED),
            (0o775, group.as_str(), "/out", seen.gid() == 0, DENIED),
        ] {
            let words = said(mode, user, target, read_only, stderr);
            assert_eq!(words, None, "{mode:o} {user} {target}");
        }
    }
}
