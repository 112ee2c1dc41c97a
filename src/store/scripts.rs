//! Registers, changes and finds scripts.

use chrono::{DateTime, Utc};
use sqlx::types::Json;
use sqlx::{FromRow, QueryBuilder};

use super::activation::{Activation, activate};
use super::audit::note;
use super::code::INSERT_CODE;
use super::connection::{in_transaction, on_reader};
use super::environments::INSERT_ENVIRONMENT;
use super::rows::{Row, number, without_nul};
use super::versions::VersionRow;
use super::{NewAuditEntry, NewVersion, Store, StoreError};
use crate::domain::limits::{Limits, Timeout};
use crate::domain::python::PythonVersion;
use crate::domain::registry::{MAX_WARM, RegisteredScript, RunSettings, ScriptName};
use crate::domain::runtime::Runtime;

/// Script to register.
#[derive(Debug, Clone)]
pub struct NewScript {
    /// Unique name.
    pub name: ScriptName,
    /// Description for people.
    pub description: String,
    /// File on the server that the script was read from.
    pub file_path: Option<String>,
    /// File on the server that its requirements were read from.
    pub requirements_path: Option<String>,
    /// Limits, timeout, concurrency and warm sandboxes.
    pub run_settings: RunSettings,
    /// True if it can be invoked.
    pub is_enabled: bool,
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
    /// Unique name.
    pub name: ScriptName,
    /// Description for people.
    pub description: String,
    /// File on the server that the script was read from.
    pub file_path: Option<String>,
    /// File on the server that its requirements were read from.
    pub requirements_path: Option<String>,
    /// Limits, timeout, concurrency and warm sandboxes.
    pub run_settings: RunSettings,
    /// True if it can be invoked.
    pub is_enabled: bool,
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

/// Filter of a list of scripts.
#[derive(Debug, Clone, Default)]
pub struct ScriptFilter {
    /// Part of the name or the description, in any case.
    pub search: Option<String>,
    /// Script type.
    pub script_type: Option<Runtime>,
    /// True for scripts that can be invoked, false for the others.
    pub is_enabled: Option<bool>,
    /// Ids of the only scripts that the caller may see.
    pub scope: Option<Vec<i64>>,
}

/// Stamp that changes with most changes of scripts; comparing two is cheaper than reading
/// all scripts.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct ScriptsStamp {
    count: i64,
    newest: Option<String>,
}

macro_rules! select_script {
    ($where:literal) => {
        concat!(
            "SELECT s.id, s.name, s.description, s.file_path, s.requirements_path, s.timeout_ms, \
             CAST(s.limits AS TEXT) AS limits, s.max_concurrency, s.warm, s.is_enabled, s.pending_version, s.created_by, s.created_at, s.updated_at, \
             v.id AS version_id, v.number, \
             CAST(v.definition AS TEXT) AS definition, v.environment_key, \
             v.created_by AS version_created_by, v.created_at AS version_created_at \
             FROM scripts s JOIN script_versions v \
             ON v.script_id = s.id AND v.number = s.current_version",
            $where
        )
    };
}

#[derive(FromRow)]
struct ScriptRow {
    id: i64,
    name: String,
    description: String,
    file_path: Option<String>,
    requirements_path: Option<String>,
    timeout_ms: i64,
    limits: String,
    max_concurrency: Option<i64>,
    warm: i64,
    is_enabled: bool,
    pending_version: Option<i64>,
    created_by: String,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    #[sqlx(flatten)]
    version: VersionRow,
}

