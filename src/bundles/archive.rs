//! The one archive of a bundle: a tar whose bytes depend on its files alone. Headers are plain ustar (POSIX, pax), with an extension for names that do
//! not fit.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;

use gantry_init::message::SCRIPT_TIME;
use sha2::{Digest, Sha256};
use tar::{EntryType, Header};

use super::BundleError;
use crate::domain::bundle::{BUNDLE_DIR, BundleFile, Contents, Manifest};
use crate::domain::file::FileDigest;

/// Bytes that are copied at once.
const PIECE: usize = 256 * 1024;

/// Size of a tar's block, in bytes.
const BLOCK: usize = 512;

/// Name of extensions, which nobody unpacks.
const EXTENSION_NAME: &str = "pax";

/// Folder that the files of an archive are in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Prefix {
    /// None: as people unpack it.
    None,
    /// The bundle's place in an image, with all folders.
    Image,
}

impl Prefix {
    fn place(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Image => BUNDLE_DIR.trim_start_matches('/'),
        }
    }
}

/// Writes a tar; hashes it unless it is a layer.
pub(super) struct Writer<W: Write> {
    out: BufWriter<Hashing<W>>,
    prefix: Prefix,
    /// Folders that are written.
    folders: BTreeSet<String>,
}

struct Hashing<W> {
    inner: W,
    /// `None` where nobody asks for the digest.
    hash: Option<Sha256>,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        if let Some(hash) = &mut self.hash {
            hash.update(bytes.get(..written).unwrap_or_default());
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<W: Write> Writer<W> {
    pub(super) fn new(out: W, prefix: Prefix) -> Self {
        // The engine's client hashes a layer itself.
        let hash = (prefix == Prefix::None).then(Sha256::new);
        let out = BufWriter::with_capacity(PIECE, Hashing { inner: out, hash });
        Self { out, prefix, folders: BTreeSet::new() }
    }

    /// Writes a file of the bundle; files come in the manifest's order.
    pub(super) fn file(&mut self, file: &Entry<'_>, content: impl Read) -> io::Result<()> {
        let path = match self.prefix.place() {
            "" => file.path.to_owned(),
            place => format!("{place}/{}", file.path),
        };
        let mode = if file.is_executable { 0o555 } else { 0o444 };
        self.entry(&path, mode, file.bytes, content)
    }

    /// Writes a file by its whole path.
    pub(super) fn entry(
        &mut self,
        path: &str,
        mode: u32,
        bytes: u64,
        content: impl Read,
    ) -> io::Result<()> {
        if self.prefix == Prefix::Image {
            self.folders_of(path)?;
        }
        self.header(path, EntryType::Regular, mode, bytes)?;
        let copied = io::copy(&mut content.take(bytes), &mut self.out)?;
        if copied != bytes {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.pad(bytes)
    }

    fn folders_of(&mut self, path: &str) -> io::Result<()> {
        for (at, _) in path.match_indices('/') {
            let folder = path.get(..at).unwrap_or_default();
            if self.folders.insert(folder.to_owned()) {
                self.header(&format!("{folder}/"), EntryType::Directory, 0o755, 0)?;
            }
        }
        Ok(())
    }

    fn header(&mut self, path: &str, kind: EntryType, mode: u32, bytes: u64) -> io::Result<()> {
        let mut header = plain_header(kind, mode, bytes);
        let fits = path.is_ascii() && header.set_path(path).is_ok();
        if !fits {
            let record = extension("path", path);
            let mut extension = plain_header(EntryType::XHeader, 0o644, record.len() as u64);
            extension.set_path(extension_name(self.prefix))?;
            extension.set_cksum();
            self.out.write_all(extension.as_bytes())?;
            self.out.write_all(record.as_bytes())?;
            self.pad(record.len() as u64)?;
            // What a reader sees that knows no extensions.
            header.set_path(extension_name(self.prefix))?;
        }
        header.set_cksum();
        self.out.write_all(header.as_bytes())
    }

    fn pad(&mut self, bytes: u64) -> io::Result<()> {
        let over = usize::try_from(bytes % BLOCK as u64).unwrap_or_default();
        if over > 0 {
            self.out.write_all([0; BLOCK].get(over..).unwrap_or_default())?;
        }
        Ok(())
    }

    /// Writes the end; returns the digest of all bytes, unless it is a layer.
    pub(super) fn finish(mut self) -> io::Result<Option<FileDigest>> {
        self.out.write_all(&[0; 2 * BLOCK])?;
        let hashing = self.out.into_inner().map_err(io::IntoInnerError::into_error)?;
        Ok(hashing.hash.map(|hash| FileDigest::new(hash.finalize().into())))
    }
}

fn extension_name(prefix: Prefix) -> String {
    match prefix.place() {
        "" => EXTENSION_NAME.to_owned(),
        place => format!("{place}/{EXTENSION_NAME}"),
    }
}

fn plain_header(kind: EntryType, mode: u32, bytes: u64) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(SCRIPT_TIME);
    header.set_size(bytes);
    header
}

/// A record of an extension: its length in decimal digits, which it contains, a key and a value.
fn extension(key: &str, value: &str) -> String {
    let rest = format!(" {key}={value}\n");
    let mut length = rest.len();
    while length != rest.len() + length.to_string().len() {
        length = rest.len() + length.to_string().len();
    }
    format!("{length}{rest}")
}

/// Hands each file of an archive of ours to `take`, in the manifest's order, and returns the
/// manifest. `take` gets path, mode and size, and the content.
///
/// # Errors
/// [`BundleError::Damaged`] if it is not the archive of the bundle with this digest, which is known
/// at the end alone; [`BundleError::Missing`], and what `take` returns.
pub(super) fn files_of(
    archive: &Path,
    digest: FileDigest,
    mut take: impl FnMut(&Entry<'_>, &mut dyn Read) -> io::Result<()>,
) -> Result<Manifest, BundleError> {
    let damaged = || BundleError::Damaged(digest.hex());
    let file = File::open(archive).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => BundleError::Missing(digest.hex()),
        _ => BundleError::io(archive.display(), error),
    })?;
    let mut tar = tar::Archive::new(BufReader::with_capacity(PIECE, file));
    let mut contents = Contents::default();
    for entry in tar.entries().map_err(|_| damaged())? {
        let mut entry = entry.map_err(|_| damaged())?;
        let path = entry.path_bytes().into_owned();
        let path = std::str::from_utf8(&path).map_err(|_| damaged())?;
        let mode = entry.header().mode().map_err(|_| damaged())?;
        let (bytes, is_executable) = (entry.size(), mode & 0o111 != 0);
        contents.claim(path, bytes).map_err(|_| damaged())?;
        let mut content = HashingReader { inner: &mut entry, hash: Sha256::new() };
        let seen = Entry { path, is_executable, bytes };
        take(&seen, &mut content).map_err(|error| BundleError::io(archive.display(), error))?;
        io::copy(&mut content, &mut io::sink()).map_err(|_| damaged())?;
        let digest = FileDigest::new(content.hash.finalize().into());
        contents.add(BundleFile { path: path.to_owned(), is_executable, bytes, digest });
    }
    let manifest = contents.finish().map_err(|_| damaged())?;
    if manifest.digest() == digest { Ok(manifest) } else { Err(damaged()) }
}

/// File of an archive of ours, before it is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<'a> {
    /// Path below the bundle's folder.
    pub(super) path: &'a str,
    /// True if it may be executed.
    pub is_executable: bool,
    /// Size in bytes.
    pub bytes: u64,
}

struct HashingReader<R> {
    inner: R,
    hash: Sha256,
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(bytes)?;
        self.hash.update(bytes.get(..read).unwrap_or_default());
        Ok(read)
    }
}

/// Contents of some files of an archive of ours, by their paths; of those with at most `limit`
/// bytes.
///
/// # Errors
/// [`BundleError`].
pub fn read_files(
    archive: &Path,
    digest: FileDigest,
    paths: &[&str],
    limit: u64,
) -> Result<BTreeMap<String, Vec<u8>>, BundleError> {
    let mut found = BTreeMap::new();
    files_of(archive, digest, |file, content| {
        if file.bytes <= limit && paths.contains(&file.path) {
            let mut bytes = Vec::new();
            content.read_to_end(&mut bytes)?;
            found.insert(file.path.to_owned(), bytes);
        }
        Ok(())
    })?;
    Ok(found)
}
