//! Lists and counts executions, newest first.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use sqlx::{FromRow, QueryBuilder};
use uuid::Uuid;

use super::connection::on_reader;
use super::rows::{Row, number};
use super::{Store, StoreError};
use crate::domain::execution::{
    ExecutionSummary, SandboxReceipt, State, Usage, first_id_at, milliseconds,
};
use crate::domain::outcome::ErrorKind;

/// Filter of a list of executions.
#[derive(Debug, Clone, Default)]
pub struct ExecutionFilter {
    /// Script id.
    pub script_id: Option<i64>,
    /// Job id.
    pub job_id: Option<String>,
    /// State.
    pub status: Option<State>,
    /// Ids of the only scripts that the caller may see.
    pub scope: Option<Vec<i64>>,
    /// Name of the token that started the execution.
    pub triggered_by: Option<String>,
    /// Earliest time of acceptance, inclusive.
    pub since: Option<DateTime<Utc>>,
    /// Latest time of acceptance, exclusive.
    pub until: Option<DateTime<Utc>>,
    /// Execution before which the list begins.
    pub before: Option<Uuid>,
}

impl ExecutionFilter {
    /// True if the filter goes beyond script and state, for which indexes and stored counts
    /// exist.
    fn is_by_more_than_script(&self) -> bool {
        let by_time = self.since.is_some() || self.until.is_some() || self.before.is_some();
        self.job_id.is_some() || self.triggered_by.is_some() || by_time
    }
}

/// Part of a list.
#[derive(Debug, Clone, Copy)]
pub struct Page {
    /// Most entries.
    pub limit: u32,
    /// Entries skipped at the start.
    pub offset: u64,
}

/// Adds `column IN (…)` to a query. An empty list matches nothing.
macro_rules! among {
    ($query:ident, $column:literal, $ids:expr) => {{
        $query.push(concat!($column, " IN (NULL"));
        for id in $ids {
            $query.push(", ").push_bind(*id);
        }
        $query.push(")");
    }};
}
pub(super) use among;

/// Columns of [`ExecutionRow`] that belong to `executions`.
macro_rules! execution_columns {
    () => {
        "executions.id, executions.script_id, executions.job_id, executions.triggered_by, \
         executions.status, executions.error_kind, executions.exact_error_kind, \
         executions.error_message, executions.priority, executions.stdout_bytes, executions.stderr_bytes, \
         executions.stdout_truncated, executions.stderr_truncated, executions.exit_code, \
         executions.signal, executions.duration_us, executions.queue_us, \
         executions.overhead_us, executions.cpu_us, executions.peak_memory_bytes, \
         executions.oom_kills, executions.peak_disk_bytes, executions.image, executions.container, executions.node, \
         executions.warm, executions.preloaded, executions.preload_reason, executions.attempt, \
         executions.started_at, executions.completed_at, executions.created_at, \
         executions.updated_at"
    };
}

macro_rules! select_execution {
    ($more:literal, $rest:literal) => {
        concat!(
            "SELECT ",
            $crate::store::listing::execution_columns!(),
            ", s.name, v.number, v.code_digest",
            $more,
            " FROM executions \
             JOIN scripts s ON s.id = executions.script_id \
             JOIN script_versions v ON v.id = executions.version_id",
            $rest
        )
    };
}

/// The same columns, of the execution that a statement changes.
macro_rules! returning_execution {
    () => {
        concat!(
            " RETURNING ",
            $crate::store::listing::execution_columns!(),
            ", (SELECT s.name FROM scripts s WHERE s.id = executions.script_id) AS name, \
             (SELECT v.number FROM script_versions v WHERE v.id = executions.version_id) \
             AS number, \
             (SELECT v.code_digest FROM script_versions v WHERE v.id = executions.version_id) \
             AS code_digest"
        )
    };
}
pub(super) use {execution_columns, returning_execution, select_execution};

