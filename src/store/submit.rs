//! Accepting executions: several in one transaction, because making a
//! transaction durable costs more than what is in it.

use sqlx::types::Json;
use sqlx::{FromRow, Postgres, QueryBuilder};
use uuid::Uuid;

use super::connection::{Pools, in_transaction, on_reader, repeat_on_dead};
use super::rows::number;
use super::{Store, StoreError};
use crate::domain::execution::{IdempotencyKey, NewExecution};

/// Executions that are accepted in one transaction at most: 15 values of each
/// are bound, and SQLite binds 32,766 (sqlite.org, "Limits").
pub(super) const MAX_BATCH: usize = 256;

/// What became of a submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Submitted {
    /// It is accepted.
    New,
    /// The same caller has sent the same key before: that one counts.
    Known(Uuid),
    /// The same caller has sent the same key with another request.
    KeyReused(Uuid),
}

#[derive(FromRow)]
struct KnownRow {
    id: Uuid,
    fingerprint: Option<Vec<u8>>,
}

impl Store {
    /// What became of this caller's request with this key, if there was one.
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

    /// Accepts executions, in this order. When it has answered they can't get
    /// lost any more.
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
        // Two transactions that wait for each other's keys come to them in the same
        // order, and never wait in a circle.
        ordered.sort_by_key(|new| {
            new.idempotency_key.as_ref().map(|it| (new.caller.token_id, it.key.as_str()))
        });
        // Those with a key may be known, and are looked for then: all or nothing.
        let is_keyed = batch.iter().any(|it| it.idempotency_key.is_some());
        if let (Pools::Postgres(pool), false) = (&self.pools, is_keyed) {
            // What was stored although its connection died is known by its id.
            let accepted: Vec<Uuid> = repeat_on_dead(|| async {
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
            submitted!(batch, accepted, &mut *tx)
        }))
    }
}

/// Statements are kept for the next time where there is one text of them.
fn is_alone(batch: &[NewExecution]) -> bool {
    batch.len() == 1
}

/// Executions and their payloads in one statement, which is a transaction of its
/// own, and one round trip. `SQLite` has no such statements, and no round trips.
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

/// What became of each of `$batch`, of which those with the ids in `$accepted` are
/// stored.
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

/// What became of one that was not stored.
fn known_as(known: Option<KnownRow>, new: &NewExecution) -> Result<Submitted, StoreError> {
    // It was forgotten in between: the next attempt is a new one.
    let known = known.ok_or_else(|| StoreError::Unavailable(Some(sqlx::Error::RowNotFound)))?;
    let key = new.idempotency_key.as_ref();
    // What has this id was sent before, and nobody heard that it was kept.
    let is_same = known.id == new.id
        || key.is_some_and(|it| known.fingerprint.as_deref() == Some(&it.fingerprint));
    Ok(match is_same {
        true => Submitted::Known(known.id),
        false => Submitted::KeyReused(known.id),
    })
}

const INSERT_HEAD: &str = "INSERT INTO executions \
     (id, script_id, version_id, job_id, token_id, triggered_by, idempotency_key, fingerprint, \
      status, priority, attempt, memory_bytes, nano_cpus, stdout_bytes, stderr_bytes, \
      stdout_truncated, stderr_truncated, warm, created_at, updated_at) ";

const INSERT_PAYLOAD_HEAD: &str = "INSERT INTO execution_payloads (execution_id, frozen, input) ";

/// The values of [`INSERT_PAYLOAD_HEAD`].
macro_rules! payload_values {
    ($row:ident, $new:ident) => {{
        $row.push_bind($new.id);
        $row.push_bind(Json(&$new.snapshot));
        $row.push_bind($new.input.as_str());
    }};
}
use payload_values;

/// The values of [`INSERT_HEAD`].
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
        $row.push("0, 0, FALSE, FALSE, FALSE");
        $row.push_bind($new.created_at);
        $row.push_bind($new.created_at);
    }};
}
use insert_values;
