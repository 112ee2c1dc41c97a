//! Accepts executions, several per transaction: a commit costs more than the rows in it.

use sqlx::types::Json;
use sqlx::{FromRow, Postgres, QueryBuilder};
use uuid::Uuid;

use super::connection::{Pools, in_transaction, on_reader, retry_on_dead_connection};
use super::rows::number;
use super::{Store, StoreError};
use crate::domain::execution::{IdempotencyKey, NewExecution};
use crate::domain::file::Holder;

/// Most executions accepted in one transaction: each binds 15 values, and SQLite allows
/// 32,766 (sqlite.org, "Limits").
pub(super) const MAX_BATCH: usize = 256;

/// Result of a submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Submitted {
    /// The execution is accepted.
    New,
    /// The same caller has sent the same key and request before; holds the id of that
    /// execution.
    Known(Uuid),
    /// The same caller has sent the same key with another request; holds the id of that
    /// execution.
    KeyReused(Uuid),
}

#[derive(FromRow)]
struct KnownRow {
    id: Uuid,
    fingerprint: Option<Vec<u8>>,
}

impl Store {
    /// Result for this caller's earlier request with this key, if there was one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn find_key(
        &self,
        token_id: i64,
        key: &IdempotencyKey,
    ) -> Result<Option<Submitted>, StoreError> {
        const FIND: &str = "SELECT id, fingerprint FROM executions \
             WHERE token_id = $1 AND idempotency_key = $2";
        let known: Option<KnownRow> = on_reader!(self, pool => sqlx::query_as(FIND)
            .bind(token_id)
            .bind(key.key.as_str())
            .fetch_optional(pool)
            .await)?;
        Ok(known.map(|known| match known.fingerprint.as_deref() == Some(&key.fingerprint) {
            true => Submitted::Known(known.id),
            false => Submitted::KeyReused(known.id),
        }))
    }

    /// Accepts executions, in this order. On return they are durable.
    ///
    /// # Errors
    /// [`StoreError`]; none of them is accepted then.
    pub async fn submit(&self, executions: &[NewExecution]) -> Result<Vec<Submitted>, StoreError> {
        let mut submitted = Vec::with_capacity(executions.len());
        for batch in executions.chunks(MAX_BATCH) {
            submitted.extend(self.submit_batch(batch).await?);
        }
        Ok(submitted)
    }

    async fn submit_batch(&self, batch: &[NewExecution]) -> Result<Vec<Submitted>, StoreError> {
        let mut ordered: Vec<_> = batch.iter().collect();
        // In the order of keys: two transactions that wait for each other's keys can't
        // deadlock.
        ordered.sort_by_key(|new| {
            new.idempotency_key.as_ref().map(|it| (new.caller.token_id, it.key.as_str()))
        });
        // Executions with a key may exist already, and are looked up in the same
        // transaction.
        let is_keyed = batch.iter().any(|it| it.idempotency_key.is_some());
        let has_inputs = batch.iter().any(|it| !it.snapshot.files.inputs.is_empty());
        if let (Pools::Postgres(pool), false) = (&self.pools, is_keyed || has_inputs) {
            // An execution that was stored before its connection died is recognized by its
            // id.
            let accepted: Vec<Uuid> = retry_on_dead_connection(|| async {
                let mut insert = inserted_at_once(&ordered);
                let query = insert.build_query_scalar().persistent(is_alone(batch));
                query.fetch_all(pool).await
            })
            .await?;
            return Ok(submitted!(batch, accepted, pool));
        }
        Ok(in_transaction!(self, tx => {
            let mut insert = QueryBuilder::new(INSERT_HEAD);
            insert.push_values(&ordered, |mut row, new| insert_values!(row, new));
            insert.push(" ON CONFLICT DO NOTHING RETURNING id");
            let query = insert.build_query_scalar().persistent(is_alone(batch));
            let accepted: Vec<Uuid> = query.fetch_all(&mut *tx).await?;
            let is_accepted = |new: &&NewExecution| accepted.contains(&new.id);
            if !accepted.is_empty() {
                let mut insert = QueryBuilder::new(INSERT_PAYLOAD_HEAD);
                insert.push_values(batch.iter().filter(is_accepted), |mut row, new| {
                    payload_values!(row, new);
                });
                insert.build().persistent(is_alone(batch)).execute(&mut *tx).await?;
            }
            let with_inputs = |new: &&NewExecution| !new.snapshot.files.inputs.is_empty();
            for new in batch.iter().filter(is_accepted).filter(with_inputs) {
                let holder = Holder::Execution(new.id).to_string();
                sqlx::query(HOLD_INPUTS).bind(holder).execute(&mut *tx).await?;
            }
            submitted!(batch, accepted, &mut *tx)
        }))
    }
}

