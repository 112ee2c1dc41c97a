//! Reads a tar that somebody sent. Long names and extensions are read here, within their limits: the
//! library would read them into memory, however long.

use std::cell::Cell;
use std::io::{self, Read};

use tar::{Archive, Entry, Header, PaxExtensions};

use super::{BundleError, MAX_ARCHIVE_BYTES, Packer};
use crate::domain::bundle::BundleFault;
use crate::domain::sanitize::sanitize;

/// Longest extension or long name, in bytes.
const MAX_EXTENSION: u64 = 64 * 1024;

/// Most headers: some for each file and folder.
const MAX_HEADERS: usize = 100_000;

/// Bits of a mode that give rights to whoever executes the file, and the sticky bit.
const SPECIAL_BITS: u32 = 0o7000;

/// Bits of a mode that let somebody execute the file.
const EXECUTE_BITS: u32 = 0o111;

/// Size of a tar's block, in bytes.
const BLOCK: u64 = 512;

/// Adds all files of a tar. Folders have no meaning of their own.
pub(super) fn read(tar: impl Read, packer: &mut Packer) -> Result<(), BundleError> {
    let ended = Cell::new(false);
    let mut counting = Counting { inner: tar, read: 0, ended: &ended };
    // The library says no more of a header that is cut than that it is.
    let refused = |error: io::Error| match ended.get() {
        true => BundleError::CutOff,
        false => BundleError::reading(&error),
    };
    let mut end = 0;
    let mut archive = Archive::new(&mut counting);
    let entries = archive.entries().map_err(refused)?.raw(true);
    let mut name = None;
    for (entry, number) in entries.zip(1..) {
        let mut entry = entry.map_err(refused)?;
        if number > MAX_HEADERS {
            return Err(BundleFault::TooMany.into());
        }
        end = entry.raw_file_position() + entry.size().div_ceil(BLOCK) * BLOCK;
        match kind(entry.header()) {
            b'x' => name = long_name(&mut entry)?.or(name),
            b'L' => name = Some(gnu_name(&mut entry)?),
            // A comment on the whole archive, as git writes it; and a link's target, which is
            // refused itself.
            b'g' => check_global(&mut entry)?,
            b'K' => {}
            kind => {
                let name = name.take();
                let name = name.unwrap_or_else(|| entry.header().path_bytes().into_owned());
                add(&mut entry, kind, &name, packer)?;
            }
        }
    }
    // What follows the end means nothing, but a compressed tar has its checksum there.
    io::copy(&mut (&mut counting).take(MAX_ARCHIVE_BYTES), &mut io::sink()).map_err(refused)?;
    // A tar ends with empty blocks: one that ends with an entry is a part of another.
    if counting.read <= end || name.is_some() {
        return Err(BundleError::CutOff);
    }
    Ok(())
}

fn add(
    entry: &mut Entry<'_, impl Read>,
    kind: u8,
    name: &[u8],
    packer: &mut Packer,
) -> Result<(), BundleError> {
    let path = std::str::from_utf8(name)
        .map_err(|_| BundleFault::Path(sanitize(&String::from_utf8_lossy(name))))?;
    let path = strip_here(path);
    let of_kind = |kind| Err(BundleFault::Kind { path: sanitize(path), kind }.into());
    match kind {
        // Before POSIX, a folder was a file whose name ends with a slash.
        b'0' | b'\0' | b'7' if !path.ends_with('/') => {}
        b'5' | b'0' | b'\0' | b'7' => return Ok(()),
        b'1' => return of_kind("a hard link"),
        b'2' => return of_kind("a symbolic link"),
        b'3' | b'4' => return of_kind("a device"),
        b'6' => return of_kind("a pipe"),
        b'S' => return of_kind("a file with holes"),
        _ => return of_kind("of a kind that is unknown here"),
    }
    let mode = entry.header().mode().map_err(|error| BundleError::reading(&error))?;
    if mode & SPECIAL_BITS != 0 {
        return Err(BundleFault::SpecialBits(sanitize(path)).into());
    }
    let bytes = entry.size();
    packer.add(path, Some(bytes), Some(mode & EXECUTE_BITS != 0), entry)
}

/// Takes the `./` away that names begin with where a folder was packed as `.`.
fn strip_here(mut path: &str) -> &str {
    while let Some(rest) = path.strip_prefix("./") {
        path = rest.trim_start_matches('/');
    }
    path
}

fn kind(header: &Header) -> u8 {
    header.entry_type().as_byte()
}

fn small(entry: &mut Entry<'_, impl Read>) -> Result<Vec<u8>, BundleError> {
    if entry.size() > MAX_EXTENSION {
        return Err(BundleError::Archive("a header's extension is too long".to_owned()));
    }
    let mut bytes = Vec::new();
    entry.read_to_end(&mut bytes).map_err(|error| BundleError::reading(&error))?;
    Ok(bytes)
}

/// Name in an extension (pax, "pax Extended Header"), if it has one.
fn long_name(entry: &mut Entry<'_, impl Read>) -> Result<Option<Vec<u8>>, BundleError> {
    let mut name = None;
    for_each_record(entry, |key, value| match key {
        b"path" => {
            name = Some(value.to_vec());
            Ok(())
        }
        b"size" => Err(BundleError::Archive("a file has a size beside its header's".to_owned())),
        key if key.starts_with(b"GNU.sparse.") => {
            Err(BundleError::Archive("a file has holes".to_owned()))
        }
        _ => Ok(()),
    })?;
    Ok(name)
}

/// Checks that an extension for all entries says nothing of their names or sizes.
fn check_global(entry: &mut Entry<'_, impl Read>) -> Result<(), BundleError> {
    for_each_record(entry, |key, _| match key {
        b"path" | b"size" | b"linkpath" => {
            Err(BundleError::Archive("an extension gives one name or size to all".to_owned()))
        }
        _ => Ok(()),
    })
}

fn for_each_record(
    entry: &mut Entry<'_, impl Read>,
    mut take: impl FnMut(&[u8], &[u8]) -> Result<(), BundleError>,
) -> Result<(), BundleError> {
    let bytes = small(entry)?;
    for record in PaxExtensions::new(&bytes) {
        let record = record.map_err(|error| BundleError::reading(&error))?;
        take(record.key_bytes(), record.value_bytes())?;
    }
    Ok(())
}

/// Long name of GNU tar, which ends with a NUL.
fn gnu_name(entry: &mut Entry<'_, impl Read>) -> Result<Vec<u8>, BundleError> {
    let mut name = small(entry)?;
    if name.last() == Some(&0) {
        name.pop();
    }
    Ok(name)
}

/// Counts what is read, and ends what is too long.
struct Counting<'a, R> {
    inner: R,
    read: u64,
    /// True once there was nothing more to be read.
    ended: &'a Cell<bool>,
}

impl<R: Read> Read for Counting<'_, R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if self.read > MAX_ARCHIVE_BYTES {
            let message = format!("it has more than {MAX_ARCHIVE_BYTES} bytes when it is unpacked");
            return Err(io::Error::other(message));
        }
        let read = self.inner.read(bytes)?;
        self.read += read as u64;
        self.ended.set(self.ended.get() || (read == 0 && !bytes.is_empty()));
        Ok(read)
    }
}
