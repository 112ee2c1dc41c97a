//! The room that the sandbox has in its own writable places: what a script that fails
//! for want of it can't say.
//!
//! A full place is seen when the script writes to stderr, where programs complain before
//! they clean up, and at the end. Nothing is looked at while nothing happens.

use nix::sys::statvfs::{FsFlags, Statvfs, statvfs};

use gantry_init::message::{Place, SHARED_MEMORY_DIR, TEMPORARY_DIR, WORK_DIR};

/// A place with less room than this, in bytes, is full: what fills it writes whole
/// pages, and may have been refused a few.
const FULL_BELOW: u64 = 16 * 1024;

/// State of each place.
pub(crate) struct Places {
    seen: Vec<Place>,
}

impl Places {
    /// Those that there are. With `/work` on disk its size is what it may take there.
    pub(crate) fn find(disk_bytes: Option<u64>) -> Self {
        let paths = [WORK_DIR, TEMPORARY_DIR, SHARED_MEMORY_DIR];
        let seen = paths.into_iter().filter_map(|path| {
            let size = statvfs(path).ok().filter(is_own).map(|it| it.blocks() * block(&it))?;
            let size = disk_bytes.filter(|_| path == WORK_DIR).unwrap_or(size);
            Some(Place { path: path.to_owned(), bytes: size, was_full: false, is_full: false })
        });
        Self { seen: seen.collect() }
    }

    /// Looks which are full now.
    pub(crate) fn look(&mut self) {
        for place in &mut self.seen {
            place.is_full = statvfs(place.path.as_str()).is_ok_and(|it| is_full(&it));
            place.was_full |= place.is_full;
        }
    }

    /// Findings so far.
    pub(crate) fn into_seen(mut self) -> Vec<Place> {
        self.look();
        self.seen
    }
}

/// False for a place that is only a folder of the image.
fn is_own(status: &Statvfs) -> bool {
    !status.flags().contains(FsFlags::ST_RDONLY) && status.blocks() > 0
}

fn block(status: &Statvfs) -> u64 {
    status.fragment_size()
}

fn is_full(status: &Statvfs) -> bool {
    let has_room = status.blocks_available() * block(status) >= FULL_BELOW;
    // A file system without a number of files has room for any.
    let has_files = status.files() == 0 || status.files_available() > 0;
    !(has_room && has_files)
}
