//! Forgetting executions that ended long ago.

use chrono::{DateTime, Utc};
use sqlx::{FromRow, QueryBuilder};
use uuid::Uuid;

use super::connection::{on_reader, on_writer};
use super::{Store, StoreError};

/// Executions that are forgotten in one statement at most: in between, others
/// can write.
const MAX_FORGOTTEN: usize = 1_000;

/// An execution that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromRow)]
pub struct Ended {
    /// Its id.
    pub id: Uuid,
    /// When it ended.
    pub at: DateTime<Utc>,
}

impl Store {
    /// Executions that ended before this time, the oldest first, from the one
    /// behind `after` on.
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

    /// Forgets executions that have ended, with all that they read and left.
    ///
    /// # Errors
    /// [`StoreError`]; some of them may be forgotten then.
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
