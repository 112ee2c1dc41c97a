//! Files that a caller may use: those that its token holds, and those that executions have
//! left whose scripts it may see.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sqlx::{FromRow, QueryBuilder};

use super::connection::on_reader;
use super::files::{among_digests, digest};
use super::listing::among;
use super::rows::Row;
use super::{Store, StoreError};
use crate::domain::file::{FileDigest, Holder};

/// Most digests of one statement.
const MAX_ROWS: usize = 2_000;

/// Caller that looks at files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileViewer {
    /// One that may use every file.
    Everything,
    /// A token.
    Token {
        /// Its id.
        id: i64,
        /// Ids of the only scripts that it may see; `None` is all.
        scope: Option<Vec<i64>>,
    },
}

#[derive(FromRow)]
struct ObjectRow {
    digest: Vec<u8>,
    bytes: i64,
}

impl Store {
    /// Sizes of those of the files that are there and that the caller may use.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn usable_files(
        &self,
        digests: &[FileDigest],
        viewer: &FileViewer,
        now: DateTime<Utc>,
    ) -> Result<HashMap<FileDigest, u64>, StoreError> {
        let mut visible = HashMap::with_capacity(digests.len());
        for digests in digests.chunks(MAX_ROWS) {
            let rows: Vec<ObjectRow> = on_reader!(self, pool => {
                let mut query = QueryBuilder::new("SELECT o.digest, o.bytes FROM objects o");
                among_digests!(query, " WHERE o.digest", digests);
                if let FileViewer::Token { id, scope } = viewer {
                    query.push(
                        " AND (EXISTS (SELECT 1 FROM file_refs r WHERE r.digest = o.digest \
                         AND r.holder = ",
                    );
                    query.push_bind(Holder::Token(*id).to_string());
                    query.push(" AND (r.expires_at IS NULL OR r.expires_at > ").push_bind(now);
                    query.push(
                        ")) OR EXISTS (SELECT 1 FROM artifacts a \
                         JOIN executions e ON e.id = a.execution_id WHERE a.digest = o.digest",
                    );
                    if let Some(scope) = scope {
                        among!(query, " AND e.script_id", scope);
                    }
                    query.push("))");
                }
                query.build_query_as().persistent(false).fetch_all(pool).await?
            });
            for row in rows {
                let digest = digest("objects", &row.digest)?;
                let bytes = Row { table: "objects", id: &digest }.count("bytes", row.bytes)?;
                visible.insert(digest, bytes);
            }
        }
        Ok(visible)
    }
}
