//! Taking an execution: from pending to running, at the moment when its sandbox
//! waits for the request, and back when its script has not started after all.
//! Guarded by state, node and attempt.

use chrono::{DateTime, Utc};
use sqlx::FromRow;
use uuid::Uuid;

use super::connection::{Pools, on_reader, on_writer};
use super::rows::{Row, without_nul};
use super::{Store, StoreError};
use crate::domain::execution::{ExecutionSnapshot, State};
use crate::domain::json_input::JsonInput;
use crate::domain::outcome::{ErrorKind, Outcome};
use crate::domain::registry::Definition;

/// Who takes it, and where it is about to run.
#[derive(Debug, Clone)]
pub struct Claim<'a> {
    /// The execution.
    pub id: Uuid,
    /// The machine.
    pub node: &'a str,
    /// Its sandbox's container, which no other execution ever has.
    pub container: &'a str,
    /// The image of the container, by its id.
    pub image: &'a str,
    /// Its container had been started before.
    pub warm: bool,
    /// When.
    pub at: DateTime<Utc>,
    /// When it will have ended, or will be ended.
    pub deadline: DateTime<Utc>,
}

/// What a node has taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimedRow {
    /// The execution, as a queue knows it.
    pub pending: PendingExecution,
    /// From 1.
    pub attempt: u32,
    /// Its sandbox's container, and the image of that by its id. Every execution that
    /// was ever taken has both.
    pub place: Option<(String, String)>,
    /// Its container had been started before.
    pub warm: bool,
    /// When it was taken.
    pub begun_at: DateTime<Utc>,
    /// When it will have ended, or will be ended.
    pub deadline: DateTime<Utc>,
    /// Somebody wants it to end.
    pub is_cancel_requested: bool,
}

#[derive(FromRow)]
struct RawClaimedRow {
    #[sqlx(flatten)]
    pending: PendingExecution,
    attempt: i32,
    container: Option<String>,
    image: Option<String>,
    warm: bool,
    started_at: Option<DateTime<Utc>>,
    deadline_at: Option<DateTime<Utc>>,
    cancel_requested: bool,
}

impl RawClaimedRow {
    fn parse(self) -> Result<ClaimedRow, StoreError> {
        let id = self.pending.id;
        let row = Row { table: "executions", id: &id };
        Ok(ClaimedRow {
            attempt: row.count("attempt", self.attempt.into())?,
            place: self.container.zip(self.image),
            warm: self.warm,
            begun_at: self.started_at.unwrap_or(self.pending.created_at),
            deadline: self.deadline_at.unwrap_or(self.pending.created_at),
            is_cancel_requested: self.cancel_requested,
            pending: self.pending,
        })
    }
}

/// An execution that waits, as a queue needs it.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct PendingExecution {
    /// Its id.
    pub id: Uuid,
    /// The script.
    pub script_id: i64,
    /// Greater ones first.
    pub priority: i32,
    /// Memory that it may use, in bytes.
    pub memory_bytes: i64,
    /// CPU time per time that it may use, in billionths of a CPU.
    pub nano_cpus: i64,
    /// The script's executions at once.
    pub max_concurrency: Option<i64>,
    /// When it was accepted.
    pub created_at: DateTime<Utc>,
}

/// All that is needed to run an execution that waits.
#[derive(Debug, Clone)]
pub struct Runnable {
    /// Its id.
    pub id: Uuid,
    /// The script.
    pub script_id: i64,
    /// The script's name.
    pub script_name: String,
    /// The job that it is for.
    pub job_id: Option<String>,
    /// The row of its version.
    pub version_id: i64,
    /// What is run.
    pub definition: Definition,
    /// The environment that it needs.
    pub environment_key: Option<String>,
    /// Settings fixed when it was accepted.
    pub snapshot: ExecutionSnapshot,
    /// What it reads.
    pub input: JsonInput,
    /// When it was accepted.
    pub created_at: DateTime<Utc>,
}

#[derive(FromRow)]
struct RunnableRow {
    id: Uuid,
    script_id: i64,
    name: String,
    job_id: Option<String>,
    version_id: i64,
    definition: String,
    environment_key: Option<String>,
    frozen: String,
    input: String,
    created_at: DateTime<Utc>,
}

