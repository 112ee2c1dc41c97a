//! Deletes executions that ended long ago.

use chrono::{DateTime, Utc};
use sqlx::{FromRow, QueryBuilder};
use uuid::Uuid;

use super::connection::{on_reader, on_writer};
use super::{Store, StoreError};

/// Most executions deleted in one statement; others can write in between.
const MAX_FORGOTTEN: usize = 1_000;

/// Execution that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromRow)]
pub struct Ended {
    /// Execution id.
    pub id: Uuid,
    /// Time of its end.
    pub at: DateTime<Utc>,
}

impl Store {
    /// Executions that ended before this time and come after `after`, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn ended_before(
        &self,
        time: DateTime<Utc>,
        after: Option<Ended>,
        limit: u32,
    ) -> Result<Vec<Ended>, StoreError> {
        const SELECT: &str = "SELECT id, completed_at AS at FROM executions \
             WHERE completed_at < $1 AND ($2 IS NULL OR (completed_at, id) > ($2, $3)) \
             ORDER BY completed_at, id LIMIT $4";
        Ok(on_reader!(self, pool => sqlx::query_as(SELECT)
            .bind(time)
            .bind(after.map(|it| it.at))
            .bind(after.map(|it| it.id))
            .bind(i64::from(limit))
            .fetch_all(pool)
            .await)?)
    }

    /// Deletes ended executions with their input and output.
    ///
    /// # Errors
    /// [`StoreError`]; some may have been deleted.
    pub async fn forget(&self, ids: &[Uuid]) -> Result<(), StoreError> {
        for ids in ids.chunks(MAX_FORGOTTEN) {
            on_writer!(self, pool => {
                let mut query =
                    QueryBuilder::new("DELETE FROM executions WHERE completed_at IS NOT NULL");
                super::listing::among!(query, " AND id", ids);
                query.build().persistent(false).execute(pool).await?;
            });
        }
        Ok(())
    }
}