/// True for a single execution. Prepared statements are cached per text.
fn is_alone(batch: &[NewExecution]) -> bool {
    batch.len() == 1
}

/// Inserts executions and their payloads in one statement, which is its own transaction and
/// needs one round trip. `SQLite` has neither such statements nor round trips.
fn inserted_at_once<'a>(executions: &'a [&'a NewExecution]) -> QueryBuilder<Postgres> {
    let mut insert = QueryBuilder::new("WITH accepted AS (");
    insert.push(INSERT_HEAD);
    insert.push_values(executions, |mut row, new| insert_values!(row, new));
    insert.push(" ON CONFLICT DO NOTHING RETURNING id), payloads (id, frozen, input) AS (");
    insert.push_values(executions, |mut row, new| payload_values!(row, new));
    insert.push("), kept AS (").push(INSERT_PAYLOAD_HEAD);
    insert
        .push("SELECT p.id, p.frozen, p.input FROM payloads p JOIN accepted ON accepted.id = p.id");
    insert.push(") SELECT id FROM accepted");
    insert
}

/// Result for each execution of `$batch`; those with ids in `$accepted` are stored.
macro_rules! submitted {
    ($batch:expr, $accepted:expr, $connection:expr) => {{
        let mut submitted = Vec::with_capacity($batch.len());
        for new in $batch {
            if $accepted.contains(&new.id) {
                submitted.push(Submitted::New);
                continue;
            }
            let key = new.idempotency_key.as_ref();
            let known: Option<KnownRow> = sqlx::query_as(FIND)
                .bind(new.caller.token_id)
                .bind(key.map(|it| it.key.as_str()))
                .bind(new.id)
                .fetch_optional($connection)
                .await?;
            submitted.push(known_as(known, new)?);
        }
        submitted
    }};
}
use submitted;

const FIND: &str = "SELECT id, fingerprint FROM executions \
     WHERE (token_id = $1 AND idempotency_key = $2) OR id = $3";

/// Result for an execution that was not stored.
fn known_as(known: Option<KnownRow>, new: &NewExecution) -> Result<Submitted, StoreError> {
    // The earlier execution was deleted in between: a retry is accepted as new.
    let known = known.ok_or_else(|| StoreError::Unavailable(Some(sqlx::Error::RowNotFound)))?;
    let key = new.idempotency_key.as_ref();
    // Same id: an earlier attempt stored it, but the answer was lost.
    let is_same = known.id == new.id
        || key.is_some_and(|it| known.fingerprint.as_deref() == Some(&it.fingerprint));
    Ok(match is_same {
        true => Submitted::Known(known.id),
        false => Submitted::KeyReused(known.id),
    })
}

const INSERT_HEAD: &str = "INSERT INTO executions \
     (id, script_id, version_id, job_id, token_id, triggered_by, idempotency_key, fingerprint, \
      status, priority, attempt, memory_bytes, nano_cpus, disk_bytes, stdout_bytes, stderr_bytes, \
      stdout_truncated, stderr_truncated, warm, created_at, updated_at) ";

const INSERT_PAYLOAD_HEAD: &str = "INSERT INTO execution_payloads (execution_id, frozen, input) ";

/// The inputs of an execution were held for a while, until it is stored.
const HOLD_INPUTS: &str = "UPDATE file_refs SET expires_at = NULL WHERE holder = $1";

/// Binds the values of [`INSERT_PAYLOAD_HEAD`].
macro_rules! payload_values {
    ($row:ident, $new:ident) => {{
        $row.push_bind($new.id);
        $row.push_bind(Json(&$new.snapshot));
        $row.push_bind($new.input.as_str());
    }};
}
use payload_values;

/// Binds the values of [`INSERT_HEAD`].
macro_rules! insert_values {
    ($row:ident, $new:ident) => {{
        let key = $new.idempotency_key.as_ref();
        $row.push_bind($new.id);
        $row.push_bind($new.script_id);
        $row.push_bind($new.version_id);
        $row.push_bind($new.job_id.as_deref());
        $row.push_bind($new.caller.token_id);
        $row.push_bind(&$new.caller.name);
        $row.push_bind(key.map(|it| it.key.as_str()));
        $row.push_bind(key.map(|it| it.fingerprint.as_slice()));
        $row.push("'pending'");
        $row.push_bind(i32::from($new.priority.value()));
        $row.push("0");
        $row.push_bind(number($new.snapshot.limits.memory_bytes));
        $row.push_bind(number($new.snapshot.limits.nano_cpus));
        $row.push_bind(number($new.snapshot.limits.disk_bytes));
        $row.push("0, 0, FALSE, FALSE, FALSE");
        $row.push_bind($new.created_at);
        $row.push_bind($new.created_at);
    }};
}
use insert_values;
