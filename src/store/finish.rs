//! Stores the end of an execution, once, with its output.

use std::time::Duration;

use sqlx::QueryBuilder;
use uuid::Uuid;

use super::connection::{Pools, in_transaction, retry_on_dead_connection};
use super::listing::{ExecutionRow, returning_execution};
use super::rows::{microseconds, number, without_nul};
use super::{Store, StoreError};
use crate::domain::execution::{ExecutionSummary, Report, State};
use crate::domain::file::Holder;
use crate::domain::outcome::ErrorKind;

impl Store {
    /// Stores the end of an execution that this node has claimed in this attempt. Returns
    /// the stored execution, or `None` without any change if the claim no longer holds.
    ///
    /// # Errors
    /// [`StoreError`]. Nothing is written then, except with [`StoreError::Impossible`],
    /// which means that an earlier value can't be read.
    pub async fn finish(
        &self,
        id: Uuid,
        node: &str,
        attempt: u32,
        queued: Duration,
        report: &Report,
    ) -> Result<Option<ExecutionSummary>, StoreError> {
        let receipt = report.sandbox.as_ref().and_then(|it| it.confinement.clone());
        if let Some(receipt) = &receipt {
            // In a statement of its own: if the end is not stored, a receipt stays that no
            // execution refers to.
            self.store_receipt(receipt, report.completed_at).await?;
        }
        let order = report.log.encode_order();
        let end = End { id, node, attempt, queued, report, order: &order };
        let ended: Option<ExecutionRow> = match &self.pools {
            Pools::Postgres(pool) if !has_files(report) => {
                let write = || {
                    let query = bound_end!(sqlx::query_as(END_AT_ONCE), end);
                    bound_kept!(query, end).fetch_optional(pool)
                };
                retry_on_dead_connection(write).await?
            }
            _ => self.finish_step_by_step(&end).await?,
        };
        let mut ended = ended.map(ExecutionRow::parse).transpose()?;
        if let Some(sandbox) = ended.as_mut().and_then(|it| it.sandbox.as_mut()) {
            sandbox.confinement = receipt;
        }
        Ok(ended)
    }

    async fn finish_step_by_step(&self, end: &End<'_>) -> Result<Option<ExecutionRow>, StoreError> {
        Ok(in_transaction!(self, tx => {
            let ended: Option<ExecutionRow> =
                bound_end!(sqlx::query_as(END), end).fetch_optional(&mut *tx).await?;
            if ended.is_none() {
                return Ok(None);
            }
            let query = bound_end!(sqlx::query(KEEP), end);
            bound_kept!(query, end).execute(&mut *tx).await?;
            let artifacts: Vec<_> = end.report.artifacts.iter().zip(0_i32..).collect();
            for some in artifacts.chunks(MAX_ROWS) {
                let mut insert = QueryBuilder::new(INSERT_ARTIFACTS);
                insert.push_values(some, |mut row, (it, place)| {
                    row.push_bind(end.id);
                    row.push_bind(*place);
                    row.push_bind(without_nul(&it.name));
                    row.push_bind(number(it.bytes));
                    row.push_bind(it.skipped.as_deref().map(without_nul));
                    row.push_bind(it.digest.as_ref().map(|it| it.bytes().as_slice()));
                    row.push_bind(it.media_type.as_deref().map(without_nul));
                    row.push_bind(it.role.as_deref().map(without_nul));
                    row.push_bind(it.executable);
                });
                insert.build().persistent(false).execute(&mut *tx).await?;
            }
            if let Some(until) = end.report.kept_until {
                let holder = Holder::Execution(end.id).to_string();
                sqlx::query(GIVE_UP).bind(holder).bind(until).execute(&mut *tx).await?;
            }
            ended
        }))
    }
}

/// True if more than the execution's own rows are to be written.
fn has_files(report: &Report) -> bool {
    !report.artifacts.is_empty() || report.kept_until.is_some()
}

/// End of an execution, to be stored.
struct End<'a> {
    id: Uuid,
    node: &'a str,
    attempt: u32,
    queued: Duration,
    report: &'a Report,
    /// Order in which both streams' pieces arrived.
    order: &'a [u8],
}

