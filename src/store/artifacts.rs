//! Records of the files that executions left. The files themselves are stored elsewhere.

use sqlx::FromRow;
use uuid::Uuid;

use super::connection::on_reader;
use super::listing::Page;
use super::rows::{Row, number};
use super::{Store, StoreError};
use crate::domain::execution::Artifact;
use crate::domain::file::FileDigest;

#[derive(FromRow)]
struct ArtifactRow {
    name: String,
    bytes: i64,
    skipped: Option<String>,
    digest: Option<Vec<u8>>,
    media_type: Option<String>,
    role: Option<String>,
    executable: bool,
}

impl ArtifactRow {
    fn parse(self, row: Row<'_>) -> Result<Artifact, StoreError> {
        let digest = self.digest.map(|bytes| <[u8; 32]>::try_from(bytes).map(FileDigest::new));
        Ok(Artifact {
            bytes: row.count("bytes", self.bytes)?,
            name: self.name,
            skipped: self.skipped,
            digest: digest.transpose().map_err(|_| row.impossible("digest"))?,
            media_type: self.media_type,
            role: self.role,
            executable: self.executable,
        })
    }
}

macro_rules! select_artifacts {
    ($rest:literal) => {
        concat!(
            "SELECT name, bytes, skipped, digest, media_type, role, executable \
             FROM artifacts WHERE execution_id = $1",
            $rest
        )
    };
}

impl Store {
    /// Artifacts of an execution, ordered by position.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn artifacts(&self, id: Uuid) -> Result<Vec<Artifact>, StoreError> {
        const SELECT: &str = select_artifacts!(" ORDER BY position");
        let rows: Vec<ArtifactRow> =
            on_reader!(self, pool => sqlx::query_as(SELECT).bind(id).fetch_all(pool).await)?;
        let row = Row { table: "artifacts", id: &id };
        rows.into_iter().map(|it| it.parse(row)).collect()
    }

    /// A page of the artifacts of an execution.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn artifacts_page(&self, id: Uuid, page: Page) -> Result<Vec<Artifact>, StoreError> {
        const SELECT: &str = select_artifacts!(" ORDER BY position LIMIT $2 OFFSET $3");
        let rows: Vec<ArtifactRow> = on_reader!(self, pool => sqlx::query_as(SELECT)
            .bind(id)
            .bind(i64::from(page.limit))
            .bind(number(page.offset))
            .fetch_all(pool)
            .await)?;
        let row = Row { table: "artifacts", id: &id };
        rows.into_iter().map(|it| it.parse(row)).collect()
    }

    /// Number of the artifacts of an execution.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn artifact_count(&self, id: Uuid) -> Result<u64, StoreError> {
        const SELECT: &str = "SELECT count(*) FROM artifacts WHERE execution_id = $1";
        let count: i64 =
            on_reader!(self, pool => sqlx::query_scalar(SELECT).bind(id).fetch_one(pool).await)?;
        Row { table: "artifacts", id: &id }.count("position", count)
    }

    /// An artifact of this name, or else the one at this position, with its position.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn artifact(
        &self,
        id: Uuid,
        name: &str,
        position: Option<u32>,
    ) -> Result<Option<(usize, Artifact)>, StoreError> {
        const NAMED: &str = "SELECT position FROM artifacts \
             WHERE execution_id = $1 AND name = $2 ORDER BY position LIMIT 1";
        const SELECT: &str = select_artifacts!(" AND position = $2");
        let name = super::rows::without_nul(name);
        let named: Option<i32> = on_reader!(self, pool =>
            sqlx::query_scalar(NAMED).bind(id).bind(name).fetch_optional(pool).await)?;
        let position = named.and_then(|it| u32::try_from(it).ok()).or(position);
        let Some(position) = position.and_then(|it| i32::try_from(it).ok()) else {
            return Ok(None);
        };
        let found: Option<ArtifactRow> = on_reader!(self, pool =>
            sqlx::query_as(SELECT).bind(id).bind(position).fetch_optional(pool).await)?;
        let row = Row { table: "artifacts", id: &id };
        let found = found.map(|it| it.parse(row)).transpose()?;
        Ok(found.zip(usize::try_from(position).ok()).map(|(it, at)| (at, it)))
    }
}
