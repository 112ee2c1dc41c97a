//! Accepting executions: several in one transaction, because making a
//! transaction durable costs more than what is in it.

use sqlx::types::Json;
use sqlx::{FromRow, QueryBuilder};
use uuid::Uuid;

use super::connection::{in_transaction, on_reader};
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
        const FIND: &str = "SELECT id, fingerprint FROM executions \
             WHERE (token_id = $1 AND idempotency_key = $2) OR id = $3";
        let mut ordered: Vec<_> = batch.iter().collect();
        // Two transactions that wait for each other's keys come to them in the same
        // order, and never wait in a circle.
        ordered.sort_by_key(|new| {
            new.idempotency_key.as_ref().map(|it| (new.caller.token_id, it.key.as_str()))
        });
        let submitted = in_transaction!(self, tx => {
            let mut insert = QueryBuilder::new(INSERT_HEAD);
            insert.push_values(&ordered, |mut row, new| insert_values!(row, new));
            insert.push(" ON CONFLICT DO NOTHING RETURNING id");
            let accepted: Vec<Uuid> =
                insert.build_query_scalar().persistent(false).fetch_all(&mut *tx).await?;
            let is_accepted = |new: &&NewExecution| accepted.contains(&new.id);
            if !accepted.is_empty() {
                let mut insert = QueryBuilder::new(
                    "INSERT INTO execution_payloads (execution_id, frozen, input) ",
                );
                insert.push_values(batch.iter().filter(is_accepted), |mut row, new| {
                    row.push_bind(new.id);
                    row.push_bind(Json(&new.frozen));
                    row.push_bind(new.input.as_str());
                });
                insert.build().persistent(false).execute(&mut *tx).await?;
            }
            let mut submitted = Vec::with_capacity(batch.len());
            for new in batch {
                if accepted.contains(&new.id) {
                    submitted.push(Submitted::New);
                    continue;
                }
                let key = new.idempotency_key.as_ref();
                let known: Option<KnownRow> = sqlx::query_as(FIND)
                    .bind(new.caller.token_id)
                    .bind(key.map(|it| it.key.as_str()))
                    .bind(new.id)
                    .fetch_optional(&mut *tx)
                    .await?;
                // It was forgotten in between: the next attempt is a new one.
                let known =
                    known.ok_or_else(|| StoreError::Unavailable(Some(sqlx::Error::RowNotFound)))?;
                // What has this id was sent before, and nobody heard that it was kept.
                let is_same = known.id == new.id
                    || key.is_some_and(|it| known.fingerprint.as_deref() == Some(&it.fingerprint));
                submitted.push(match is_same {
                    true => Submitted::Known(known.id),
                    false => Submitted::KeyReused(known.id),
                });
            }
            submitted
        });
        Ok(submitted)
    }
}

const INSERT_HEAD: &str = "INSERT INTO executions \
     (id, script_id, version_id, job_id, token_id, triggered_by, idempotency_key, fingerprint, \
      status, priority, attempt, memory_bytes, nano_cpus, stdout_bytes, stderr_bytes, \
      stdout_truncated, stderr_truncated, warm, created_at, updated_at) ";

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
        $row.push_bind(number($new.frozen.limits.memory_bytes));
        $row.push_bind(number($new.frozen.limits.nano_cpus));
        $row.push("0, 0, FALSE, FALSE, FALSE");
        $row.push_bind($new.created_at);
        $row.push_bind($new.created_at);
    }};
}
use insert_values;
