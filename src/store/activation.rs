//! Selects a script's current version. A version whose environment is still to be built
//! waits beside the current one and replaces it once the environment is ready; a version
//! whose environment fails never does.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use sqlx::FromRow;

use super::connection::{in_transaction, on_reader};
use super::{NewAuditEntry, Store, StoreError};

/// Time at which a version becomes current.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Activation {
    /// Once its environment is ready; at once if the current version's environment is not
    /// ready either.
    #[default]
    WhenReady,
    /// At once; its executions wait for the environment.
    Now,
}

/// Actor in the audit log when a waiting version becomes current.
const ACTOR: &str = "gantry";

/// Condition: the version of script `$1` needs no environment, or its environment is ready.
macro_rules! is_ready {
    ($number:literal) => {
        concat!(
            "NOT EXISTS (SELECT 1 FROM script_versions v JOIN environments e \
             ON e.key = v.environment_key WHERE v.script_id = $1 AND v.number = ",
            $number,
            " AND e.status <> 'ready')"
        )
    };
}

/// Makes version `$2` of script `$1` the current one, or the waiting one.
macro_rules! activate {
    ($($is_live:tt)+) => {
        concat!(
            "UPDATE scripts SET current_version = CASE WHEN ",
            $($is_live)+,
            " THEN $2 ELSE current_version END, pending_version = CASE WHEN ",
            $($is_live)+,
            " THEN NULL ELSE $2 END WHERE id = $1 AND EXISTS \
             (SELECT 1 FROM script_versions WHERE script_id = $1 AND number = $2)"
        )
    };
}

const ACTIVATE_NOW: &str = activate!("1 = 1");

const ACTIVATE_WHEN_READY: &str = activate!(concat!(
    "current_version = $2 OR ",
    is_ready!("$2"),
    " OR NOT ",
    is_ready!("scripts.current_version")
));

/// The statement that makes version `$2` of the script `$1` the current one.
pub(super) fn activate(activation: Activation) -> &'static str {
    match activation {
        Activation::Now => ACTIVATE_NOW,
        Activation::WhenReady => ACTIVATE_WHEN_READY,
    }
}

/// Selects one script that has a waiting version.
const WAITING: &str = "SELECT id FROM scripts WHERE pending_version IS NOT NULL LIMIT 1";

/// Selects the waiting versions whose environment is ready.
pub(super) const SELECT_READY: &str = "SELECT s.id, s.name, s.current_version, \
     s.pending_version, s.updated_at FROM scripts s JOIN script_versions v \
     ON v.script_id = s.id AND v.number = s.pending_version \
     LEFT JOIN environments e ON e.key = v.environment_key \
     WHERE e.key IS NULL OR e.status = 'ready' ORDER BY s.id";

/// Changes nothing if a concurrent change has decided otherwise.
pub(super) const ACTIVATE_READY: &str = "UPDATE scripts SET current_version = pending_version, \
     pending_version = NULL, updated_at = $3 WHERE id = $1 AND pending_version = $2";

/// Makes every waiting version with a ready environment current; evaluates to the names of
/// their scripts.
macro_rules! activate_ready {
    ($now:expr, $connection:expr) => {{
        use $crate::store::activation::{ACTIVATE_READY, Ready, SELECT_READY};
        let ready: Vec<Ready> = sqlx::query_as(SELECT_READY).fetch_all(&mut *$connection).await?;
        let mut activated = Vec::new();
        for script in ready {
            let updated = sqlx::query(ACTIVATE_READY)
                .bind(script.id)
                .bind(script.pending_version)
                .bind(script.changed_at($now))
                .execute(&mut *$connection)
                .await?;
            if updated.rows_affected() == 1 {
                $crate::store::audit::note!(&script.audit($now), &mut *$connection);
                activated.push(script.name);
            }
        }
        activated
    }};
}
pub(super) use activate_ready;

/// Waiting version whose environment is ready.
#[derive(FromRow)]
pub(super) struct Ready {
    pub(super) id: i64,
    pub(super) name: String,
    current_version: i64,
    pub(super) pending_version: i64,
    updated_at: DateTime<Utc>,
}

impl Ready {
    /// Time of this change: `now`, but later than the last change, because writers detect
    /// concurrent changes by this time.
    pub(super) fn changed_at(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        now.max(self.updated_at + TimeDelta::microseconds(1))
    }

    pub(super) fn audit(&self, now: DateTime<Utc>) -> NewAuditEntry {
        NewAuditEntry {
            at: now,
            actor: ACTOR.to_owned(),
            action: "script.activate",
            subject: format!("script:{}", self.name),
            before: Some(json!({ "version": self.current_version })),
            after: Some(json!({ "version": self.pending_version })),
        }
    }
}

impl Store {
    /// Makes waiting versions current whose environment is ready. Returns the names of
    /// their scripts.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn activate_ready_versions(
        &self,
        now: DateTime<Utc>,
    ) -> Result<Vec<String>, StoreError> {
        let waiting: Option<i64> = on_reader!(self, pool =>
            sqlx::query_scalar(WAITING).fetch_optional(pool).await)?;
        // Usually no version waits, and nothing is written.
        if waiting.is_none() {
            return Ok(Vec::new());
        }
        Ok(in_transaction!(self, tx => activate_ready!(now, tx)))
    }
}
