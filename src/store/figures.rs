//! Figures over many executions. Every query is bounded, by an index alone or by the number
//! of its rows.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sqlx::{FromRow, QueryBuilder};
use uuid::Uuid;

use super::connection::on_reader;
use super::rows::Row;
use super::{Store, StoreError};
use crate::domain::execution::{State, first_id_at};
use crate::domain::outcome::Status;
use crate::store::listing::{MAX_SCRIPTS_ONE_BY_ONE, among, newest_of_each};

/// Final states, in the order of [`Counts`].
const ENDS: [Status; 4] = [Status::Completed, Status::Failed, Status::Timeout, Status::Cancelled];

/// Most `SELECT`s combined in one statement; SQLite allows 500 (sqlite.org, "Limits").
const MAX_SELECTS: usize = 400;

/// Number of executions per final state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Completed.
    pub completed: u64,
    /// Failed.
    pub failed: u64,
    /// Timed out.
    pub timeout: u64,
    /// Cancelled.
    pub cancelled: u64,
}

impl Counts {
    /// Sum over all final states.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.completed + self.failed + self.timeout + self.cancelled
    }

    fn of(&mut self, status: Status) -> &mut u64 {
        match status {
            Status::Completed => &mut self.completed,
            Status::Failed => &mut self.failed,
            Status::Timeout => &mut self.timeout,
            Status::Cancelled => &mut self.cancelled,
        }
    }
}

/// Short record of one execution.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Execution id.
    pub id: Uuid,
    /// Script id.
    pub script_id: i64,
    /// State of the execution.
    pub status: State,
    /// Run time of the script, in microseconds.
    pub duration_us: Option<u64>,
    /// Time at which the execution was accepted.
    pub created_at: DateTime<Utc>,
}

#[derive(FromRow)]
struct RunRow {
    id: Uuid,
    script_id: i64,
    status: String,
    duration_us: Option<i64>,
    created_at: DateTime<Utc>,
}

impl RunRow {
    fn parse(self) -> Result<Run, StoreError> {
        let row = Row { table: "executions", id: &self.id };
        let duration = self.duration_us.map(|it| row.count("duration_us", it)).transpose()?;
        Ok(Run {
            id: self.id,
            script_id: self.script_id,
            status: row.word("status", &self.status)?,
            duration_us: duration,
            created_at: self.created_at,
        })
    }
}

impl Store {
    /// Counts per interval between consecutive `times`, by the time at which executions
    /// were accepted.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn counts_between(&self, times: &[DateTime<Utc>]) -> Result<Vec<Counts>, StoreError> {
        let mut counts = vec![Counts::default(); times.len().saturating_sub(1)];
        let spans: Vec<_> = times.windows(2).map(|it| (it[0], it[1])).collect();
        let wanted: Vec<_> = spans
            .iter()
            .enumerate()
            .flat_map(|(span, (from, to))| {
                ENDS.into_iter()
                    .map(move |status| (span, status, first_id_at(*from), first_id_at(*to)))
            })
            .collect();
        for part in wanted.chunks(MAX_SELECTS) {
            let found: Vec<i64> = on_reader!(self, pool => {
                let mut query = QueryBuilder::new("");
                let mut before = "";
                for (place, (_, status, from, to)) in part.iter().enumerate() {
                    query.push(before).push("SELECT CAST(");
                    query.push(place.to_string());
                    query.push(" AS BIGINT) AS place, count(*) AS count FROM executions WHERE status = ");
                    query.push_bind(status.name()).push(" AND id >= ").push_bind(*from);
                    query.push(" AND id < ").push_bind(*to);
                    before = " UNION ALL ";
                }
                query.push(" ORDER BY place");
                let rows: Vec<(i64, i64)> = match part.is_empty() {
                    true => Vec::new(),
                    false => query.build_query_as().fetch_all(pool).await?,
                };
                rows.into_iter().map(|(_, count)| count).collect()
            });
            for ((span, status, ..), count) in part.iter().zip(found) {
                *counts[*span].of(*status) = count.unsigned_abs();
            }
        }
        Ok(counts)
    }

    /// Newest executions of each of these scripts, at most `most` of each, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn newest_runs_of(
        &self,
        scripts: &[i64],
        most: u32,
    ) -> Result<HashMap<i64, Vec<Run>>, StoreError> {
        const SELECT: &str = "SELECT id, script_id, status, duration_us, created_at \
             FROM executions WHERE id IN (";
        let mut of_script: HashMap<i64, Vec<Run>> = HashMap::new();
        for scripts in scripts.chunks(MAX_SCRIPTS_ONE_BY_ONE) {
            let rows: Vec<RunRow> = on_reader!(self, pool => {
                let mut query = QueryBuilder::new(SELECT);
                newest_of_each!(query, scripts.iter().copied(), None::<State>, i64::from(most));
                query.push(") ORDER BY id DESC");
                query.build_query_as().fetch_all(pool).await?
            });
            for row in rows {
                let run = row.parse()?;
                of_script.entry(run.script_id).or_default().push(run);
            }
        }
        Ok(of_script)
    }

    /// Newest executions of all scripts, at most `most`, accepted at `since` or later;
    /// newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn newest_runs(
        &self,
        since: DateTime<Utc>,
        most: u32,
    ) -> Result<Vec<Run>, StoreError> {
        const SELECT: &str = "SELECT id, script_id, status, duration_us, created_at \
             FROM executions WHERE id >= $1 ORDER BY id DESC LIMIT $2";
        let rows: Vec<RunRow> = on_reader!(self, pool => sqlx::query_as(SELECT)
            .bind(first_id_at(since))
            .bind(i64::from(most))
            .fetch_all(pool)
            .await)?;
        rows.into_iter().map(RunRow::parse).collect()
    }

    /// Names of the scripts whose current or waiting version needs this environment, at
    /// most fifty.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn scripts_of_environment(&self, key: &str) -> Result<Vec<String>, StoreError> {
        const SELECT: &str = "SELECT DISTINCT s.name FROM script_versions v JOIN scripts s \
             ON s.id = v.script_id AND v.number IN (s.current_version, s.pending_version) \
             WHERE v.environment_key = $1 ORDER BY s.name LIMIT 50";
        Ok(on_reader!(self, pool =>
            sqlx::query_scalar(SELECT).bind(key).fetch_all(pool).await)?)
    }

    /// Names of scripts, by id.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn script_names(&self, ids: &[i64]) -> Result<HashMap<i64, String>, StoreError> {
        let rows: Vec<(i64, String)> = on_reader!(self, pool => {
            let mut query = QueryBuilder::new("SELECT s.id, s.name FROM scripts s WHERE ");
            among!(query, "s.id", ids);
            query.build_query_as().fetch_all(pool).await?
        });
        Ok(rows.into_iter().collect())
    }
}
