//! Bytes of bundles: reads archives and folders into a bundle, and keeps it as one archive.
//!
//! Archives are hostile: paths, sizes, modes and forms are checked while they are read, against
//! limits that hold for what is declared and for what is really there. Nothing is held in memory as
//! a whole, nothing is unpacked into a folder, and no path of a bundle ever becomes one of the host.
//! Start with [`Packer`]; [`Packed`] is the result, and [`Shelf`] keeps it.

mod archive;
mod error;
mod folder;
mod layer;
mod packed;
mod packer;
mod shelf;
mod tar_reader;
mod zip_reader;

pub use archive::read_files;
pub use error::BundleError;
pub use folder::{LEFT_OUT, pack_folder, read_folder};
pub use layer::{PythonParts, python_sources, write_layer};
pub use packed::Packed;
pub use packer::Packer;
pub use shelf::Shelf;

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use crate::domain::bundle::{MAX_BYTES, MAX_FILES};

/// Most bytes of an archive, packed or not: all files, and for each what a header with a long name
/// takes in a tar.
pub const MAX_ARCHIVE_BYTES: u64 = MAX_BYTES + 8 * 1024 * MAX_FILES as u64;

/// First bytes of a gzip file (RFC 1952, 2.3.1).
const GZIP: &[u8] = &[0x1f, 0x8b];

/// First bytes of a zip file, and of an empty one (APPNOTE.TXT, 4.3.7 and 4.3.16).
const ZIP: [&[u8]; 2] = [b"PK\x03\x04", b"PK\x05\x06"];

/// Packs an archive, which is a tar, a tar in gzip, or a zip. `folder` is for unfinished files.
///
/// # Errors
/// [`BundleError`].
pub fn pack_archive(mut archive: File, folder: &Path) -> Result<Packed, BundleError> {
    let mut packer = Packer::new(folder)?;
    let mut begin = Vec::new();
    let unreadable = |error| BundleError::io("the archive", error);
    (&mut archive).take(4).read_to_end(&mut begin).map_err(unreadable)?;
    archive.seek(SeekFrom::Start(0)).map_err(unreadable)?;
    if ZIP.iter().any(|magic| begin.starts_with(magic)) {
        zip_reader::read(archive, &mut packer)?;
    } else if begin.starts_with(GZIP) {
        tar_reader::read(flate2::read::MultiGzDecoder::new(archive), &mut packer)?;
    } else {
        tar_reader::read(archive, &mut packer)?;
    }
    packer.finish()
}

#[cfg(test)]
mod tests;
