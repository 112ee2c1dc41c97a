//! Folders of files: their manifests, and the references by which they hold their files.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use sqlx::QueryBuilder;

use super::connection::{in_transaction, on_reader};
use super::files::{
    MAX_ROWS, MERGED, NewFileRef, absent, among_digests, insert_objects, insert_refs,
};
use super::rows::{number, without_nul};
use super::{Store, StoreError};
use crate::domain::file::{FileDigest, Holder};

/// Folder to store.
#[derive(Debug, Clone)]
pub struct NewTree {
    /// Its manifest, with the holder's words.
    pub manifest: NewFileRef,
    /// Number of its files.
    pub files: u64,
    /// Bytes of its files together.
    pub bytes: u64,
    /// Digests of its files.
    pub digests: Vec<FileDigest>,
}

impl Store {
    /// True if there is a folder with this digest.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn is_tree(&self, tree: FileDigest) -> Result<bool, StoreError> {
        const SELECT: &str = "SELECT count(*) FROM trees WHERE digest = $1";
        let found: i64 = on_reader!(self, pool => sqlx::query_scalar(SELECT)
            .bind(tree.bytes().to_vec())
            .fetch_one(pool)
            .await)?;
        Ok(found > 0)
    }

    /// Stores a folder, its references to its files, and a holder's reference to it, all at
    /// once. Stores nothing if some files are missing, and returns those.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn keep_tree(
        &self,
        tree: &NewTree,
        holder: &Holder,
        until: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Result<Vec<FileDigest>, StoreError> {
        const INSERT: &str = "INSERT INTO trees (digest, files, bytes, created_at) \
             VALUES ($1, $2, $3, $4) ON CONFLICT (digest) DO NOTHING";
        let digests: Vec<_> =
            tree.digests.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
        let manifest = [&tree.manifest];
        // It counts with all its files: they stay as long as it does.
        let bytes = tree.manifest.bytes.saturating_add(tree.bytes);
        let charged = NewFileRef { bytes, ..tree.manifest.clone() };
        let charged = [&charged];
        let own = Holder::Tree(tree.manifest.digest);
        let mut missing = Vec::new();
        in_transaction!(self, tx => {
            for digests in digests.chunks(MAX_ROWS) {
                let mut touch = QueryBuilder::new("UPDATE objects SET used_at = ");
                touch.push_bind(now);
                among_digests!(touch, " WHERE digest", digests);
                touch.push(" RETURNING digest");
                let found: Vec<Vec<u8>> =
                    touch.build_query_scalar().persistent(false).fetch_all(&mut *tx).await?;
                missing.extend(absent(digests, &found)?);
                let mut refer = QueryBuilder::new(
                    "INSERT INTO file_refs (digest, holder, bytes, is_tree, created_at, \
                     expires_at) SELECT o.digest, ",
                );
                refer.push_bind(own.to_string()).push(", o.bytes, FALSE, ").push_bind(now);
                refer.push(", NULL");
                among_digests!(refer, " FROM objects o WHERE o.digest", digests);
                refer.push(" ON CONFLICT (digest, holder) DO NOTHING");
                refer.build().persistent(false).execute(&mut *tx).await?;
            }
            if !missing.is_empty() {
                // Without a commit, nothing of it stays.
                return Ok(missing);
            }
            insert_objects!(manifest, now, tx);
            insert_refs!(charged, holder, until, now, tx);
            let insert = sqlx::query(INSERT).bind(tree.manifest.digest.bytes().to_vec());
            let insert = insert.bind(number(tree.files)).bind(number(tree.bytes)).bind(now);
            insert.execute(&mut *tx).await?;
        });
        Ok(missing)
    }
}
