//! Free space of disks, and the reserve that is kept on them. Nothing here writes.

use std::io;
use std::path::Path;

/// Part of a disk that is kept free by default, as a divisor (5 %).
const RESERVE_PART: u64 = 20;

/// Most that is kept free by default, in bytes (10 GiB).
const MAX_RESERVE: u64 = 10 << 30;

/// Space of a disk, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Size of the disk.
    pub total: u64,
    /// Space that this process may still use.
    pub free: u64,
}

/// Free space that is kept on a disk: nobody's files may take it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DiskReserve(Option<u64>);

impl Space {
    /// Space of the disk that a path is on.
    ///
    /// # Errors
    /// [`io::Error`] if the path can't be reached.
    pub fn of(path: &Path) -> io::Result<Self> {
        let found = rustix::fs::statvfs(path)?;
        let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
        Ok(Self { total: bytes(found.f_blocks), free: bytes(found.f_bavail) })
    }

    /// Space of the disk that a folder is on, which may be still to be made.
    ///
    /// # Errors
    /// [`io::Error`] if no folder above it can be reached.
    pub fn below(folder: &Path) -> io::Result<Self> {
        Self::of(folder.ancestors().find(|it| it.exists()).unwrap_or(Path::new("/")))
    }
}

impl DiskReserve {
    /// Reserve of so many bytes; `None` means a twentieth of the disk, at most 10 GiB.
    #[must_use]
    pub fn new(bytes: Option<u64>) -> Self {
        Self(bytes)
    }

    /// Bytes that are kept free on a disk.
    #[must_use]
    pub fn bytes(self, space: Space) -> u64 {
        self.0.unwrap_or((space.total / RESERVE_PART).min(MAX_RESERVE))
    }

    /// Bytes that may still be written before only the reserve is left.
    #[must_use]
    pub fn room(self, space: Space) -> u64 {
        space.free.saturating_sub(self.bytes(space))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_twentieth_is_kept_and_at_most_ten_gibibytes() {
        let default = DiskReserve::default();
        let small = Space { total: 100 << 30, free: 6 << 30 };
        assert_eq!((default.bytes(small), default.room(small)), (5 << 30, 1 << 30));
        let large = Space { total: 10 << 40, free: 9 << 30 };
        assert_eq!((default.bytes(large), default.room(large)), (10 << 30, 0));
        let set = DiskReserve::new(Some(1 << 30));
        assert_eq!(set.room(small), 5 << 30);
    }

    #[test]
    fn the_space_of_a_folder_is_that_of_its_disk() {
        let space = Space::of(&std::env::temp_dir()).unwrap();
        assert!(space.free <= space.total && space.total > 0);
        assert!(Space::of(Path::new("/no/such/folder")).is_err());
        assert!(Space::below(Path::new("/no/such/folder")).is_ok());
    }
}
