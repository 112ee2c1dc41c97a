//! The cgroups that containers of a private engine were in.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Root of the cgroups: one tree, or one for each controller.
const ROOT: &str = "/sys/fs/cgroup";

/// Longest time that a cgroup may stay busy after its last process has gone.
const WITHIN: Duration = Duration::from_secs(10);

/// Removes what is below this name in all trees; answers what could not be
/// removed.
pub(super) fn remove(name: &str) -> Vec<PathBuf> {
    let begun = Instant::now();
    loop {
        let left: Vec<_> = trees().map(|tree| tree.join(name)).filter(|it| !is_gone(it)).collect();
        if left.is_empty() || begun.elapsed() > WITHIN {
            return left;
        }
        std::thread::sleep(super::PAUSE);
    }
}

fn trees() -> impl Iterator<Item = PathBuf> {
    let controllers = fs::read_dir(ROOT).into_iter().flatten().filter_map(|entry| {
        let entry = entry.ok()?;
        entry.file_type().ok()?.is_dir().then(|| entry.path())
    });
    std::iter::once(PathBuf::from(ROOT)).chain(controllers)
}

/// Removes a cgroup after those below it. Its files go with it, and can't be
/// removed by themselves.
fn is_gone(cgroup: &Path) -> bool {
    for entry in fs::read_dir(cgroup).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            is_gone(&entry.path());
        }
    }
    let _ = fs::remove_dir(cgroup);
    !cgroup.exists()
}
