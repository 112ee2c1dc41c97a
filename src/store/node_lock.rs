//! Lock that allows one server per node and database. A second server of the same name
//! would adopt the first one's executions as those of a dead process.

use sqlx::postgres::PgConnection;

use super::connection::Pools;
use super::{Store, StoreError};

/// Lock on a node name, released when it is dropped or when the process or its connection
/// ends. SQLite needs no such lock: the data folder has one.
#[derive(Debug)]
pub struct NodeLock {
    _connection: Option<PgConnection>,
}

impl Store {
    /// Locks the node name; `None` if another process holds it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn lock_node(&self, node: &str) -> Result<Option<NodeLock>, StoreError> {
        // Session-level advisory lock: only the end of the session releases it (PostgreSQL,
        // "Advisory Locks").
        const LOCK: &str = "SELECT pg_try_advisory_lock(hashtextextended('gantry node ' || $1, 0))";
        let Pools::Postgres(pool) = &self.pools else {
            return Ok(Some(NodeLock { _connection: None }));
        };
        let mut connection = pool.acquire().await?.detach();
        let is_ours: bool = sqlx::query_scalar(LOCK).bind(node).fetch_one(&mut connection).await?;
        Ok(is_ours.then_some(NodeLock { _connection: Some(connection) }))
    }
}
