//! Changing a script. A change is based on a snapshot, and is retried if another one was written
//! meanwhile: no change is overwritten unseen.

use chrono::{DateTime, TimeDelta, Utc};

use super::audit::{difference, snapshot};
use super::faults::Faults;
use super::register::{admins_only, subject};
use super::{Actor, Registry, RegistryError, ScriptInput};
use crate::clock;
use crate::domain::job::{JobError, check_exec};
use crate::domain::registry::{Definition, RegisteredScript};
use crate::domain::token::Role;
use crate::store::{Activation, NewAuditEntry, ScriptChange, StoreError, VersionChange};

/// Attempts to write a change.
const ATTEMPTS: usize = 4;

/// A change ready to be written, with its data for the audit log.
struct PreparedChange {
    row: ScriptChange,
    /// Definition after the change.
    definition: Definition,
    /// Key of the environment that it needs.
    environment: Option<String>,
    action: &'static str,
}

/// Kind of change.
#[derive(Clone)]
enum Change {
    /// Fields as sent.
    Fields(Box<ScriptInput>),
    /// Activates this version.
    Activate(i64),
    /// Disables the script and keeps it.
    Deactivate,
}

impl Registry {
    /// Changes a script; a change to its definition creates a version. Files of the server are read
    /// again, unless only `is_enabled` is sent or an operator asks: those create no version.
    ///
    /// # Errors
    /// As [`Registry::register`]; [`RegistryError::Forbidden`] names the fields that operators may
    /// not change; [`RegistryError::ChangedMeanwhile`] if all attempts met concurrent changes.
    pub async fn change(
        &self,
        actor: &Actor,
        id: i64,
        input: ScriptInput,
    ) -> Result<RegisteredScript, RegistryError> {
        may_change(actor, &input)?;
        self.apply(actor, id, &Change::Fields(Box::new(input))).await
    }

    /// Checks that a change would be made, except for name conflicts.
    pub(super) async fn check_change(
        &self,
        actor: &Actor,
        id: i64,
        input: &ScriptInput,
    ) -> Result<(), RegistryError> {
        may_change(actor, input)?;
        let seen = self.script(id).await?;
        self.fields(actor, &seen, input).await.map(drop)
    }

    /// Disables a script, and keeps its history.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`], [`RegistryError::Forbidden`] for all but admins, and database
    /// errors.
    pub async fn deactivate(
        &self,
        actor: &Actor,
        id: i64,
    ) -> Result<RegisteredScript, RegistryError> {
        admins_only(actor)?;
        self.apply(actor, id, &Change::Deactivate).await
    }

    /// Activates a version as soon as its environment is ready. It waits only while the current
    /// version's environment is ready. A script read from a file is read again at the next change.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`], [`RegistryError::NoSuchVersion`], [`RegistryError::Forbidden`]
    /// for all but admins, and database errors.
    pub async fn activate(
        &self,
        actor: &Actor,
        id: i64,
        version: i64,
    ) -> Result<RegisteredScript, RegistryError> {
        admins_only(actor)?;
        self.apply(actor, id, &Change::Activate(version)).await
    }

    async fn apply(
        &self,
        actor: &Actor,
        id: i64,
        change: &Change,
    ) -> Result<RegisteredScript, RegistryError> {
        for _ in 0..ATTEMPTS {
            let seen = self.script(id).await?;
            let prepared = match change {
                Change::Fields(input) => self.fields(actor, &seen, input).await?,
                Change::Activate(version) => self.activation(actor, &seen, *version).await?,
                Change::Deactivate => deactivation(actor, &seen),
            };
            if self.write(actor, &seen, &prepared).await? {
                let limit = prepared.row.fields.settings.max_concurrency;
                return self.stored(id, limit, prepared.environment.as_deref()).await;
            }
        }
        Err(RegistryError::ChangedMeanwhile)
    }

    /// Returns the newest state of a script: its pending version, if any, in place of the current
    /// one. Changes are based on this state, so that none undoes the one before.
    ///
    /// # Errors
    /// The database's error.
    pub async fn newest(
        &self,
        mut script: RegisteredScript,
    ) -> Result<RegisteredScript, RegistryError> {
        if let Some(number) = script.pending_version
            && let Some(version) = self.store.version(script.id, number).await?
        {
            script.version = version;
        }
        Ok(script)
    }

