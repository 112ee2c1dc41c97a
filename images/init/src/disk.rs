//! Measures what a script has on disk, while it runs: the blocks of all files in `/work`, and
//! of files that are open and have no name any more, as far as /proc shows them. Blocks are
//! what fills a disk; lengths are not.
//!
//! A measurement is made in steps between which everything else goes on, and takes a tenth
//! of the time at most. Nothing of the script is trusted: it may move, close, hide and
//! remove what is looked at.

use nix::dir::{Dir, OwningIter};
use nix::fcntl::AtFlags;
use nix::libc;
use nix::sys::stat::{FchmodatFlags, FileStat, Mode, fchmod, fchmodat, fstat, fstatat};
use std::collections::HashSet;
use std::ffi::CStr;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use gantry_init::message::{DiskCaps, DiskEnd, MAX_DISK_DEPTH, OverDisk, WORK_DIR};

use crate::safe_open::{open_directory, open_root};

/// Entries that are looked at in one step: about a millisecond.
const ENTRIES_PER_STEP: usize = 256;

/// Bounds of the time between two measurements. It is half of the time in which the disk
/// would be full at the last rate.
const INTERVAL: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));

/// Part of the time that measurements may take, as a divisor less one.
const REST: u32 = 9;

/// Longest time for the last measurement, after the script's end.
const LAST_WITHIN: Duration = Duration::from_secs(5);

/// Inodes that are remembered in one measurement, so that no file counts twice. Beyond it a
/// file with several names counts for each.
const MAX_REMEMBERED: usize = 65_536;

/// Blocks of a file that is always remembered, in bytes: a large file that is moved
/// meanwhile must not count twice.
const LARGE: u64 = 1 << 20;

/// Name of the inputs in `/work`.
const INPUTS: &[u8] = b"in";

/// Size of the blocks that stat(2) counts, in bytes.
const BLOCK: u64 = 512;

/// Use of the disk by one script.
pub(crate) struct Disk {
    caps: DiskCaps,
    walk: Option<Walk>,
    /// Time that the present walk has taken, without what was done in between.
    spent: Duration,
    next: Instant,
    /// The last whole measurement, and its time.
    last: (u64, Instant),
    peak: u64,
    over: Option<OverDisk>,
}

impl Disk {
    /// The script has just been started.
    pub(crate) fn new(caps: DiskCaps) -> Self {
        let now = Instant::now();
        Self {
            caps,
            walk: None,
            spent: Duration::ZERO,
            next: now + INTERVAL.0,
            last: (0, now),
            peak: 0,
            over: None,
        }
    }

    /// True if the script has more than it may have.
    pub(crate) fn is_over(&self) -> bool {
        self.over.is_some()
    }

    /// Time until there is something to do.
    pub(crate) fn time_left(&self) -> Duration {
        match self.walk {
            Some(_) => Duration::ZERO,
            None => self.next.saturating_duration_since(Instant::now()),
        }
    }

    /// Does a step, if one is due. Returns the use in bytes when a measurement is complete.
    pub(crate) fn step(&mut self) -> Option<u64> {
        if self.is_over() || !self.time_left().is_zero() {
            return None;
        }
        let begun = Instant::now();
        let mut walk = self.walk.take().or_else(|| Walk::begin(WORK_DIR))?;
        let is_complete = walk.step();
        self.spent += begun.elapsed();
        self.note(&walk);
        if !is_complete && !self.is_over() {
            self.walk = Some(walk);
            return None;
        }
        self.plan(walk.bytes);
        Some(walk.bytes)
    }

    /// Measures once more when all processes are dead; returns the findings.
    pub(crate) fn finish(mut self) -> DiskEnd {
        let until = Instant::now() + LAST_WITHIN;
        if let Some(mut walk) = Walk::begin(WORK_DIR).filter(|_| !self.is_over()) {
            while !walk.step() && Instant::now() < until {}
            self.note(&walk);
        }
        DiskEnd { limit_bytes: self.caps.bytes, peak_bytes: self.peak, over: self.over }
    }

    /// Takes over what a walk has found so far: it only ever finds more.
    fn note(&mut self, walk: &Walk) {
        self.peak = self.peak.max(walk.bytes);
        if self.over.is_none() {
            self.over = walk.over(self.caps);
        }
    }

    /// Sets the time of the next measurement.
    fn plan(&mut self, bytes: u64) {
        let now = Instant::now();
        let grown = bytes.saturating_sub(self.last.0);
        let interval =
            time_to_fill(grown, now - self.last.1, self.caps.bytes.saturating_sub(bytes));
        let interval = (interval / 2).clamp(INTERVAL.0, INTERVAL.1);
        self.next = now + interval.max(self.spent * REST);
        self.last = (bytes, now);
        self.spent = Duration::ZERO;
    }
}

