//! This machine's disks, and what of it sandboxes share.

use std::fs;
use std::io::Write;
use std::path::Path;

use super::Finding;
use crate::config::Settings;
use crate::domain::quantities::show_bytes;
use crate::domain::sanitize::sanitize;
use crate::domain::uid_range::UidRange;
use crate::engine::docker::Description;
use crate::private_files::{self, Exposed, create_folder};

/// Below this an image can't be built, in bytes.
const TOO_LITTLE: u64 = 1 << 30;

/// Below this a few environments fill the disk, in bytes.
const LITTLE: u64 = 5 << 30;

pub(super) fn data_dir(settings: &Settings) -> Finding {
    let subject = "data folder";
    let folder = match settings.data_dir() {
        Ok(folder) => folder,
        Err(error) => return Finding::error(subject, error, "set GANTRY_DATA_DIR"),
    };
    let written = create_folder(&folder)
        .and_then(|()| tempfile::tempfile_in(&folder))
        .and_then(|mut file| file.write_all(b"gantry"));
    match written {
        Ok(()) => match private_files::exposed(&folder) {
            None => disk(subject, &folder),
            Some(Exposed { path, mode }) => {
                let seen = format!("{} is open to other users (mode {mode:04o})", path.display());
                Finding::warning(subject, seen, CLOSE)
            }
        },
        Err(error) => {
            let seen = format!("{} can't be written to: {error}", folder.display());
            Finding::error(subject, seen, "choose another with GANTRY_DATA_DIR")
        }
    }
}

pub(super) fn engine_disk(engine: &Description) -> Option<Finding> {
    let root = Path::new(&engine.root_directory);
    // An engine in a virtual machine has a path of its own.
    root.exists().then(|| disk("engine's disk", root))
}

fn disk(subject: &'static str, folder: &Path) -> Finding {
    let shown = folder.display();
    match free_bytes(folder) {
        Ok(free) => {
            let seen = format!("{} free in {shown}", show_bytes(free));
            match free {
                ..TOO_LITTLE => Finding::error(subject, seen, FREE_SOME),
                TOO_LITTLE..LITTLE => Finding::warning(subject, seen, FREE_SOME),
                LITTLE.. => Finding::ok(subject, seen),
            }
        }
        Err(error) => Finding::warning(subject, format!("{shown}: {error}"), "look at the disk"),
    }
}

/// People and programs of this machine that have a sandbox's uid: each would share the
/// other's quotas, and a script that got out would be they.
pub(super) fn taken_uids(uids: UidRange) -> Option<Finding> {
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let taken = users_within(&users, uids);
    if uids == UidRange::SHARED || taken.is_empty() {
        return None;
    }
    let seen = format!("{} of this machine have uids of sandboxes ({uids})", taken.join(", "));
    Some(Finding::warning("users", seen, "give sandboxes a range of their own: GANTRY_UIDS"))
}

fn users_within(passwd: &str, uids: UidRange) -> Vec<&str> {
    let entries = passwd.lines().filter_map(|line| {
        let mut fields = line.split(':');
        Some((fields.next()?, fields.nth(1)?.parse().ok()?))
    });
    entries.filter(|(_, uid)| uids.contains(*uid)).map(|(name, _)| name).collect()
}

/// The kernel has one bound on terminals for all containers, and none for each.
pub(super) fn terminals() -> Option<Finding> {
    let most: u64 = fs::read_to_string("/proc/sys/kernel/pty/max").ok()?.trim().parse().ok()?;
    let reserved = fs::read_to_string("/proc/sys/kernel/pty/reserve").ok()?.trim().parse().ok()?;
    let seen = format!("{} for all containers together", most.saturating_sub(reserved));
    Some(Finding::ok("terminals", seen))
}

/// The program that the kernel starts as root, outside of all containers, when one crashes.
pub(super) fn core_files() -> Option<Finding> {
    core_pattern(&fs::read_to_string("/proc/sys/kernel/core_pattern").ok()?)
}

/// `None` unless the pattern is a pipe (core(5), "Piping core dumps to a program").
fn core_pattern(pattern: &str) -> Option<Finding> {
    let program = pattern.trim().strip_prefix('|')?.split_whitespace().next()?;
    let seen = format!(
        "kernel.core_pattern is a pipe: when a program crashes, the kernel starts {program} on \
         the host as root. Scripts never start it: their limit of core files stays 1, which \
         tells the kernel not to, while 0 would not. Builds of system packages and other \
         containers of this engine do",
        program = sanitize(program),
    );
    Some(Finding::ok("core files", seen))
}

const CLOSE: &str = "start the server, which closes it, or use chmod; a file system that has no \
     modes can't keep it to itself: choose another folder with GANTRY_DATA_DIR";

const FREE_SOME: &str = "free some; `gantry images prune` removes what nobody needs";

fn free_bytes(folder: &Path) -> std::io::Result<u64> {
    let disk = rustix::fs::statvfs(folder)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_reads_core_files_is_named() {
        let seen = |pattern: &str| core_pattern(pattern).map(|it| it.seen);
        assert_eq!(seen("core\n"), None);
        assert_eq!(seen("/var/core/%e|%p\n"), None);
        let piped = seen("|/usr/share/apport/apport -p%p -s%s -- %E\n").unwrap();
        assert!(piped.contains("starts /usr/share/apport/apport on the host"), "{piped}");
        assert!(seen("| /bin/x\n").is_some_and(|it| it.contains("starts /bin/x on")));
    }

    #[test]
    fn users_with_a_sandboxs_uid_are_named() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nann:x:60578:60578::/home/ann:/bin/sh\n\n\
                      bob:x:61184:1::/:/bin/sh\nodd:x:y:1::/:\n";
        assert_eq!(users_within(passwd, UidRange::DEFAULT), ["ann"]);
    }
}