impl ScriptRow {
    fn parse(self) -> Result<RegisteredScript, StoreError> {
        let row = Row { table: "scripts", id: &self.id };
        let limits: Limits = row.json("limits", &self.limits)?;
        let timeout = std::time::Duration::from_millis(row.count("timeout_ms", self.timeout_ms)?);
        let run_settings = RunSettings {
            timeout_secs: Timeout::new(timeout).map_err(|_| row.impossible("timeout_ms"))?,
            limits,
            max_concurrency: row.some_at_least_one("max_concurrency", self.max_concurrency)?,
            warm: row.at_most("warm", self.warm, MAX_WARM)?,
        };
        Ok(RegisteredScript {
            name: ScriptName::new(&self.name).map_err(|_| row.impossible("name"))?,
            run_settings,
            id: self.id,
            description: self.description,
            file_path: self.file_path,
            requirements_path: self.requirements_path,
            is_enabled: self.is_enabled,
            version: self.version.parse()?,
            pending_version: self.pending_version,
            created_by: self.created_by,
            created_at: self.created_at,
            updated_at: self.updated_at,
        })
    }
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

/// Adds a filter's conditions to a query.
macro_rules! narrow {
    ($query:ident, $filter:expr) => {{
        let filter: &ScriptFilter = $filter;
        if let Some(search) = &filter.search {
            $query.push(" AND s.searched LIKE ").push_bind(containing(search));
            $query.push(" ESCAPE '!'");
        }
        if let Some(script_type) = filter.script_type {
            $query.push(" AND v.script_type = ").push_bind(script_type.name());
        }
        if let Some(is_enabled) = filter.is_enabled {
            $query.push(" AND s.is_enabled = ").push_bind(is_enabled);
        }
        if let Some(scope) = &filter.scope {
            $crate::store::listing::among!($query, " AND s.id", scope);
        }
    }};
}

/// Text that a case-insensitive search looks through. The databases' own `lower` depends on
/// their locale; SQLite's knows ASCII alone.
fn searched(name: &ScriptName, description: &str) -> String {
    folded(&format!("{name}\n{description}"))
}

/// Folds case, so that texts that differ only in case become equal, `ß` and `SS` included.
fn folded(text: &str) -> String {
    let upper = without_nul(text).chars().flat_map(char::to_uppercase).collect::<String>();
    upper.chars().flat_map(char::to_lowercase).collect()
}

/// Pattern for `LIKE … ESCAPE '!'` that finds `text` anywhere.
fn containing(text: &str) -> String {
    let mut pattern = String::from("%");
    for c in folded(text).chars() {
        if matches!(c, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
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
        const INSERT: &str = "INSERT INTO scripts \
             (name, description, searched, file_path, requirements_path, timeout_ms, limits, \
              max_concurrency, is_enabled, current_version, created_by, created_at, updated_at, warm) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 1, $10, $11, $11, $12) RETURNING id";
        let id = in_transaction!(self, tx => {
            let id: i64 = sqlx::query_scalar(INSERT)
                .bind(script.name.as_str())
                .bind(without_nul(&script.description))
                .bind(searched(&script.name, &script.description))
                .bind(&script.file_path)
                .bind(&script.requirements_path)
                .bind(number(script.run_settings.timeout_secs.as_millis()))
                .bind(Json(&script.run_settings.limits))
                .bind(script.run_settings.max_concurrency.map(|it| i64::from(it.get())))
                .bind(script.is_enabled)
                .bind(&script.created_by)
                .bind(script.created_at)
                .bind(i64::from(script.run_settings.warm))
                .fetch_one(&mut *tx)
                .await?;
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
        const UPDATE: &str = "UPDATE scripts SET name = $3, description = $4, searched = $5, \
             file_path = $6, requirements_path = $7, timeout_ms = $8, limits = $9, \
             max_concurrency = $10, is_enabled = $11, updated_at = $12, warm = $13 \
             WHERE id = $1 AND updated_at = $2";
        let is_changed = in_transaction!(self, tx => {
            // This update locks the row: no other transaction defines a version of this
            // script until the end.
            let updated = sqlx::query(UPDATE)
                .bind(change.id)
                .bind(change.seen_at)
                .bind(change.name.as_str())
                .bind(without_nul(&change.description))
                .bind(searched(&change.name, &change.description))
                .bind(&change.file_path)
                .bind(&change.requirements_path)
                .bind(number(change.run_settings.timeout_secs.as_millis()))
                .bind(Json(&change.run_settings.limits))
                .bind(change.run_settings.max_concurrency.map(|it| i64::from(it.get())))
                .bind(change.is_enabled)
                .bind(change.changed_at)
                .bind(i64::from(change.run_settings.warm))
                .execute(&mut *tx)
                .await?;
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
