//! Reads one execution, with its input and its output.

use serde_json::value::RawValue;
use sqlx::FromRow;
use uuid::Uuid;

use super::connection::on_reader;
use super::listing::{ExecutionRow, Page, select_execution};
use super::rows::Row;
use super::{Store, StoreError};
use crate::domain::confinement::SealedConfinement;
use crate::domain::execution::{
    Artifact, Execution, ExecutionSnapshot, ExecutionSummary, MAX_LISTED_FILES, log_text,
};
use crate::domain::output_log::OutputLog;

#[derive(FromRow)]
struct WholeRow {
    #[sqlx(flatten)]
    execution: ExecutionRow,
    frozen: String,
    input: String,
    output: Option<String>,
    #[sqlx(flatten)]
    log: LogRow,
    confinement: Option<String>,
}

#[derive(FromRow)]
struct LogRow {
    stdout: Option<Vec<u8>>,
    stderr: Option<Vec<u8>>,
    log_order: Option<Vec<u8>>,
}

impl LogRow {
    fn parse(self) -> OutputLog {
        let (stdout, stderr) = (self.stdout.unwrap_or_default(), self.stderr.unwrap_or_default());
        OutputLog::from_parts(stdout, stderr, &self.log_order.unwrap_or_default())
    }
}

impl Store {
    /// Execution without its input and output.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn execution_summary(
        &self,
        id: Uuid,
    ) -> Result<Option<ExecutionSummary>, StoreError> {
        const SELECT: &str = select_execution!("", " WHERE executions.id = $1");
        let row: Option<ExecutionRow> =
            on_reader!(self, pool => sqlx::query_as(SELECT).bind(id).fetch_optional(pool).await)?;
        row.map(ExecutionRow::parse).transpose()
    }

    /// Execution with its input and output.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn execution(&self, id: Uuid) -> Result<Option<Execution>, StoreError> {
        let Some((mut execution, log)) = self.execution_and_log(id).await? else { return Ok(None) };
        let ExecutionSummary { stdout_bytes, stderr_bytes, .. } = execution.summary;
        (execution.stdout_log, execution.stderr_log) = log_text(&log, stdout_bytes, stderr_bytes);
        Ok(Some(execution))
    }

    /// Execution and its output log. The texts of both streams in the execution are empty.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn execution_and_log(
        &self,
        id: Uuid,
    ) -> Result<Option<(Execution, OutputLog)>, StoreError> {
        // A single query sees the execution either before or after its end.
        const SELECT: &str = select_execution!(
            ", CAST(p.frozen AS TEXT) AS frozen, p.input, p.output, p.stdout, p.stderr, p.log_order, \
             r.receipt AS confinement",
            " JOIN execution_payloads p ON p.execution_id = executions.id \
             LEFT JOIN sandbox_receipts r ON r.digest = executions.receipt \
             WHERE executions.id = $1"
        );
        let row: Option<WholeRow> =
            on_reader!(self, pool => sqlx::query_as(SELECT).bind(id).fetch_optional(pool).await)?;
        let Some(payload) = row else { return Ok(None) };
        let mut summary = payload.execution.parse()?;
        if let Some((sandbox, text)) = summary.sandbox.as_mut().zip(payload.confinement) {
            let row = Row { table: "sandbox_receipts", id: &id };
            let sealed = SealedConfinement::new(row.json("receipt", &text)?);
            sandbox.confinement = Some(sealed.map_err(|_| row.impossible("receipt"))?);
        }
        let (artifacts, artifact_count) = match summary.status.has_ended() {
            true => self.first_artifacts(id).await?,
            false => (Vec::new(), 0),
        };
        let row = Row { table: "execution_payloads", id: &id };
        let json =
            |column, text: String| RawValue::from_string(text).map_err(|_| row.impossible(column));
        let input_data = Some(json("input", payload.input)?);
        let output_data = payload.output.map(|text| json("output", text)).transpose()?;
        let log = payload.log.parse();
        let snapshot: ExecutionSnapshot = row.json("frozen", &payload.frozen)?;
        let (stdout_log, stderr_log) = (String::new(), String::new());
        let mut files = snapshot.files.inputs;
        let file_count = files.len() as u64;
        files.truncate(MAX_LISTED_FILES);
        let execution = Execution {
            stdout_log,
            stderr_log,
            summary,
            input_data,
            output_data,
            files,
            file_count,
            artifacts,
            artifact_count,
        };
        Ok(Some((execution, log)))
    }

    /// The artifacts that an execution lists, and the number of all.
    async fn first_artifacts(&self, id: Uuid) -> Result<(Vec<Artifact>, u64), StoreError> {
        const FIRST: Page = Page { limit: MAX_LISTED_FILES as u32, offset: 0 };
        let first = self.artifacts_page(id, FIRST).await?;
        let count = match first.len() < MAX_LISTED_FILES {
            true => first.len() as u64,
            false => self.artifact_count(id).await?,
        };
        Ok((first, count))
    }

    /// Output log of an execution that has ended.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn log(&self, id: Uuid) -> Result<Option<OutputLog>, StoreError> {
        const SELECT: &str =
            "SELECT stdout, stderr, log_order FROM execution_payloads WHERE execution_id = $1";
        let row: Option<LogRow> =
            on_reader!(self, pool => sqlx::query_as(SELECT).bind(id).fetch_optional(pool).await)?;
        Ok(row.map(LogRow::parse))
    }

    /// Settings that were fixed when the execution was accepted.
    ///
    /// # Errors
    /// [`StoreError`], including [`StoreError::Impossible`] for a stored value that does
    /// not parse.
    pub async fn execution_snapshot(
        &self,
        id: Uuid,
    ) -> Result<Option<ExecutionSnapshot>, StoreError> {
        const SELECT: &str = "SELECT CAST(frozen AS TEXT) FROM execution_payloads \
             WHERE execution_id = $1";
        let text: Option<String> = on_reader!(self, pool =>
            sqlx::query_scalar(SELECT).bind(id).fetch_optional(pool).await)?;
        let row = Row { table: "execution_payloads", id: &id };
        text.map(|text| row.json("frozen", &text)).transpose()
    }
}