impl RunnableRow {
    fn parse(self) -> Result<Runnable, StoreError> {
        let version = Row { table: "script_versions", id: &self.version_id };
        let payload = Row { table: "execution_payloads", id: &self.id };
        Ok(Runnable {
            definition: version.json("definition", &self.definition)?,
            snapshot: payload.json("frozen", &self.frozen)?,
            input: JsonInput::parse(self.input.into_bytes())
                .map_err(|_| payload.impossible("input"))?,
            id: self.id,
            script_id: self.script_id,
            script_name: self.name,
            version_id: self.version_id,
            job_id: self.job_id,
            environment_key: self.environment_key,
            created_at: self.created_at,
        })
    }
}

/// All that is needed to run an execution, whatever its state.
macro_rules! runnable {
    () => {
        "SELECT e.id, e.script_id, s.name, e.job_id, \
         v.id AS version_id, CAST(v.definition AS TEXT) AS definition, v.environment_key, \
         CAST(p.frozen AS TEXT) AS frozen, p.input, e.created_at FROM executions e \
         JOIN scripts s ON s.id = e.script_id \
         JOIN script_versions v ON v.id = e.version_id \
         JOIN execution_payloads p ON p.execution_id = e.id \
         WHERE e.id = $1"
    };
}

impl ClaimedRow {
    /// Whether this is its container.
    #[must_use]
    pub fn is_in(&self, container: &str) -> bool {
        self.place.as_ref().is_some_and(|(own, _)| own == container)
    }
}

impl Store {
    /// All that is needed to run an execution; `None` when it is not pending any
    /// more.
    ///
    /// # Errors
    /// [`StoreError`], also when a value of it is impossible.
    pub async fn runnable(&self, id: Uuid) -> Result<Option<Runnable>, StoreError> {
        let row: Option<RunnableRow> = on_reader!(self, pool =>
            sqlx::query_as(concat!(runnable!(), " AND e.status = 'pending'"))
                .bind(id).fetch_optional(pool).await)?;
        row.map(RunnableRow::parse).transpose()
    }

    /// What an execution runs that this node has taken, in this attempt; `None` when it
    /// is not its any more.
    ///
    /// # Errors
    /// [`StoreError`], also when a value of it is impossible.
    pub async fn running(
        &self,
        id: Uuid,
        node: &str,
        attempt: u32,
    ) -> Result<Option<Runnable>, StoreError> {
        const SELECT: &str =
            concat!(runnable!(), " AND e.status = 'running' AND e.node = $2 AND e.attempt = $3");
        let row: Option<RunnableRow> = on_reader!(self, pool => sqlx::query_as(SELECT)
            .bind(id)
            .bind(node)
            .bind(i64::from(attempt))
            .fetch_optional(pool)
            .await)?;
        row.map(RunnableRow::parse).transpose()
    }

