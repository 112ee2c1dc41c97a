//! Environments: contents, state, lock file and build log.

use chrono::{DateTime, Utc};
use sqlx::FromRow;

use super::activation::activate_ready;
use super::connection::{in_transaction, on_reader, on_writer};
use super::rows::{Row, without_nul};
use super::{Store, StoreError};
use crate::domain::file::FileDigest;
use crate::domain::registry::{EnvironmentRecord, EnvironmentStatus, WarmUpRecord};
use crate::domain::script_type::ScriptType;
use crate::domain::script_type::python::PythonVersion;
use crate::domain::system_packages::SystemPackages;

/// Longest build log kept, in bytes (1 MiB); the end of a longer one is kept.
pub const MAX_BUILD_LOG_BYTES: usize = 1024 * 1024;

/// Environment that a version needs. It may be stored already.
#[derive(Debug, Clone)]
pub struct NewEnvironment {
    /// SHA-256 over all its ingredients, in hexadecimal.
    pub key: String,
    /// Script type whose base image it is built on.
    pub script_type: ScriptType,
    /// The version of Python; `None` is the one of the script type's image.
    pub python: Option<PythonVersion>,
    /// Debian packages to install.
    pub system_packages: SystemPackages,
    /// Contents of `requirements.txt`.
    pub requirements: Option<String>,
    /// SHA-256 of the normalized requirements, in hexadecimal.
    pub requirements_hash: Option<String>,
    /// A script chose that packages without a wheel are built from source.
    pub sources: bool,
    /// The command that fills its caches.
    pub warm_up: Option<WarmUpRecord>,
    /// The bundle whose files are in it.
    pub bundle: Option<FileDigest>,
}

/// Inserts an environment, unless it is stored already. Where the server allows sources to
/// all, scripts that choose them share an environment with those that don't: it keeps the
/// choice, so that it can be built when the server no longer allows them.
pub(super) const INSERT_ENVIRONMENT: &str = "INSERT INTO environments \
     (key, script_type, system_packages, requirements, requirements_hash, python, sources, \
      warm_up, bundle, status, log, created_at, updated_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'queued', '', $10, $10) \
     ON CONFLICT (key) DO UPDATE SET sources = TRUE \
     WHERE excluded.sources AND NOT environments.sources";

macro_rules! select_environment {
    ($where:literal) => {
        concat!(
            "SELECT key, script_type, CAST(system_packages AS TEXT) AS system_packages, \
             requirements, requirements_hash, python, sources, \
             CAST(warm_up AS TEXT) AS warm_up, bundle, status, image, error, lock, created_at, \
             updated_at, built_at FROM environments ",
            $where
        )
    };
}

#[derive(FromRow)]
struct EnvironmentRow {
    key: String,
    script_type: String,
    system_packages: String,
    requirements: Option<String>,
    requirements_hash: Option<String>,
    python: Option<String>,
    sources: bool,
    warm_up: Option<String>,
    bundle: Option<String>,
    status: String,
    image: Option<String>,
    error: Option<String>,
    lock: Option<String>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    built_at: Option<DateTime<Utc>>,
}

impl EnvironmentRow {
    fn parse(self) -> Result<EnvironmentRecord, StoreError> {
        let row = Row { table: "environments", id: &self.key };
        let system_packages: SystemPackages = row.json("system_packages", &self.system_packages)?;
        let python = self.python.as_deref().map(|it| row.word("python", it)).transpose()?;
        let warm_up = self.warm_up.as_deref().map(|it| row.json("warm_up", it)).transpose()?;
        let bundle = self.bundle.as_deref().map(|it| row.word("bundle", it)).transpose()?;
        Ok(EnvironmentRecord {
            bundle,
            python,
            sources: self.sources,
            warm_up,
            script_type: row.word("script_type", &self.script_type)?,
            status: row.word("status", &self.status)?,
            system_packages,
            requirements: self.requirements,
            requirements_hash: self.requirements_hash,
            image: self.image,
            error: self.error,
            lock: self.lock,
            created_at: self.created_at,
            updated_at: self.updated_at,
            built_at: self.built_at,
            key: self.key,
        })
    }
}

