//! Records of the files that executions left. The files themselves are stored elsewhere.

use sqlx::FromRow;
use uuid::Uuid;

use super::connection::on_reader;
use super::rows::Row;
use super::{Store, StoreError};
use crate::domain::execution::Artifact;

#[derive(FromRow)]
struct ArtifactRow {
    name: String,
    bytes: i64,
    skipped: Option<String>,
}

impl Store {
    /// Artifacts of an execution, ordered by position.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn artifacts(&self, id: Uuid) -> Result<Vec<Artifact>, StoreError> {
        const SELECT: &str = "SELECT name, bytes, skipped FROM artifacts \
             WHERE execution_id = $1 ORDER BY position";
        let rows: Vec<ArtifactRow> =
            on_reader!(self, pool => sqlx::query_as(SELECT).bind(id).fetch_all(pool).await)?;
        let row = Row { table: "artifacts", id: &id };
        let parse = |it: ArtifactRow| {
            Ok(Artifact {
                bytes: row.count("bytes", it.bytes)?,
                name: it.name,
                skipped: it.skipped,
            })
        };
        rows.into_iter().map(parse).collect()
    }
}
