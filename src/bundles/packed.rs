//! A bundle that was read: its manifest, and a file with its archive.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempPath;

use super::BundleError;
use crate::domain::bundle::Manifest;
use crate::domain::file::FileDigest;

/// Bundle in a file of its own, which goes with the last copy of this unless it is kept elsewhere.
/// Equal ones have the same files.
#[derive(Debug, Clone)]
pub struct Packed {
    manifest: Arc<Manifest>,
    digest: FileDigest,
    archive: Arc<TempPath>,
    archive_digest: FileDigest,
}

impl PartialEq for Packed {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl Packed {
    pub(super) fn new(manifest: Manifest, archive: TempPath, archive_digest: FileDigest) -> Self {
        let digest = manifest.digest();
        Self { manifest: Arc::new(manifest), digest, archive: Arc::new(archive), archive_digest }
    }

    /// Its files.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The same, to be kept.
    #[must_use]
    pub fn to_manifest(&self) -> Arc<Manifest> {
        Arc::clone(&self.manifest)
    }

    /// Digest of its manifest, which identifies it.
    #[must_use]
    pub fn digest(&self) -> FileDigest {
        self.digest
    }

    /// File with its archive: a tar whose bytes depend on the files alone.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.archive
    }

    /// The same, for one who keeps the bundle for as long as the path.
    #[must_use]
    pub fn to_path(&self) -> PathBuf {
        self.archive.to_path_buf()
    }

    /// Digest of its archive.
    #[must_use]
    pub fn archive_digest(&self) -> FileDigest {
        self.archive_digest
    }

    /// Content of one of its files.
    ///
    /// # Errors
    /// [`BundleError`].
    pub fn read(&self, path: &str) -> Result<Vec<u8>, BundleError> {
        let failed = |error| BundleError::io("the packed bundle", error);
        let mut tar = tar::Archive::new(File::open(self.path()).map_err(failed)?);
        for entry in tar.entries().map_err(failed)? {
            let mut entry = entry.map_err(failed)?;
            if entry.path_bytes() == path.as_bytes() {
                let mut content = Vec::new();
                entry.read_to_end(&mut content).map_err(failed)?;
                return Ok(content);
            }
        }
        Err(BundleError::Missing(self.digest.hex()))
    }
}
