//! Claims: an execution goes from pending to running when its sandbox is ready for the
//! request, and back if its script did not start. Every update checks state, node and
//! attempt.

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

/// Request of a node to run an execution in a given container.
#[derive(Debug, Clone)]
pub struct Claim<'a> {
    /// Execution id.
    pub id: Uuid,
    /// Node that claims the execution.
    pub node: &'a str,
    /// Container of the sandbox. No other execution ever uses it.
    pub container: &'a str,
    /// Image id of the container.
    pub image: &'a str,
    /// True if the container was started before the execution arrived.
    pub warm: bool,
    /// Time of the claim.
    pub at: DateTime<Utc>,
    /// Time at which the execution is stopped at the latest.
    pub deadline: DateTime<Utc>,
}

/// Execution that a node has claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimedRow {
    /// Execution, as the queue needs it.
    pub pending: PendingExecution,
    /// Number of this attempt, from 1.
    pub attempt: u32,
    /// Container of the sandbox and its image id. Every claimed execution has both.
    pub place: Option<(String, String)>,
    /// True if the container was started before the execution arrived.
    pub warm: bool,
    /// Time of the claim.
    pub begun_at: DateTime<Utc>,
    /// Time at which the execution is stopped at the latest.
    pub deadline: DateTime<Utc>,
    /// True if a caller has requested cancellation.
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

/// Pending execution, as the queue needs it.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct PendingExecution {
    /// Execution id.
    pub id: Uuid,
    /// Script id.
    pub script_id: i64,
    /// Priority; greater ones run first.
    pub priority: i32,
    /// Memory limit, in bytes.
    pub memory_bytes: i64,
    /// CPU limit, in billionths of a CPU.
    pub nano_cpus: i64,
    /// Scratch space on disk, in bytes.
    pub disk_bytes: i64,
    /// Limit of the script's concurrent executions.
    pub max_concurrency: Option<i64>,
    /// Time at which the execution was accepted.
    pub created_at: DateTime<Utc>,
}

/// Everything needed to run an execution.
#[derive(Debug, Clone)]
pub struct Runnable {
    /// Execution id.
    pub id: Uuid,
    /// Script id.
    pub script_id: i64,
    /// Script name.
    pub script_name: String,
    /// Id of the job that the execution belongs to.
    pub job_id: Option<String>,
    /// Row id of the script version.
    pub version_id: i64,
    /// Definition that is run.
    pub definition: Definition,
    /// Key of the environment that the version needs.
    pub environment_key: Option<String>,
    /// Settings fixed when the execution was accepted.
    pub snapshot: ExecutionSnapshot,
    /// JSON input.
    pub input: JsonInput,
    /// Time at which the execution was accepted.
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

/// Selects everything needed to run an execution, in any state.
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
    /// True if this execution runs in the named container.
    #[must_use]
    pub fn is_in(&self, container: &str) -> bool {
        self.place.as_ref().is_some_and(|(own, _)| own == container)
    }
}

impl Store {
    /// Everything needed to run a pending execution; `None` if it is not pending.
    ///
    /// # Errors
    /// [`StoreError`], including [`StoreError::Impossible`] for a stored value that does
    /// not parse.
    pub async fn runnable(&self, id: Uuid) -> Result<Option<Runnable>, StoreError> {
        let row: Option<RunnableRow> = on_reader!(self, pool =>
            sqlx::query_as(concat!(runnable!(), " AND e.status = 'pending'"))
                .bind(id).fetch_optional(pool).await)?;
        row.map(RunnableRow::parse).transpose()
    }

    /// Everything needed to run an execution that this node has claimed in this attempt;
    /// `None` if the claim no longer holds.
    ///
    /// # Errors
    /// [`StoreError`], including [`StoreError::Impossible`] for a stored value that does
    /// not parse.
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

    /// Claims a pending execution and returns the number of this attempt, from 1. Returns
    /// `None` if it is not pending: another node has claimed it, or it was cancelled. A
    /// claim whose answer was lost may be repeated.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn claim(&self, claim: &Claim<'_>) -> Result<Option<u32>, StoreError> {
        const UPDATE: &str = "UPDATE executions SET status = 'running', node = $2, \
             container = $3, image = $4, started_at = $5, updated_at = $5, deadline_at = $6, warm = $7, \
             attempt = attempt + CASE WHEN status = 'pending' THEN 1 ELSE 0 END \
             WHERE id = $1 AND (status = 'pending' \
             OR (status = 'running' AND node = $2 AND container = $3)) RETURNING attempt";
        // Fetches to the end: SQLite returns the row before it commits, and a caller that
        // takes only the row never learns that the disk was full.
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

    /// Returns an execution to pending because its script did not start. Returns true if
    /// this node still held the claim of this attempt.
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

    /// Ends a pending execution that no node has claimed. Returns true if it was pending.
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
             error_message = $4, completed_at = $5, updated_at = $5, exact_error_kind = $6 \
             WHERE id = $1 AND status = 'pending'";
        let updated = on_writer!(self, pool => sqlx::query(UPDATE)
            .bind(id)
            .bind(State::Ended(outcome.status).name())
            .bind(outcome.error_kind.map(|kind| kind.known_to_all().name()))
            .bind(outcome.error_message.as_deref().map(without_nul))
            .bind(now)
            .bind(outcome.error_kind.map(ErrorKind::name))
            .execute(pool)
            .await
            .map(|it| it.rows_affected()))?;
        Ok(updated == 1)
    }

    /// Pending executions that come after `after`, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn pending(
        &self,
        after: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<PendingExecution>, StoreError> {
        const SELECT: &str = "SELECT e.id, e.script_id, e.priority, e.memory_bytes, \
             e.nano_cpus, e.disk_bytes, s.max_concurrency, e.created_at FROM executions e \
             JOIN scripts s ON s.id = e.script_id \
             WHERE e.status = 'pending' AND e.id > $1 ORDER BY e.id LIMIT $2";
        Ok(on_reader!(self, pool => sqlx::query_as(SELECT)
            .bind(after.unwrap_or(Uuid::nil()))
            .bind(i64::from(limit))
            .fetch_all(pool)
            .await)?)
    }

    /// Assigns all running executions to this node. SQLite has one node, and its name may
    /// have changed since the claim. Does nothing on PostgreSQL.
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

    /// Executions that a node has claimed, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn claimed_by(&self, node: &str) -> Result<Vec<ClaimedRow>, StoreError> {
        const SELECT: &str = "SELECT e.id, e.script_id, e.priority, e.memory_bytes, \
             e.nano_cpus, e.disk_bytes, s.max_concurrency, e.created_at, e.attempt, e.container, e.image, \
             e.warm, e.started_at, e.deadline_at, e.cancel_requested FROM executions e \
             JOIN scripts s ON s.id = e.script_id \
             WHERE e.status = 'running' AND e.node = $1 ORDER BY e.id";
        let rows: Vec<RawClaimedRow> = on_reader!(self, pool =>
            sqlx::query_as(SELECT).bind(node).fetch_all(pool).await)?;
        rows.into_iter().map(RawClaimedRow::parse).collect()
    }

    /// Requests cancellation of a running execution, on any node. Returns true if it is
    /// running.
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
