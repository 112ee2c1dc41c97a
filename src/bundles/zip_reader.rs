//! Reads a zip that somebody sent, by its list of files. What is declared there is checked first,
//! and again while it is read.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};

use zip::ZipArchive;
use zip::result::ZipError;

use super::{BundleError, MAX_ARCHIVE_BYTES, Packer};
use crate::domain::bundle::{BundleFault, MAX_FILES};
use crate::domain::sanitize::sanitize;

/// Signature of an entry in the list of files (APPNOTE.TXT, 4.3.12).
const ENTRY: [u8; 4] = *b"PK\x01\x02";

/// Most of these signatures in a file, in the list and by chance: the library reads the whole list
/// into memory.
const MAX_SIGNATURES: usize = 10 * MAX_FILES;

/// Kinds of files in a mode (stat(2)).
const KIND: u32 = 0o170_000;
const REGULAR: u32 = 0o100_000;
const LINK: u32 = 0o120_000;
const FOLDER: u32 = 0o040_000;

/// See the reader of tars.
const EXECUTE_BITS: u32 = 0o111;

/// Adds all files of a zip.
pub(super) fn read(mut zip: File, packer: &mut Packer) -> Result<(), BundleError> {
    let size = zip.seek(SeekFrom::End(0)).map_err(|error| BundleError::reading(&error))?;
    if size > MAX_ARCHIVE_BYTES {
        return Err(BundleFault::TooLarge.into());
    }
    zip.rewind().map_err(|error| BundleError::reading(&error))?;
    if signatures(&zip)? > MAX_SIGNATURES {
        return Err(BundleFault::TooMany.into());
    }
    zip.rewind().map_err(|error| BundleError::reading(&error))?;
    let mut archive = ZipArchive::new(BufReader::new(zip)).map_err(|error| refused(&error))?;
    if archive.has_duplicate_names() {
        return Err(BundleError::Archive("it lists a name twice".to_owned()));
    }
    if archive.has_overlapping_entries().map_err(|error| refused(&error))? {
        return Err(BundleError::Archive("its entries overlap".to_owned()));
    }
    for index in 0..archive.len() {
        let mut file = archive.by_index(index).map_err(|error| refused(&error))?;
        let name = file.name_raw();
        let path = std::str::from_utf8(name)
            .map_err(|_| BundleFault::Path(sanitize(&String::from_utf8_lossy(name))))?
            .to_owned();
        let mode = file.unix_mode();
        match mode.unwrap_or_default() & KIND {
            _ if path.ends_with('/') => continue,
            FOLDER => continue,
            0 | REGULAR => {}
            LINK => return Err(of_kind(&path, "a symbolic link")),
            _ => return Err(of_kind(&path, "neither a file nor a folder")),
        }
        let (bytes, is_executable) = (file.size(), mode.map(|mode| mode & EXECUTE_BITS != 0));
        // Others than Unix have no such mode: the library makes one up.
        let is_of_unix = matches!(file.system(), zip::System::Unix);
        packer.add(&path, Some(bytes), is_executable.filter(|_| is_of_unix), &mut file)?;
    }
    Ok(())
}

fn of_kind(path: &str, kind: &'static str) -> BundleError {
    BundleFault::Kind { path: sanitize(path), kind }.into()
}

fn refused(error: &ZipError) -> BundleError {
    match error {
        ZipError::Io(error) => BundleError::reading(error),
        other => BundleError::Archive(format!("{:.200}", sanitize(&other.to_string()))),
    }
}

/// Number of signatures of entries in a file.
fn signatures(zip: &File) -> Result<usize, BundleError> {
    let mut reader = BufReader::with_capacity(256 * 1024, zip);
    let (mut count, mut last) = (0, [0; 4]);
    let mut piece = vec![0; 256 * 1024];
    loop {
        let read = reader.read(&mut piece).map_err(|error| BundleError::reading(&error))?;
        if read == 0 {
            return Ok(count);
        }
        for byte in piece.iter().take(read) {
            last = [last[1], last[2], last[3], *byte];
            count += usize::from(last == ENTRY);
        }
    }
}
