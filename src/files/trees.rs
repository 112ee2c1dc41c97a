//! Folders: manifests that are files of the store themselves, and hold the files that they name.

use std::io::Read;

use chrono::{DateTime, Utc};

use super::commit::on_blocking;
use super::{FileLabel, Files, FilesError, StoredFile, plain};
use crate::clock;
use crate::domain::file::{FileDigest, Holder};
use crate::domain::tree::{MAX_MANIFEST_BYTES, Tree, TreeFault};
use crate::store::{NewFileRef, NewTree};

impl Files {
    /// The folder with this digest.
    ///
    /// # Errors
    /// [`FilesError`].
    pub async fn tree(&self, digest: FileDigest) -> Result<Option<Tree>, FilesError> {
        if !self.0.store.is_tree(digest).await? {
            return Ok(None);
        }
        let Some(open) = self.open(digest).await? else { return Ok(None) };
        on_blocking(move || {
            let mut manifest = Vec::new();
            let limited = (&open.file).take(MAX_MANIFEST_BYTES + 1).read_to_end(&mut manifest);
            let read = limited.map_err(FilesError::io("reading a manifest"))?;
            if read as u64 > MAX_MANIFEST_BYTES {
                return Err(TreeFault::Manifest.into());
            }
            Ok(Some(Tree::read(&manifest)?))
        })
        .await
    }

    /// Stores a folder of files that are in the store, which it holds from now on, and the
    /// holder's reference to it.
    ///
    /// # Errors
    /// [`FilesError::Missing`] with the files that are not there, and others.
    pub async fn keep_tree(
        &self,
        tree: Tree,
        holder: &Holder,
        label: FileLabel,
        until: Option<DateTime<Utc>>,
    ) -> Result<StoredFile, FilesError> {
        let manifest = tree.manifest();
        if manifest.len() as u64 > MAX_MANIFEST_BYTES {
            return Err(TreeFault::TooMany(tree.entries().len()).into());
        }
        let mut incoming = self.begin().await?;
        incoming.write(manifest.into()).await?;
        let stored = incoming.complete().await?;
        let row = NewTree {
            manifest: NewFileRef { is_tree: true, ..plain(stored, label) },
            files: tree.entries().len() as u64,
            bytes: tree.bytes(),
            digests: tree.into_entries().into_iter().map(|entry| entry.digest).collect(),
        };
        let holder = *holder;
        self.keep_incoming(incoming, stored, move |store| async move {
            let missing = store.keep_tree(&row, &holder, until, clock::now()).await?;
            if missing.is_empty() { Ok(()) } else { Err(FilesError::Missing(missing)) }
        })
        .await?;
        Ok(stored)
    }
}
