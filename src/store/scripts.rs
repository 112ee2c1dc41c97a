//! Registers, changes and finds scripts.

use chrono::{DateTime, Utc};
use sqlx::types::Json;
use sqlx::{FromRow, QueryBuilder};

use super::activation::{Activation, activate};
use super::audit::note;
use super::bundles::INSERT_BUNDLE;
use super::code::INSERT_CODE;
use super::connection::{in_transaction, on_reader};
use super::environments::INSERT_ENVIRONMENT;
use super::rows::{number, without_nul};
use super::script_columns::{
    ScriptFilter, ScriptRow, bind_fields, containing, field_columns, field_values, narrow,
    searched, select_script,
};
use super::{NewAuditEntry, NewVersion, Store, StoreError};
use crate::domain::registry::{RegisteredScript, ScriptFields};
use crate::domain::script_type::python::PythonVersion;

/// Script to register.
#[derive(Debug, Clone)]
pub struct NewScript {
    /// Fields that belong to no version.
    pub fields: ScriptFields,
    /// First version.
    pub version: NewVersion,
    /// Name of the token that registers it.
    pub created_by: String,
    /// Time of registration.
    pub created_at: DateTime<Utc>,
}

/// New state of a script.
#[derive(Debug, Clone)]
pub struct ScriptChange {
    /// Script id.
    pub id: i64,
    /// Time of the last change that the caller has seen; a later change by someone else is
    /// not overwritten.
    pub seen_at: DateTime<Utc>,
    /// New fields that belong to no version.
    pub fields: ScriptFields,
    /// Change of the current version.
    pub version: VersionChange,
    /// Time at which another version becomes current.
    pub activation: Activation,
    /// Name of the token that makes the change.
    pub changed_by: String,
    /// Time of the change.
    pub changed_at: DateTime<Utc>,
}

/// Change of a script's current version.
#[derive(Debug, Clone)]
pub enum VersionChange {
    /// Keeps the current version.
    Keep,
    /// Selects an existing version, by number.
    Activate(i64),
    /// Defines a version, or selects the existing one with the same content.
    Define(Box<NewVersion>),
}

/// Stamp that changes with most changes of scripts; comparing two is cheaper than reading
/// all scripts.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct ScriptsStamp {
    count: i64,
    newest: Option<String>,
}

/// Stores code, environment and version; evaluates to the version's number.
macro_rules! define {
    ($script_id:expr, $version:expr, $by:expr, $at:expr, $connection:expr) => {{
        let version: &NewVersion = $version;
        let digest = &version.definition.digest;
        sqlx::query(INSERT_CODE)
            .bind(digest)
            .bind(&version.code)
            .bind($at)
            .execute(&mut *$connection)
            .await?;
        if let Some(bundle) = &version.bundle {
            sqlx::query(INSERT_BUNDLE)
                .bind(bundle.digest().to_string())
                .bind(bundle.to_string())
                .bind($at)
                .execute(&mut *$connection)
                .await?;
        }
        if let Some(environment) = &version.environment {
            sqlx::query(INSERT_ENVIRONMENT)
                .bind(&environment.key)
                .bind(environment.script_type.name())
                .bind(Json(&environment.system_packages))
                .bind(&environment.requirements)
                .bind(&environment.requirements_hash)
                .bind(environment.python.map(PythonVersion::name))
                .bind(environment.sources)
                .bind(environment.warm_up.as_ref().map(Json))
                .bind(environment.bundle.map(|it| it.to_string()))
                .bind($at)
                .execute(&mut *$connection)
                .await?;
        }
        let content = version.definition.content_digest();
        sqlx::query(INSERT_VERSION)
            .bind($script_id)
            .bind(&content)
            .bind(digest)
            .bind(version.definition.script_type.name())
            .bind(Json(&version.definition))
            .bind(version.environment.as_ref().map(|it| &it.key))
            .bind($by)
            .bind($at)
            .execute(&mut *$connection)
            .await?;
        let number: i64 = sqlx::query_scalar(FIND_VERSION)
            .bind($script_id)
            .bind(&content)
            .fetch_one(&mut *$connection)
            .await?;
        number
    }};
}

const INSERT_VERSION: &str = "INSERT INTO script_versions \
     (script_id, number, content_digest, code_digest, script_type, definition, \
      environment_key, created_by, created_at) \
     SELECT $1, COALESCE(MAX(number), 0) + 1, $2, $3, $4, $5, $6, $7, $8 \
     FROM script_versions WHERE script_id = $1 \
     ON CONFLICT (script_id, content_digest) DO NOTHING";

const FIND_VERSION: &str =
    "SELECT number FROM script_versions WHERE script_id = $1 AND content_digest = $2";

