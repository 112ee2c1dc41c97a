//! This machine's disks.

use std::io::Write;
use std::path::Path;

use super::Finding;
use crate::config::Settings;
use crate::domain::quantities::show_bytes;
use crate::engine::docker::Description;

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
    let written = std::fs::create_dir_all(&folder)
        .and_then(|()| tempfile::tempfile_in(&folder))
        .and_then(|mut file| file.write_all(b"gantry"));
    match written {
        Ok(()) => disk(subject, &folder),
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

const FREE_SOME: &str = "free some; `gantry images prune` removes what nobody needs";

fn free_bytes(folder: &Path) -> std::io::Result<u64> {
    let disk = rustix::fs::statvfs(folder)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}