/// Time in which `left` bytes are filled, when `grown` took so long.
fn time_to_fill(grown: u64, took: Duration, left: u64) -> Duration {
    let most = INTERVAL.1 * 2;
    if grown == 0 {
        return most;
    }
    let nanos = took.as_nanos().saturating_mul(left.into()) / u128::from(grown);
    u64::try_from(nanos).map_or(most, Duration::from_nanos).min(most)
}

/// One measurement.
struct Walk {
    device: libc::dev_t,
    levels: Vec<Level>,
    has_seen_processes: bool,
    bytes: u64,
    files: u64,
    is_too_deep: bool,
    remembered: HashSet<u64>,
}

/// A directory that is being read.
struct Level {
    place: OwnedFd,
    entries: OwningIter,
    kind: Kind,
    /// Mode that it has again when it has been read.
    closed: Option<Mode>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// In `/work`.
    Work,
    /// `/proc`.
    Processes,
    /// The descriptors of one process.
    Descriptors,
}

impl Level {
    fn new(place: OwnedFd, kind: Kind) -> Option<Self> {
        let entries = Dir::from_fd(place.as_fd().try_clone_to_owned().ok()?).ok()?.into_iter();
        Some(Self { place, entries, kind, closed: None })
    }
}

impl Drop for Level {
    fn drop(&mut self) {
        if let Some(mode) = self.closed {
            let _ = fchmod(&self.place, mode);
        }
    }
}

impl Walk {
    fn begin(root: &str) -> Option<Self> {
        let place = open_root(root).ok()?;
        let device = fstat(&place).ok()?.st_dev;
        Some(Self {
            device,
            levels: vec![Level::new(place, Kind::Work)?],
            has_seen_processes: false,
            bytes: 0,
            files: 0,
            is_too_deep: false,
            remembered: HashSet::new(),
        })
    }

    /// Goes on; true when there is nothing more to look at.
    fn step(&mut self) -> bool {
        for _ in 0..ENTRIES_PER_STEP {
            let is_root = self.levels.len() == 1;
            let Some(level) = self.levels.last_mut() else {
                if std::mem::replace(&mut self.has_seen_processes, true) {
                    return true;
                }
                let processes = open_root("/proc").ok();
                let level = processes.and_then(|place| Level::new(place, Kind::Processes));
                self.levels.extend(level);
                continue;
            };
            let Some(Ok(entry)) = level.entries.next() else {
                self.levels.pop();
                continue;
            };
            let name = entry.file_name();
            // Its inputs are not the script's, and read-only.
            let is_inputs = is_root && name.to_bytes() == INPUTS;
            if is_inputs || matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let found = match level.kind {
                Kind::Work => look(&level.place, name),
                Kind::Processes => {
                    let descriptors = open_descriptors(&level.place, name);
                    self.levels.extend(descriptors);
                    continue;
                }
                Kind::Descriptors => open_file(&level.place, name, self.device),
            };
            let Some((status, below)) = found.filter(|(it, _)| it.st_dev == self.device) else {
                continue;
            };
            self.count(&status);
            if let Some(level) = below {
                self.descend(level);
            }
        }
        false
    }

    fn descend(&mut self, level: Level) {
        if self.levels.len() > MAX_DISK_DEPTH {
            self.is_too_deep = true;
            return;
        }
        self.levels.push(level);
    }

    fn count(&mut self, status: &FileStat) {
        self.files += 1;
        let bytes = u64::try_from(status.st_blocks).unwrap_or_default().saturating_mul(BLOCK);
        let is_remembered = status.st_nlink != 1 || bytes >= LARGE;
        let is_folder = status.st_mode & libc::S_IFMT == libc::S_IFDIR;
        if is_remembered && !is_folder {
            if self.remembered.contains(&status.st_ino) {
                return;
            }
            if self.remembered.len() < MAX_REMEMBERED {
                self.remembered.insert(status.st_ino);
            }
        }
        self.bytes = self.bytes.saturating_add(bytes);
    }

    fn over(&self, caps: DiskCaps) -> Option<OverDisk> {
        if self.bytes > caps.bytes {
            return Some(OverDisk::Bytes(self.bytes));
        }
        if self.files > caps.files {
            return Some(OverDisk::Files(self.files));
        }
        self.is_too_deep.then_some(OverDisk::Depth)
    }
}

/// An entry in `/work`, and the directory that it is.
fn look(place: &OwnedFd, name: &CStr) -> Option<(FileStat, Option<Level>)> {
    let status = fstatat(place, name, AtFlags::AT_SYMLINK_NOFOLLOW).ok()?;
    let is_folder = status.st_mode & libc::S_IFMT == libc::S_IFDIR;
    let below = is_folder.then(|| open_level(place, name, status.st_mode)).flatten();
    Some((status, below))
}

/// Opens a directory. One that the script has closed to itself is open while it is read: it
/// is our user's, too.
fn open_level(place: &OwnedFd, name: &CStr, mode: libc::mode_t) -> Option<Level> {
    let closed = Mode::from_bits_truncate(mode);
    let needed = Mode::S_IRUSR | Mode::S_IXUSR;
    if closed.contains(needed) {
        return Level::new(open_directory(place, name).ok()?, Kind::Work);
    }
    fchmodat(place, name, closed | needed, FchmodatFlags::FollowSymlink).ok()?;
    let mut level = Level::new(open_directory(place, name).ok()?, Kind::Work)?;
    level.closed = Some(closed);
    Some(level)
}

