//! Collects the files of a bundle in any order, and packs them in theirs.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use super::archive::{Entry, Prefix, Writer};
use super::{BundleError, Packed};
use crate::domain::bundle::{BundleFault, BundleFile, Contents, Manifest, seems_executable};
use crate::domain::file::FileDigest;
use crate::private_files::create_folder;

/// Bytes that are copied at once.
const PIECE: usize = 256 * 1024;

/// Files of a bundle that is being read. Their bytes are in one unnamed file.
pub struct Packer {
    folder: PathBuf,
    spool: BufWriter<File>,
    contents: Contents,
    /// Place of each file's bytes in the spool.
    places: BTreeMap<String, u64>,
    at: u64,
}

impl Packer {
    /// A bundle without files. `folder` is for unfinished files; it is made if it is missing.
    ///
    /// # Errors
    /// [`BundleError::Io`].
    pub fn new(folder: &Path) -> Result<Self, BundleError> {
        let failed = |error| BundleError::io(folder.display(), error);
        create_folder(folder).map_err(failed)?;
        let spool = tempfile::tempfile_in(folder).map_err(failed)?;
        Ok(Self {
            folder: folder.to_owned(),
            spool: BufWriter::with_capacity(PIECE, spool),
            contents: Contents::default(),
            places: BTreeMap::new(),
            at: 0,
        })
    }

    /// Adds a file. `bytes` is the size that was declared, if it was; `is_executable` is `None`
    /// where the sender could not say it.
    ///
    /// # Errors
    /// [`BundleError`]; nothing can be added after it.
    pub fn add(
        &mut self,
        path: &str,
        bytes: Option<u64>,
        is_executable: Option<bool>,
        content: impl Read,
    ) -> Result<(), BundleError> {
        self.contents.claim(path, bytes.unwrap_or_default())?;
        // One more than there may be: a file that is larger than it said, or than there is room.
        let most = bytes.unwrap_or(u64::MAX).min(self.contents.room());
        let mut content = content.take(most.saturating_add(1));
        let (mut hash, mut size, mut begin) = (Sha256::new(), 0, Vec::new());
        let mut piece = vec![0; PIECE];
        loop {
            let read = match content.read(&mut piece) {
                Ok(0) => break,
                Ok(read) => piece.get(..read).unwrap_or_default(),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(BundleError::reading(&error)),
            };
            if begin.len() < 4 {
                begin.extend(read.iter().take(4));
            }
            hash.update(read);
            size += read.len() as u64;
            self.spool.write_all(read).map_err(|error| self.unwritten(error))?;
        }
        if size > self.contents.room() {
            return Err(BundleFault::TooLarge.into());
        }
        match bytes {
            Some(bytes) if size < bytes => return Err(BundleError::CutOff),
            Some(bytes) if size > bytes => {
                return Err(BundleError::Archive(format!("{path:?} is larger than it says")));
            }
            _ => {}
        }
        let is_executable = is_executable.unwrap_or_else(|| seems_executable(&begin));
        let digest = FileDigest::new(hash.finalize().into());
        self.places.insert(path.to_owned(), self.at);
        self.contents.add(BundleFile { path: path.to_owned(), is_executable, bytes: size, digest });
        self.at += size;
        Ok(())
    }

    /// Packs all files.
    ///
    /// # Errors
    /// [`BundleError`].
    pub fn finish(self) -> Result<Packed, BundleError> {
        let folder = self.folder.clone();
        let failed = |error| BundleError::io(folder.display(), error);
        let (manifest, mut spool, places) = self.into_spool()?;
        let archive = NamedTempFile::new_in(&folder).map_err(failed)?;
        let mut writer = Writer::new(archive.as_file(), Prefix::None);
        for file in manifest.files() {
            let at = places.get(&file.path).copied().unwrap_or_default();
            spool.seek(SeekFrom::Start(at)).map_err(failed)?;
            let entry =
                Entry { path: &file.path, is_executable: file.is_executable, bytes: file.bytes };
            writer.file(&entry, (&mut spool).take(file.bytes)).map_err(failed)?;
        }
        let digest = writer.finish().map_err(failed)?;
        let digest = digest.ok_or_else(|| failed(std::io::Error::other("it was not hashed")))?;
        archive.as_file().sync_all().map_err(failed)?;
        Ok(Packed::new(manifest, archive.into_temp_path(), digest))
    }

    /// Checks all files, and returns their manifest alone.
    ///
    /// # Errors
    /// [`BundleError`].
    pub fn into_manifest(self) -> Result<Manifest, BundleError> {
        Ok(self.contents.finish()?)
    }

    fn into_spool(self) -> Result<(Manifest, File, BTreeMap<String, u64>), BundleError> {
        let folder = self.folder;
        let manifest = self.contents.finish()?;
        let spool = self.spool.into_inner();
        let spool = spool.map_err(|error| BundleError::io(folder.display(), error.into_error()))?;
        Ok((manifest, spool, self.places))
    }

    fn unwritten(&self, error: std::io::Error) -> BundleError {
        BundleError::io(self.folder.display(), error)
    }
}