impl Store {
    /// Registers a script with its first version. Returns its id.
    ///
    /// # Errors
    /// [`StoreError::NameConflict`] if another script has the name, and others.
    pub async fn insert_script(
        &self,
        script: &NewScript,
        audit: &NewAuditEntry,
    ) -> Result<i64, StoreError> {
        const INSERT: &str = concat!(
            "INSERT INTO scripts (current_version, created_by, created_at, updated_at, ",
            field_columns!(),
            ") VALUES (1, $1, $2, $3, ",
            field_values!(),
            ") RETURNING id"
        );
        let id = in_transaction!(self, tx => {
            let insert = sqlx::query_scalar(INSERT)
                .bind(&script.created_by)
                .bind(script.created_at)
                .bind(script.created_at);
            let id: i64 = bind_fields!(insert, &script.fields).fetch_one(&mut *tx).await?;
            define!(id, &script.version, &script.created_by, script.created_at, tx);
            note!(audit, &mut *tx);
            id
        });
        Ok(id)
    }

    /// Changes a script. Returns false without any change if the script is missing, was
    /// changed since it was seen, or has no such version.
    ///
    /// # Errors
    /// [`StoreError::NameConflict`] if another script has the name, and others.
    pub async fn change_script(
        &self,
        change: &ScriptChange,
        audit: &NewAuditEntry,
    ) -> Result<bool, StoreError> {
        const UPDATE: &str = concat!(
            "UPDATE scripts SET updated_at = $3, (",
            field_columns!(),
            ") = (",
            field_values!(),
            ") WHERE id = $1 AND updated_at = $2"
        );
        let is_changed = in_transaction!(self, tx => {
            // This update locks the row: no other transaction defines a version of this
            // script until the end.
            let update =
                sqlx::query(UPDATE).bind(change.id).bind(change.seen_at).bind(change.changed_at);
            let updated = bind_fields!(update, &change.fields).execute(&mut *tx).await?;
            if updated.rows_affected() != 1 {
                return Ok(false);
            }
            let current: Option<i64> = match &change.version {
                VersionChange::Keep => None,
                VersionChange::Activate(number) => Some(*number),
                VersionChange::Define(version) => {
                    Some(define!(change.id, version, &change.changed_by, change.changed_at, tx))
                }
            };
            if let Some(number) = current {
                let activated = sqlx::query(activate(change.activation))
                    .bind(change.id)
                    .bind(number)
                    .execute(&mut *tx)
                    .await?;
                if activated.rows_affected() != 1 {
                    // The transaction rolls back the whole change.
                    return Ok(false);
                }
            }
            note!(audit, &mut *tx);
            true
        });
        Ok(is_changed)
    }

    /// Script with this id.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn script(&self, id: i64) -> Result<Option<RegisteredScript>, StoreError> {
        const SELECT: &str = select_script!(" WHERE s.id = $1");
        let row: Option<ScriptRow> =
            on_reader!(self, pool => sqlx::query_as(SELECT).bind(id).fetch_optional(pool).await)?;
        row.map(ScriptRow::parse).transpose()
    }

    /// Script with this name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn script_named(&self, name: &str) -> Result<Option<RegisteredScript>, StoreError> {
        const SELECT: &str = select_script!(" WHERE s.name = $1");
        let row: Option<ScriptRow> = on_reader!(self, pool =>
            sqlx::query_as(SELECT).bind(without_nul(name)).fetch_optional(pool).await)?;
        row.map(ScriptRow::parse).transpose()
    }

    /// Scripts from `offset` on, ordered by name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn scripts(
        &self,
        filter: &ScriptFilter,
        limit: u32,
        offset: u64,
    ) -> Result<Vec<RegisteredScript>, StoreError> {
        let rows: Vec<ScriptRow> = on_reader!(self, pool => {
            let mut query = QueryBuilder::new(select_script!(" WHERE 1 = 1"));
            narrow!(query, filter);
            query.push(" ORDER BY s.name LIMIT ").push_bind(i64::from(limit));
            query.push(" OFFSET ").push_bind(number(offset));
            query.build_query_as().fetch_all(pool).await?
        });
        rows.into_iter().map(ScriptRow::parse).collect()
    }

    /// Stamp to compare with an earlier one to detect changed scripts.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn scripts_stamp(&self) -> Result<ScriptsStamp, StoreError> {
        const SELECT: &str = "SELECT count(*) AS count, \
             max(CAST(updated_at AS TEXT)) AS newest FROM scripts";
        Ok(on_reader!(self, pool => sqlx::query_as(SELECT).fetch_one(pool).await)?)
    }

    /// Number of scripts.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn count_scripts(&self, filter: &ScriptFilter) -> Result<i64, StoreError> {
        Ok(on_reader!(self, pool => {
            let mut query = QueryBuilder::new(
                "SELECT count(*) FROM scripts s JOIN script_versions v \
                 ON v.script_id = s.id AND v.number = s.current_version WHERE 1 = 1",
            );
            narrow!(query, filter);
            query.build_query_scalar().fetch_one(pool).await?
        }))
    }
}
