//! One server per node and database: a second one of the same name would take
//! the first one's executions for what a dead process has left.

use sqlx::postgres::PgConnection;

use super::connection::Pools;
use super::{Store, StoreError};

/// The right to be a node; ends when dropped, or when the process or its
/// connection does. An SQLite database has one server by its data folder, and
/// needs none.
#[derive(Debug)]
pub struct NodeLock {
    _connection: Option<PgConnection>,
}

impl Store {
    /// Takes the right to be the node of this name; `None` when somebody has it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn lock_node(&self, node: &str) -> Result<Option<NodeLock>, StoreError> {
        // An advisory lock of the session, which nothing but its end gives back
        // (PostgreSQL, "Advisory Locks").
        const LOCK: &str = "SELECT pg_try_advisory_lock(hashtextextended('gantry node ' || $1, 0))";
        let Pools::Postgres(pool) = &self.pools else {
            return Ok(Some(NodeLock { _connection: None }));
        };
        let mut connection = pool.acquire().await?.detach();
        let is_ours: bool = sqlx::query_scalar(LOCK).bind(node).fetch_one(&mut connection).await?;
        Ok(is_ours.then_some(NodeLock { _connection: Some(connection) }))
    }
}