/// Binds the values of [`END`] to a query.
macro_rules! bound_end {
    ($query:expr, $end:expr) => {{
        let report = $end.report;
        let (outcome, usage) = (&report.outcome, report.usage);
        let sandbox = report.sandbox.as_ref();
        $query
            .bind($end.id)
            .bind($end.node)
            .bind(i64::from($end.attempt))
            .bind(State::Ended(outcome.status).name())
            .bind(outcome.error_kind.map(|kind| kind.known_to_all().name()))
            .bind(outcome.error_message.as_deref().map(without_nul))
            .bind(number(report.stdout_bytes))
            .bind(number(report.stderr_bytes))
            .bind(report.is_stdout_truncated())
            .bind(report.is_stderr_truncated())
            .bind(outcome.exit_code)
            .bind(outcome.signal)
            .bind(report.duration.map(microseconds))
            .bind(microseconds($end.queued))
            .bind(microseconds(report.overhead()))
            .bind(usage.map(|it| cpu_microseconds(it.cpu_ms)))
            .bind(usage.map(|it| number(it.peak_memory_bytes)))
            .bind(usage.map(|it| number(it.oom_kills)))
            .bind(sandbox.map(|it| it.image.as_str()))
            .bind(sandbox.map(|it| it.container_id.as_str()))
            .bind(sandbox.is_some_and(|it| it.warm))
            .bind(report.started_at)
            .bind(report.completed_at)
            .bind(sandbox.and_then(|it| it.confinement.as_ref()).map(|it| it.digest().as_slice()))
            .bind(outcome.error_kind.map(ErrorKind::name))
            .bind(sandbox.and_then(|it| it.preloaded))
            .bind(sandbox.and_then(|it| it.preload_reason.as_deref()).map(without_nul))
            .bind(usage.and_then(|it| it.peak_disk_bytes).map(number))
    }};
}
use bound_end;

/// Binds the values of [`KEEP`], which follow those of [`END`].
macro_rules! bound_kept {
    ($query:expr, $end:expr) => {{
        let report = $end.report;
        $query
            .bind(report.output.as_ref().map(|it| it.get()))
            .bind(report.log.stdout())
            .bind(report.log.stderr())
            .bind($end.order)
    }};
}
use bound_kept;

macro_rules! end {
    () => {
        concat!(
            "UPDATE executions SET status = $4, error_kind = $5, error_message = $6, \
             stdout_bytes = $7, stderr_bytes = $8, stdout_truncated = $9, \
             stderr_truncated = $10, exit_code = $11, signal = $12, duration_us = $13, \
             queue_us = $14, overhead_us = $15, cpu_us = $16, peak_memory_bytes = $17, \
             oom_kills = $18, image = COALESCE($19, image), \
             container = COALESCE($20, container), warm = $21, \
             started_at = COALESCE($22, started_at), completed_at = $23, updated_at = $23, \
             receipt = $24, exact_error_kind = $25, preloaded = $26, \
             preload_reason = $27, peak_disk_bytes = $28 \
             WHERE id = $1 AND status = 'running' AND node = $2 AND attempt = $3",
            returning_execution!()
        )
    };
}

macro_rules! keep {
    () => {
        "UPDATE execution_payloads SET output = $29, stdout = $30, stderr = $31, \
         log_order = $32 WHERE execution_id = $1"
    };
}

const END: &str = end!();

const KEEP: &str = keep!();

/// Both statements in one, which is its own transaction and needs one round trip. `SQLite`
/// has neither such statements nor round trips.
const END_AT_ONCE: &str = concat!(
    "WITH ended AS (",
    end!(),
    "), kept AS (",
    keep!(),
    " AND EXISTS (SELECT 1 FROM ended)) SELECT * FROM ended"
);

const INSERT_ARTIFACTS: &str = "INSERT INTO artifacts (execution_id, position, name, bytes, skipped, digest, \
     media_type, role, executable) ";

/// The files of an execution are held until a time of their own.
const GIVE_UP: &str = "UPDATE file_refs SET expires_at = $2 WHERE holder = $1";

/// Most rows in one statement: each binds 9 values, and SQLite allows 32,766 (sqlite.org,
/// "Limits").
const MAX_ROWS: usize = 2_000;

/// Converts milliseconds with a fraction to whole microseconds.
#[expect(clippy::cast_possible_truncation, reason = "saturates, which is what is wanted")]
fn cpu_microseconds(milliseconds: f64) -> i64 {
    (milliseconds * 1000.0).round() as i64
}
