//! Versions of scripts: written once, never changed.

use chrono::{DateTime, Utc};
use sqlx::FromRow;

use super::connection::on_reader;
use super::rows::Row;
use super::{NewEnvironment, Store, StoreError};
use crate::domain::registry::{Definition, ScriptVersion};

/// A version that is to be made.
#[derive(Debug, Clone)]
pub struct NewVersion {
    /// What is run.
    pub definition: Definition,
    /// The script's bytes, which have the definition's digest.
    pub code: Vec<u8>,
    /// The environment that it needs, if any.
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
    /// The versions of a script, the newest first, from `offset` on.
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

    /// How many versions a script has.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn count_versions(&self, script_id: i64) -> Result<i64, StoreError> {
        const COUNT: &str = "SELECT count(*) FROM script_versions WHERE script_id = $1";
        Ok(on_reader!(self, pool =>
            sqlx::query_scalar(COUNT).bind(script_id).fetch_one(pool).await)?)
    }

    /// One version of a script, by its number.
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
