//! Versions of scripts, which never change.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use sqlx::FromRow;

use super::connection::on_reader;
use super::rows::Row;
use super::{NewEnvironment, Store, StoreError};
use crate::domain::bundle::Manifest;
use crate::domain::registry::{Definition, ScriptVersion};

/// Version to store.
#[derive(Debug, Clone)]
pub struct NewVersion {
    /// Definition that is run.
    pub definition: Definition,
    /// Bytes of the script, which have the definition's digest.
    pub code: Vec<u8>,
    /// Files of the bundle, which have the definition's digest, if it is one.
    pub bundle: Option<Arc<Manifest>>,
    /// Environment that it needs, if any.
    pub environment: Option<NewEnvironment>,
}

macro_rules! select_version {
    ($rest:literal) => {
        concat!(
            "SELECT id AS version_id, number, CAST(definition AS TEXT) AS definition, \
             environment_key, created_by AS version_created_by, \
             created_at AS version_created_at FROM script_versions ",
            $rest
        )
    };
}

#[derive(FromRow)]
pub(super) struct VersionRow {
    pub(super) version_id: i64,
    number: i64,
    definition: String,
    environment_key: Option<String>,
    version_created_by: String,
    version_created_at: DateTime<Utc>,
}

impl VersionRow {
    pub(super) fn parse(self) -> Result<ScriptVersion, StoreError> {
        let row = Row { table: "script_versions", id: &self.version_id };
        Ok(ScriptVersion {
            definition: row.json("definition", &self.definition)?,
            id: self.version_id,
            number: self.number,
            environment_key: self.environment_key,
            created_by: self.version_created_by,
            created_at: self.version_created_at,
        })
    }
}

impl Store {
    /// Versions of a script from `offset` on, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn versions(
        &self,
        script_id: i64,
        limit: u32,
        offset: u64,
    ) -> Result<Vec<ScriptVersion>, StoreError> {
        const SELECT: &str =
            select_version!("WHERE script_id = $1 ORDER BY number DESC LIMIT $2 OFFSET $3");
        let rows: Vec<VersionRow> = on_reader!(self, pool => sqlx::query_as(SELECT)
            .bind(script_id)
            .bind(i64::from(limit))
            .bind(super::rows::number(offset))
            .fetch_all(pool)
            .await)?;
        rows.into_iter().map(VersionRow::parse).collect()
    }

    /// Number of a script's versions.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn count_versions(&self, script_id: i64) -> Result<i64, StoreError> {
        const COUNT: &str = "SELECT count(*) FROM script_versions WHERE script_id = $1";
        Ok(on_reader!(self, pool =>
            sqlx::query_scalar(COUNT).bind(script_id).fetch_one(pool).await)?)
    }

    /// Version of a script, by number.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn version(
        &self,
        script_id: i64,
        number: i64,
    ) -> Result<Option<ScriptVersion>, StoreError> {
        const SELECT: &str = select_version!("WHERE script_id = $1 AND number = $2");
        let row: Option<VersionRow> = on_reader!(self, pool => sqlx::query_as(SELECT)
            .bind(script_id)
            .bind(number)
            .fetch_optional(pool)
            .await)?;
        row.map(VersionRow::parse).transpose()
    }
}