    /// Prepares a change from the sent fields.
    async fn fields(
        &self,
        actor: &Actor,
        seen: &RegisteredScript,
        input: &ScriptInput,
    ) -> Result<PreparedChange, RegistryError> {
        if actor.role != Role::Admin || input.is_switch_only() {
            return self.settings_alone(actor, seen, input);
        }
        let newest = self.newest(seen.clone()).await?;
        // The file is read again.
        let brings_source = input.brings_source() || input.bundle.is_some();
        let is_kept = seen.file_path.is_none() && !brings_source;
        let code = match is_kept {
            true => self.store.code(&newest.version.definition.digest).await?,
            false => Vec::new(),
        };
        let draft = self.drafted(input.clone(), Some((newest.clone(), code))).await?;
        let mut change = unchanged(actor, seen);
        let environment;
        if draft.definition == newest.version.definition {
            environment = newest.version.environment_key.clone();
        } else {
            self.keep_bundle(&draft).await?;
            let version = self.version(&draft);
            environment = version.environment.as_ref().map(|it| it.key.clone());
            change.row.version = VersionChange::Define(Box::new(version));
        }
        change.row.fields = draft.fields;
        Ok(PreparedChange { definition: draft.definition, environment, ..change })
    }

    /// Prepares a change of the fields that operators may change.
    fn settings_alone(
        &self,
        actor: &Actor,
        seen: &RegisteredScript,
        input: &ScriptInput,
    ) -> Result<PreparedChange, RegistryError> {
        let mut faults = Faults::default();
        let settings = input.settings(&seen.settings, &self.settings, &mut faults);
        if input.says_what_is_held() {
            let held = settings.check_held(&seen.version.definition.mounts);
            faults.keep("/warm", held, |_| None);
        }
        let exec = check_exec(seen.version.definition.exec, &settings.limits);
        faults.keep("/limits/disk_bytes", exec, JobError::hint);
        faults.into_result().map_err(RegistryError::Invalid)?;
        let mut change = unchanged(actor, seen);
        change.row.fields.settings = settings;
        change.action = action(input);
        Ok(change)
    }

    async fn activation(
        &self,
        actor: &Actor,
        seen: &RegisteredScript,
        number: i64,
    ) -> Result<PreparedChange, RegistryError> {
        let version = self.store.version(seen.id, number).await?;
        let version = version.ok_or(RegistryError::NoSuchVersion(number))?;
        let mut change = unchanged(actor, seen);
        change.row.version = VersionChange::Activate(number);
        change.action = "script.activate";
        Ok(PreparedChange {
            definition: version.definition,
            environment: version.environment_key,
            ..change
        })
    }

    async fn write(
        &self,
        actor: &Actor,
        seen: &RegisteredScript,
        change: &PreparedChange,
    ) -> Result<bool, RegistryError> {
        let row = &change.row;
        let before = snapshot(&seen.fields(), &seen.version.definition);
        let (before, after) = difference(before, snapshot(&row.fields, &change.definition));
        let audit = NewAuditEntry {
            at: row.changed_at,
            actor: actor.name.clone(),
            action: change.action,
            subject: subject(seen.name.as_str()),
            before,
            after,
        };
        self.store.change_script(row, &audit).await.map_err(|error| match error {
            StoreError::NameConflict => RegistryError::NameConflict(row.fields.name.to_string()),
            other => other.into(),
        })
    }
}

/// Refuses fields that the actor may not change.
fn may_change(actor: &Actor, input: &ScriptInput) -> Result<(), RegistryError> {
    match actor.role {
        Role::Admin => Ok(()),
        Role::Operator => match input.fields_of_admins() {
            others if others.is_empty() => Ok(()),
            others => Err(RegistryError::Forbidden(others)),
        },
        Role::Runner | Role::Viewer => admins_only(actor),
    }
}

/// Returns a change without any changes yet.
fn unchanged(actor: &Actor, seen: &RegisteredScript) -> PreparedChange {
    PreparedChange {
        row: ScriptChange {
            id: seen.id,
            seen_at: seen.updated_at,
            fields: seen.fields(),
            version: VersionChange::Keep,
            activation: Activation::WhenReady,
            changed_by: actor.name.clone(),
            changed_at: later_than(seen.updated_at),
        },
        definition: seen.version.definition.clone(),
        environment: None,
        action: "script.update",
    }
}

fn deactivation(actor: &Actor, seen: &RegisteredScript) -> PreparedChange {
    let mut change = unchanged(actor, seen);
    change.row.fields.settings.is_enabled = false;
    change.action = "script.deactivate";
    change
}

/// Action of a change in the audit log.
fn action(input: &ScriptInput) -> &'static str {
    match input.is_enabled.filter(|_| input.is_switch_only()) {
        Some(true) => "script.enable",
        Some(false) => "script.disable",
        None => "script.update",
    }
}

/// Returns the current time, or later than `seen`: the next change compares it to detect concurrent
/// changes.
fn later_than(seen: DateTime<Utc>) -> DateTime<Utc> {
    clock::now().max(seen + TimeDelta::microseconds(1))
}
