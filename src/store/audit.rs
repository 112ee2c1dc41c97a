//! Audit log: actor, action and time of each change, written in the change's own
//! transaction.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::FromRow;
use sqlx::types::Json;

use super::connection::{on_reader, on_writer};
use super::rows::{Row, storable_json, without_nul};
use super::{Store, StoreError};

/// Audit entry to write.
#[derive(Debug, Clone)]
pub struct NewAuditEntry {
    /// Time of the change.
    pub at: DateTime<Utc>,
    /// Name of the token that made the change.
    pub actor: String,
    /// Action, such as `script.update`.
    pub action: &'static str,
    /// Subject, such as `script:weather`.
    pub subject: String,
    /// State before the change, without secrets. Reading it back loses NUL characters and
    /// puts numbers into their canonical form.
    pub before: Option<Value>,
    /// State after the change, under the same rules.
    pub after: Option<Value>,
}

/// Audit entry as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEntry {
    /// Id; later entries have greater ones.
    pub id: i64,
    /// Time of the change.
    pub at: DateTime<Utc>,
    /// Name of the token that made the change.
    pub actor: String,
    /// Action.
    pub action: String,
    /// Subject.
    pub subject: String,
    /// State before the change.
    pub before: Option<Value>,
    /// State after the change.
    pub after: Option<Value>,
}

macro_rules! select_audit {
    ($rest:literal) => {
        concat!(
            "SELECT id, at, actor, action, subject, CAST(before AS TEXT) AS before, \
             CAST(after AS TEXT) AS after FROM audit_log ",
            $rest
        )
    };
}

#[derive(FromRow)]
struct AuditRow {
    id: i64,
    at: DateTime<Utc>,
    actor: String,
    action: String,
    subject: String,
    before: Option<String>,
    after: Option<String>,
}

impl AuditRow {
    fn parse(self) -> Result<AuditEntry, StoreError> {
        let row = Row { table: "audit_log", id: &self.id };
        Ok(AuditEntry {
            before: self.before.map(|text| row.json("before", &text)).transpose()?,
            after: self.after.map(|text| row.json("after", &text)).transpose()?,
            id: self.id,
            at: self.at,
            actor: self.actor,
            action: self.action,
            subject: self.subject,
        })
    }
}

/// Converts a value to the form that is stored.
pub(super) fn kept(value: &Value) -> Json<Value> {
    Json(storable_json(value))
}

pub(super) const INSERT_AUDIT: &str = "INSERT INTO audit_log \
     (at, actor, action, subject, before, after) VALUES ($1, $2, $3, $4, $5, $6)";

/// Writes an entry through a connection of either database.
macro_rules! note {
    ($entry:expr, $connection:expr) => {{
        let entry: &$crate::store::NewAuditEntry = $entry;
        sqlx::query($crate::store::audit::INSERT_AUDIT)
            .bind(entry.at)
            .bind($crate::store::rows::without_nul(&entry.actor))
            .bind(entry.action)
            .bind($crate::store::rows::without_nul(&entry.subject))
            .bind(entry.before.as_ref().map($crate::store::audit::kept))
            .bind(entry.after.as_ref().map($crate::store::audit::kept))
            .execute($connection)
            .await?
    }};
}
pub(super) use note;

impl Store {
    /// Writes an entry that belongs to no other transaction.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn note(&self, entry: &NewAuditEntry) -> Result<(), StoreError> {
        on_writer!(self, pool => {
            note!(entry, pool);
        });
        Ok(())
    }

    /// Audit entries of one subject or of all, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn audit(
        &self,
        subject: Option<&str>,
        limit: u32,
        offset: u64,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        const OF_ALL: &str = select_audit!("ORDER BY id DESC LIMIT $1 OFFSET $2");
        const OF_ONE: &str =
            select_audit!("WHERE subject = $3 ORDER BY id DESC LIMIT $1 OFFSET $2");
        let (limit, offset) = (i64::from(limit), super::rows::number(offset));
        let rows: Vec<AuditRow> = match subject {
            None => on_reader!(self, pool =>
                sqlx::query_as(OF_ALL).bind(limit).bind(offset).fetch_all(pool).await)?,
            Some(subject) => on_reader!(self, pool => sqlx::query_as(OF_ONE)
                .bind(limit)
                .bind(offset)
                .bind(without_nul(subject))
                .fetch_all(pool)
                .await)?,
        };
        rows.into_iter().map(AuditRow::parse).collect()
    }

    /// Number of audit entries of one subject or of all.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn count_audit(&self, subject: Option<&str>) -> Result<i64, StoreError> {
        const OF_ALL: &str = "SELECT count(*) FROM audit_log";
        const OF_ONE: &str = "SELECT count(*) FROM audit_log WHERE subject = $1";
        Ok(match subject {
            None => on_reader!(self, pool => sqlx::query_scalar(OF_ALL).fetch_one(pool).await)?,
            Some(subject) => on_reader!(self, pool =>
                sqlx::query_scalar(OF_ONE).bind(without_nul(subject)).fetch_one(pool).await)?,
        })
    }
}