/// The descriptors of a process, if the entry in `/proc` is one that we may look at.
fn open_descriptors(proc: &OwnedFd, name: &CStr) -> Option<Level> {
    let number: u32 = name.to_str().ok()?.parse().ok()?;
    if number == std::process::id() {
        return None;
    }
    let place = open_directory(proc, format!("{number}/fd").as_str()).ok()?;
    Level::new(place, Kind::Descriptors)
}

/// A file that is open and has no name any more.
fn open_file(
    descriptors: &OwnedFd,
    name: &CStr,
    device: libc::dev_t,
) -> Option<(FileStat, Option<Level>)> {
    let status = fstatat(descriptors, name, AtFlags::empty()).ok()?;
    let is_file = status.st_mode & libc::S_IFMT == libc::S_IFREG;
    (is_file && status.st_dev == device && status.st_nlink == 0).then_some((status, None))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File, Permissions};
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    const MIB: u64 = 1 << 20;

    /// A measurement without the machine's processes.
    fn measured(root: &Path) -> Walk {
        let mut walk = Walk::begin(root.to_str().unwrap()).unwrap();
        walk.has_seen_processes = true;
        while !walk.step() {}
        walk
    }

    fn file(root: &Path, name: &str, mib: usize) -> File {
        let mut file = File::create(root.join(name)).unwrap();
        file.write_all(&vec![1; mib << 20]).unwrap();
        file.sync_all().unwrap();
        file
    }

    #[test]
    fn blocks_count_and_lengths_do_not() {
        let root = tempfile::tempdir().unwrap();
        let before = measured(root.path()).bytes;
        File::create(root.path().join("sparse")).unwrap().set_len(1 << 40).unwrap();
        file(root.path(), "full", 3);
        fs::hard_link(root.path().join("full"), root.path().join("again")).unwrap();
        fs::create_dir(root.path().join("in")).unwrap();
        file(&root.path().join("in"), "input", 5);
        std::os::unix::fs::symlink("/", root.path().join("link")).unwrap();
        let walk = measured(root.path());
        let grown = walk.bytes - before;
        assert!((3 * MIB..4 * MIB).contains(&grown), "{grown}");
        assert_eq!(walk.files, 4);
    }

    #[test]
    fn what_is_closed_is_measured_and_stays_closed() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("a");
        fs::create_dir(&folder).unwrap();
        file(&folder, "file", 2);
        for mode in [0, 0o100, 0o400] {
            fs::set_permissions(&folder, Permissions::from_mode(mode)).unwrap();
            assert!(measured(root.path()).bytes > 2 * MIB);
            assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, mode);
        }
    }

    #[test]
    fn a_file_without_a_name_counts_while_it_is_open() {
        let root = tempfile::tempdir().unwrap();
        let held = file(root.path(), "file", 2);
        fs::remove_file(root.path().join("file")).unwrap();
        // Our own descriptors are not looked at: a child holds it.
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .stdin(held.try_clone().unwrap())
            .spawn()
            .unwrap();
        drop(held);
        // Those of this machine's other processes count as well.
        let mut walk = Walk::begin(root.path().to_str().unwrap()).unwrap();
        while !walk.step() {}
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(walk.bytes >= 2 * MIB, "{}", walk.bytes);
        assert!(measured(root.path()).bytes < MIB);
    }

    #[test]
    fn each_limit_has_its_word() {
        let root = tempfile::tempdir().unwrap();
        file(root.path(), "file", 1);
        let caps = |bytes, files| DiskCaps { bytes, files };
        let walk = measured(root.path());
        assert_eq!(walk.over(caps(1 << 30, 10)), None);
        assert!(matches!(walk.over(caps(1, 10)), Some(OverDisk::Bytes(_))));
        assert_eq!(walk.over(caps(1 << 30, 0)), Some(OverDisk::Files(1)));
        let mut deep = root.path().to_owned();
        (0..MAX_DISK_DEPTH + 2).for_each(|_| deep.push("d"));
        fs::create_dir_all(&deep).unwrap();
        assert_eq!(measured(root.path()).over(caps(1 << 30, 10_000)), Some(OverDisk::Depth));
    }

    #[test]
    fn the_fuller_the_faster() {
        let second = Duration::from_secs(1);
        assert_eq!(time_to_fill(0, second, 10), second * 2);
        assert_eq!(time_to_fill(10, second, 10), second);
        assert_eq!(time_to_fill(100, second, 10), second / 10);
        assert_eq!(time_to_fill(1, second, u64::MAX), second * 2);
        assert_eq!(time_to_fill(u64::MAX, second, 0), Duration::ZERO);
    }
}