impl Store {
    /// The environment with this key.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn environment(&self, key: &str) -> Result<Option<EnvironmentRecord>, StoreError> {
        const SELECT: &str = select_environment!("WHERE key = $1");
        let row: Option<EnvironmentRow> = on_reader!(self, pool =>
            sqlx::query_as(SELECT).bind(without_nul(key)).fetch_optional(pool).await)?;
        row.map(EnvironmentRow::parse).transpose()
    }

    /// Environments from `offset` on, most recently changed first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn environments(
        &self,
        limit: u32,
        offset: u64,
    ) -> Result<Vec<EnvironmentRecord>, StoreError> {
        const SELECT: &str =
            select_environment!("ORDER BY updated_at DESC, key LIMIT $1 OFFSET $2");
        let rows: Vec<EnvironmentRow> = on_reader!(self, pool => sqlx::query_as(SELECT)
            .bind(i64::from(limit))
            .bind(super::rows::number(offset))
            .fetch_all(pool)
            .await)?;
        rows.into_iter().map(EnvironmentRow::parse).collect()
    }

    /// Number of environments.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn count_environments(&self) -> Result<i64, StoreError> {
        const COUNT: &str = "SELECT count(*) FROM environments";
        Ok(on_reader!(self, pool => sqlx::query_scalar(COUNT).fetch_one(pool).await)?)
    }

    /// Environments whose build was pending or under way when a process ended.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn unbuilt_environments(&self) -> Result<Vec<EnvironmentRecord>, StoreError> {
        const SELECT: &str = select_environment!(
            "WHERE status IN ('queued', 'building') ORDER BY created_at LIMIT 1000"
        );
        let rows: Vec<EnvironmentRow> =
            on_reader!(self, pool => sqlx::query_as(SELECT).fetch_all(pool).await)?;
        rows.into_iter().map(EnvironmentRow::parse).collect()
    }

    /// Build log of an environment.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn environment_log(&self, key: &str) -> Result<Option<String>, StoreError> {
        const SELECT: &str = "SELECT log FROM environments WHERE key = $1";
        Ok(on_reader!(self, pool =>
            sqlx::query_scalar(SELECT).bind(without_nul(key)).fetch_optional(pool).await)?)
    }

    /// Sets the state of an environment whose build begins or is queued again.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn set_environment_status(
        &self,
        key: &str,
        status: EnvironmentStatus,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        const UPDATE: &str = "UPDATE environments SET status = $2, error = NULL, log = '', \
             updated_at = $3 WHERE key = $1";
        on_writer!(self, pool => sqlx::query(UPDATE)
            .bind(key)
            .bind(status.name())
            .bind(now)
            .execute(pool)
            .await
            .map(|_| ()))?;
        Ok(())
    }

    /// Queues a failed environment for another build.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn requeue_failed_environment(
        &self,
        key: &str,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        const UPDATE: &str = "UPDATE environments SET status = 'queued', error = NULL, log = '', \
             updated_at = $2 WHERE key = $1 AND status = 'failed'";
        on_writer!(self, pool => sqlx::query(UPDATE)
            .bind(key)
            .bind(now)
            .execute(pool)
            .await
            .map(|_| ()))?;
        Ok(())
    }

    /// Stores the build log so far.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn set_environment_log(
        &self,
        key: &str,
        log: &str,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        const UPDATE: &str = "UPDATE environments SET log = $2, updated_at = $3 WHERE key = $1";
        let log = storable(log);
        on_writer!(self, pool => sqlx::query(UPDATE)
            .bind(key)
            .bind(&log)
            .bind(now)
            .execute(pool)
            .await
            .map(|_| ()))?;
        Ok(())
    }

    /// Stores the image of a built environment and its contents. Versions that waited for
    /// it become current in the same transaction; returns the names of their scripts.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn set_environment_ready(
        &self,
        key: &str,
        image: &str,
        lock: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<Vec<String>, StoreError> {
        const UPDATE: &str = "UPDATE environments SET status = 'ready', image = $2, \
             lock = COALESCE($3, lock), error = NULL, built_at = $4, updated_at = $4, \
             last_used_at = $4 WHERE key = $1";
        Ok(in_transaction!(self, tx => {
            let update = sqlx::query(UPDATE).bind(key).bind(image).bind(lock).bind(now);
            update.execute(&mut *tx).await?;
            activate_ready!(now, tx)
        }))
    }

    /// Stores the reason why the build failed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn set_environment_failed(
        &self,
        key: &str,
        error: &str,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        const UPDATE: &str = "UPDATE environments SET status = 'failed', image = NULL, \
             error = $2, updated_at = $3 WHERE key = $1";
        let error = storable(error);
        on_writer!(self, pool => sqlx::query(UPDATE)
            .bind(key)
            .bind(&error)
            .bind(now)
            .execute(pool)
            .await
            .map(|_| ()))?;
        Ok(())
    }
}

/// End of a build log, without NUL, which PostgreSQL does not store.
fn storable(text: &str) -> String {
    let text = without_nul(text);
    let mut from = text.len().saturating_sub(MAX_BUILD_LOG_BYTES);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    text.get(from..).unwrap_or_default().to_owned()
}
