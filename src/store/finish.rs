//! Writing an execution's end: once, and with everything that it left.

use std::time::Duration;

use sqlx::QueryBuilder;
use uuid::Uuid;

use super::connection::in_transaction;
use super::rows::{microseconds, number, without_nul};
use super::{Store, StoreError};
use crate::domain::execution::{Report, State};
use crate::domain::outcome::ErrorKind;

impl Store {
    /// Writes the end of an execution that this node has taken, in this attempt.
    /// Answers whether it was still its: whoever comes second changes nothing.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is written then.
    pub async fn finish(
        &self,
        id: Uuid,
        node: &str,
        attempt: u32,
        queued: Duration,
        report: &Report,
    ) -> Result<bool, StoreError> {
        let outcome = &report.outcome;
        let usage = report.usage;
        let sandbox = report.sandbox.as_ref();
        let is_written = in_transaction!(self, tx => {
            let updated = sqlx::query(UPDATE)
                .bind(id)
                .bind(node)
                .bind(i64::from(attempt))
                .bind(State::Ended(outcome.status).name())
                .bind(outcome.error_kind.map(ErrorKind::name))
                .bind(outcome.error_message.as_deref().map(without_nul))
                .bind(number(report.stdout_bytes))
                .bind(number(report.stderr_bytes))
                .bind(report.is_stdout_truncated())
                .bind(report.is_stderr_truncated())
                .bind(outcome.exit_code)
                .bind(outcome.signal)
                .bind(report.duration.map(microseconds))
                .bind(microseconds(queued))
                .bind(microseconds(report.overhead()))
                .bind(usage.map(|it| cpu_microseconds(it.cpu_ms)))
                .bind(usage.map(|it| number(it.peak_memory_bytes)))
                .bind(usage.map(|it| number(it.oom_kills)))
                .bind(sandbox.map(|it| it.image.as_str()))
                .bind(sandbox.map(|it| it.container_id.as_str()))
                .bind(sandbox.is_some_and(|it| it.warm))
                .bind(report.started_at)
                .bind(report.completed_at)
                .execute(&mut *tx)
                .await?;
            if updated.rows_affected() != 1 {
                return Ok(false);
            }
            let order = report.log.encode_order();
            sqlx::query(UPDATE_PAYLOAD)
                .bind(id)
                .bind(report.output.as_ref().map(|it| it.get()))
                .bind(report.log.stdout())
                .bind(report.log.stderr())
                .bind(&order)
                .execute(&mut *tx)
                .await?;
            if !report.artifacts.is_empty() {
                let mut insert = QueryBuilder::new(
                    "INSERT INTO artifacts (execution_id, position, name, bytes, skipped) ",
                );
                insert.push_values(report.artifacts.iter().zip(0_i32..), |mut row, (it, place)| {
                    row.push_bind(id);
                    row.push_bind(place);
                    row.push_bind(without_nul(&it.name));
                    row.push_bind(number(it.bytes));
                    row.push_bind(it.skipped.as_deref().map(without_nul));
                });
                insert.build().persistent(false).execute(&mut *tx).await?;
            }
            true
        });
        Ok(is_written)
    }
}

const UPDATE: &str = "UPDATE executions SET status = $4, error_kind = $5, error_message = $6, \
     stdout_bytes = $7, stderr_bytes = $8, stdout_truncated = $9, stderr_truncated = $10, \
     exit_code = $11, signal = $12, duration_us = $13, queue_us = $14, overhead_us = $15, \
     cpu_us = $16, peak_memory_bytes = $17, oom_kills = $18, \
     image = COALESCE($19, image), container = COALESCE($20, container), \
     warm = $21, started_at = COALESCE($22, started_at), completed_at = $23, updated_at = $23 \
     WHERE id = $1 AND status = 'running' AND node = $2 AND attempt = $3";

const UPDATE_PAYLOAD: &str = "UPDATE execution_payloads SET output = $2, stdout = $3, \
     stderr = $4, log_order = $5 WHERE execution_id = $1";

/// Milliseconds with a fraction as whole microseconds.
#[expect(clippy::cast_possible_truncation, reason = "saturates, which is what is wanted")]
fn cpu_microseconds(milliseconds: f64) -> i64 {
    (milliseconds * 1000.0).round() as i64
}