    /// Takes an execution that is pending, and answers with the attempt that this
    /// is, from 1. `None` when it is not pending any more: somebody else has it, or
    /// it was cancelled. The same claim may be made again when its answer was lost.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn claim(&self, claim: &Claim<'_>) -> Result<Option<u32>, StoreError> {
        const UPDATE: &str = "UPDATE executions SET status = 'running', node = $2, \
             container = $3, image = $4, started_at = $5, updated_at = $5, deadline_at = $6, warm = $7, \
             attempt = attempt + CASE WHEN status = 'pending' THEN 1 ELSE 0 END \
             WHERE id = $1 AND (status = 'pending' \
             OR (status = 'running' AND node = $2 AND container = $3)) RETURNING attempt";
        // To its end: SQLite answers with the row before it has committed, and whoever
        // takes only that one never learns that there was no room for it.
        let attempts: Vec<i32> = on_writer!(self, pool => sqlx::query_scalar(UPDATE)
            .bind(claim.id)
            .bind(claim.node)
            .bind(claim.container)
            .bind(claim.image)
            .bind(claim.at)
            .bind(claim.deadline)
            .bind(claim.warm)
            .fetch_all(pool)
            .await)?;
        let row = Row { table: "executions", id: &claim.id };
        let attempt = attempts.first();
        attempt.map(|attempt| row.count("attempt", i64::from(*attempt))).transpose()
    }

    /// Gives an execution back whose script has not started. Answers whether it
    /// was still this node's, in this attempt.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn give_back(
        &self,
        id: Uuid,
        node: &str,
        attempt: u32,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        const UPDATE: &str = "UPDATE executions SET status = 'pending', node = NULL, \
             container = NULL, image = NULL, started_at = NULL, deadline_at = NULL, \
             updated_at = $4 \
             WHERE id = $1 AND status = 'running' AND node = $2 AND attempt = $3";
        let updated = on_writer!(self, pool => sqlx::query(UPDATE)
            .bind(id)
            .bind(node)
            .bind(i64::from(attempt))
            .bind(now)
            .execute(pool)
            .await
            .map(|it| it.rows_affected()))?;
        Ok(updated == 1)
    }

    /// Ends an execution that nobody has taken. Answers whether it was pending.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn end_pending(
        &self,
        id: Uuid,
        outcome: &Outcome,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        const UPDATE: &str = "UPDATE executions SET status = $2, error_kind = $3, \
             error_message = $4, completed_at = $5, updated_at = $5 \
             WHERE id = $1 AND status = 'pending'";
        let updated = on_writer!(self, pool => sqlx::query(UPDATE)
            .bind(id)
            .bind(State::Ended(outcome.status).name())
            .bind(outcome.error_kind.map(ErrorKind::name))
            .bind(outcome.error_message.as_deref().map(without_nul))
            .bind(now)
            .execute(pool)
            .await
            .map(|it| it.rows_affected()))?;
        Ok(updated == 1)
    }

    /// The executions that wait, the oldest first, behind `after` in that order.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn pending(
        &self,
        after: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<PendingExecution>, StoreError> {
        const SELECT: &str = "SELECT e.id, e.script_id, e.priority, e.memory_bytes, \
             e.nano_cpus, s.max_concurrency, e.created_at FROM executions e \
             JOIN scripts s ON s.id = e.script_id \
             WHERE e.status = 'pending' AND e.id > $1 ORDER BY e.id LIMIT $2";
        Ok(on_reader!(self, pool => sqlx::query_as(SELECT)
            .bind(after.unwrap_or(Uuid::nil()))
            .bind(i64::from(limit))
            .fetch_all(pool)
            .await)?)
    }

    /// On SQLite there is one node, whatever it was called when it took something:
    /// all that is taken is this one's from now on. On PostgreSQL nothing changes.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn take_over(&self, node: &str) -> Result<(), StoreError> {
        const UPDATE: &str = "UPDATE executions SET node = $1 WHERE status = 'running'";
        if let Pools::Sqlite { writer, .. } = &self.pools {
            sqlx::query(UPDATE).bind(node).execute(writer).await?;
        }
        Ok(())
    }

    /// What a node has taken; the oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn claimed_by(&self, node: &str) -> Result<Vec<ClaimedRow>, StoreError> {
        const SELECT: &str = "SELECT e.id, e.script_id, e.priority, e.memory_bytes, \
             e.nano_cpus, s.max_concurrency, e.created_at, e.attempt, e.container, e.image, \
             e.warm, e.started_at, e.deadline_at, e.cancel_requested FROM executions e \
             JOIN scripts s ON s.id = e.script_id \
             WHERE e.status = 'running' AND e.node = $1 ORDER BY e.id";
        let rows: Vec<RawClaimedRow> = on_reader!(self, pool =>
            sqlx::query_as(SELECT).bind(node).fetch_all(pool).await)?;
        rows.into_iter().map(RawClaimedRow::parse).collect()
    }

    /// Notes that somebody wants a running execution to end, whoever runs it. Answers
    /// whether it runs.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn request_cancel(&self, id: Uuid) -> Result<bool, StoreError> {
        const UPDATE: &str =
            "UPDATE executions SET cancel_requested = $2 WHERE id = $1 AND status = 'running'";
        let updated = on_writer!(self, pool => sqlx::query(UPDATE)
            .bind(id)
            .bind(true)
            .execute(pool)
            .await
            .map(|it| it.rows_affected()))?;
        Ok(updated == 1)
    }
}