#[derive(FromRow)]
pub(super) struct ExecutionRow {
    id: Uuid,
    script_id: i64,
    name: String,
    number: i64,
    code_digest: String,
    job_id: Option<String>,
    triggered_by: String,
    status: String,
    error_kind: Option<String>,
    exact_error_kind: Option<String>,
    error_message: Option<String>,
    priority: i32,
    stdout_bytes: i64,
    stderr_bytes: i64,
    stdout_truncated: bool,
    stderr_truncated: bool,
    exit_code: Option<i32>,
    signal: Option<i32>,
    duration_us: Option<i64>,
    queue_us: Option<i64>,
    overhead_us: Option<i64>,
    cpu_us: Option<i64>,
    peak_memory_bytes: Option<i64>,
    oom_kills: Option<i64>,
    peak_disk_bytes: Option<i64>,
    image: Option<String>,
    container: Option<String>,
    node: Option<String>,
    warm: bool,
    preloaded: Option<bool>,
    preload_reason: Option<String>,
    attempt: i32,
    started_at: Option<DateTime<Utc>>,
    completed_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl ExecutionRow {
    pub(super) fn parse(self) -> Result<ExecutionSummary, StoreError> {
        let row = Row { table: "executions", id: &self.id };
        let time = |column, value| row.time(column, value).map(|time| time.map(milliseconds));
        // A newer server may have written a word that this one lacks; the nearest known one
        // stands in.
        let exact = self.exact_error_kind.as_deref().and_then(ErrorKind::from_name);
        let error_kind = match (exact, &self.error_kind) {
            (None, Some(word)) => {
                let kind = ErrorKind::from_name(word);
                Some(kind.ok_or_else(|| row.impossible("error_kind"))?)
            }
            (exact, _) => exact,
        };
        Ok(ExecutionSummary {
            script_id: Some(self.script_id),
            version: Some(self.number),
            status: row.word("status", &self.status)?,
            error_kind,
            stdout_bytes: row.count("stdout_bytes", self.stdout_bytes)?,
            stderr_bytes: row.count("stderr_bytes", self.stderr_bytes)?,
            duration_ms: time("duration_us", self.duration_us)?,
            queue_ms: time("queue_us", self.queue_us)?,
            overhead_ms: time("overhead_us", self.overhead_us)?,
            usage: self.usage(row)?,
            attempt: row.count("attempt", self.attempt.into())?,
            sandbox: self.image.zip(self.container).map(|(image, container_id)| SandboxReceipt {
                image,
                container_id,
                node: self.node,
                warm: self.warm,
                preloaded: self.preloaded,
                preload_reason: self.preload_reason,
                confinement: None,
            }),
            id: self.id,
            script_name: self.name,
            digest: self.code_digest,
            job_id: self.job_id,
            triggered_by: Some(self.triggered_by),
            error_message: self.error_message,
            priority: self.priority,
            stdout_truncated: self.stdout_truncated,
            stderr_truncated: self.stderr_truncated,
            exit_code: self.exit_code,
            signal: self.signal,
            started_at: self.started_at,
            completed_at: self.completed_at,
            created_at: self.created_at,
            updated_at: self.updated_at,
        })
    }

    fn usage(&self, row: Row<'_>) -> Result<Option<Usage>, StoreError> {
        let Some(cpu) = row.time("cpu_us", self.cpu_us)? else { return Ok(None) };
        Ok(Some(Usage {
            cpu_ms: milliseconds(cpu),
            peak_memory_bytes: row
                .count("peak_memory_bytes", self.peak_memory_bytes.unwrap_or_default())?,
            oom_kills: row.count("oom_kills", self.oom_kills.unwrap_or_default())?,
            peak_disk_bytes: self
                .peak_disk_bytes
                .map(|bytes| row.count("peak_disk_bytes", bytes))
                .transpose()?,
        }))
    }
}

/// Adds a filter's conditions to a query.
macro_rules! narrow {
    ($query:ident, $filter:expr) => {{
        let filter: &ExecutionFilter = $filter;
        if let Some(script_id) = filter.script_id {
            $query.push(" AND e.script_id = ").push_bind(script_id);
        }
        if let Some(job_id) = &filter.job_id {
            $query
                .push(" AND e.job_id = ")
                .push_bind($crate::store::rows::without_nul(job_id).into_owned());
        }
        if let Some(status) = filter.status {
            $query.push(" AND e.status = ").push_bind(status.name());
        }
        if let Some(scope) = &filter.scope {
            among!($query, " AND e.script_id", scope);
        }
        if let Some(name) = &filter.triggered_by {
            $query
                .push(" AND e.triggered_by = ")
                .push_bind($crate::store::rows::without_nul(name).into_owned());
        }
        let earlier = filter.until.map(first_id_at);
        for id in filter.before.into_iter().chain(earlier) {
            $query.push(" AND e.id < ").push_bind(id);
        }
        if let Some(since) = filter.since {
            $query.push(" AND e.id >= ").push_bind(first_id_at(since));
        }
    }};
}

/// Selects the page from an index alone; details are read only for its rows.
const PAGE: &str = select_execution!("", " WHERE executions.id IN (");

/// Most scripts of a scope that are read one by one; SQLite allows 500 `SELECT`s in one
/// statement (sqlite.org, "Limits").
pub(super) const MAX_SCRIPTS_ONE_BY_ONE: usize = 200;

/// Scripts whose newest executions together make up the page. `None` if there is no scope,
/// or if an index finds fewer executions than the scripts have.
fn among_scripts(filter: &ExecutionFilter) -> Option<BTreeSet<i64>> {
    let scope = filter.scope.as_ref()?;
    let is_narrow = filter.script_id.is_some() || filter.is_by_more_than_script();
    let is_countable = (1..=MAX_SCRIPTS_ONE_BY_ONE).contains(&scope.len());
    (is_countable && !is_narrow).then(|| scope.iter().copied().collect())
}

/// Adds the newest executions of each script to a query. With `script_id IN (…)` the
/// database would sort them all, because no index orders several scripts' executions by id.
macro_rules! newest_of_each {
    ($query:ident, $scripts:expr, $status:expr, $limit:expr) => {{
        let mut before = "";
        for script_id in $scripts {
            $query.push(before);
            $query.push("SELECT id FROM (SELECT e.id FROM executions e WHERE e.script_id = ");
            $query.push_bind(script_id);
            if let Some(status) = $status {
                $query.push(" AND e.status = ").push_bind(status.name());
            }
            $query.push(" ORDER BY e.id DESC LIMIT ").push_bind($limit).push(") AS newest");
            before = " UNION ALL ";
        }
    }};
}
pub(super) use newest_of_each;

impl Store {
    /// Executions, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn executions(
        &self,
        filter: &ExecutionFilter,
        page: Page,
    ) -> Result<Vec<ExecutionSummary>, StoreError> {
        let rows: Vec<ExecutionRow> = on_reader!(self, pool => {
            let mut query = QueryBuilder::new(PAGE);
            match among_scripts(filter) {
                Some(scripts) => {
                    let furthest = number(page.offset.saturating_add(page.limit.into()));
                    newest_of_each!(query, scripts, filter.status, furthest);
                    query.push(" ORDER BY id DESC");
                }
                None => {
                    query.push("SELECT e.id FROM executions e WHERE 1 = 1");
                    narrow!(query, filter);
                    query.push(" ORDER BY e.id DESC");
                }
            }
            query.push(" LIMIT ").push_bind(i64::from(page.limit));
            query.push(" OFFSET ").push_bind(number(page.offset));
            query.push(") ORDER BY executions.id DESC");
            query.build_query_as().fetch_all(pool).await?
        });
        rows.into_iter().map(ExecutionRow::parse).collect()
    }

    /// Number of executions. Uses the stored counts per script and state if the filter goes
    /// no further.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn count_executions(&self, filter: &ExecutionFilter) -> Result<i64, StoreError> {
        let counted = match filter.is_by_more_than_script() {
            true => "SELECT count(*) FROM executions e WHERE 1 = 1",
            false => {
                "SELECT CAST(COALESCE(sum(e.count), 0) AS BIGINT) FROM execution_counts e \
                 WHERE 1 = 1"
            }
        };
        Ok(on_reader!(self, pool => {
            let mut query = QueryBuilder::new(counted);
            narrow!(query, filter);
            query.build_query_scalar().fetch_one(pool).await?
        }))
    }
}
