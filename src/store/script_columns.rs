//! Columns of scripts: the only place that knows which setting is in which column, and by which a
//! list is narrowed.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::FromRow;

use super::StoreError;
use super::rows::{Row, without_nul};
use super::versions::VersionRow;
use crate::domain::limits::{Limits, Timeout};
use crate::domain::registry::settings::Tags;
use crate::domain::registry::{MAX_WARM, RegisteredScript, ScriptName, ScriptSettings};
use crate::domain::script_type::ScriptType;

/// Columns that a registration and a change write, in the order of [`bind_fields`].
macro_rules! field_columns {
    () => {
        "name, description, searched, file_path, requirements_path, timeout_ms, limits, \
         max_concurrency, warm, is_enabled, tags"
    };
}

/// Their values, after three others of the statement.
macro_rules! field_values {
    () => {
        "$4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14"
    };
}

/// Binds [`field_values`] to a statement.
macro_rules! bind_fields {
    ($statement:expr, $fields:expr) => {{
        let fields: &ScriptFields = $fields;
        let settings = &fields.settings;
        $statement
            .bind(fields.name.as_str())
            .bind(without_nul(&fields.description))
            .bind(searched(&fields.name, &fields.description))
            .bind(&fields.file_path)
            .bind(&fields.requirements_path)
            .bind(number(settings.timeout_secs.as_millis()))
            .bind(Json(&settings.limits))
            .bind(settings.max_concurrency.map(|it| i64::from(it.get())))
            .bind(i64::from(settings.warm))
            .bind(settings.is_enabled)
            .bind(settings.tags.joined())
    }};
}

/// Query for scripts with their current versions.
macro_rules! select_script {
    ($where:literal) => {
        concat!(
            "SELECT s.id, s.name, s.description, s.file_path, s.requirements_path, s.timeout_ms, \
             CAST(s.limits AS TEXT) AS limits, s.max_concurrency, s.warm, s.is_enabled, s.tags, \
             s.pending_version, s.created_by, s.created_at, s.updated_at, \
             v.id AS version_id, v.number, \
             CAST(v.definition AS TEXT) AS definition, v.environment_key, \
             v.created_by AS version_created_by, v.created_at AS version_created_at \
             FROM scripts s JOIN script_versions v \
             ON v.script_id = s.id AND v.number = s.current_version",
            $where
        )
    };
}

/// Row of [`select_script`].
#[derive(FromRow)]
pub(super) struct ScriptRow {
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
    tags: String,
    pending_version: Option<i64>,
    created_by: String,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    #[sqlx(flatten)]
    version: VersionRow,
}

impl ScriptRow {
    pub(super) fn parse(self) -> Result<RegisteredScript, StoreError> {
        let row = Row { table: "scripts", id: &self.id };
        let limits: Limits = row.json("limits", &self.limits)?;
        let timeout = Duration::from_millis(row.count("timeout_ms", self.timeout_ms)?);
        let tags = self.tags.split_whitespace().map(str::to_owned).collect();
        let settings = ScriptSettings {
            timeout_secs: Timeout::new(timeout).map_err(|_| row.impossible("timeout_ms"))?,
            limits,
            max_concurrency: row.some_at_least_one("max_concurrency", self.max_concurrency)?,
            warm: row.at_most("warm", self.warm, MAX_WARM)?,
            is_enabled: self.is_enabled,
            tags: Tags::new(tags).map_err(|_| row.impossible("tags"))?,
        };
        Ok(RegisteredScript {
            name: ScriptName::new(&self.name).map_err(|_| row.impossible("name"))?,
            settings,
            id: self.id,
            description: self.description,
            file_path: self.file_path,
            requirements_path: self.requirements_path,
            version: self.version.parse()?,
            pending_version: self.pending_version,
            created_by: self.created_by,
            created_at: self.created_at,
            updated_at: self.updated_at,
        })
    }
}

/// Filter of a list of scripts.
#[derive(Debug, Clone, Default)]
pub struct ScriptFilter {
    /// Part of the name or the description, in any case.
    pub search: Option<String>,
    /// Script type.
    pub script_type: Option<ScriptType>,
    /// True for scripts that can be invoked, false for the others.
    pub is_enabled: Option<bool>,
    /// Tags that the scripts have, all of them.
    pub tags: Vec<String>,
    /// Ids of the only scripts that the caller may see.
    pub scope: Option<Vec<i64>>,
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
        for tag in &filter.tags {
            $query.push(" AND ' ' || s.tags || ' ' LIKE ");
            $query.push_bind(containing(&format!(" {tag} "))).push(" ESCAPE '!'");
        }
        if let Some(scope) = &filter.scope {
            $crate::store::listing::among!($query, " AND s.id", scope);
        }
    }};
}

pub(super) use {bind_fields, field_columns, field_values, narrow, select_script};

/// Text that a case-insensitive search looks through. The databases' own `lower` depends on
/// their locale; SQLite's knows ASCII alone.
pub(super) fn searched(name: &ScriptName, description: &str) -> String {
    folded(&format!("{name}\n{description}"))
}

/// Folds case, so that texts that differ only in case become equal, `ß` and `SS` included.
fn folded(text: &str) -> String {
    let upper = without_nul(text).chars().flat_map(char::to_uppercase).collect::<String>();
    upper.chars().flat_map(char::to_lowercase).collect()
}

/// Pattern for `LIKE … ESCAPE '!'` that finds `text` anywhere.
pub(super) fn containing(text: &str) -> String {
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
