//! Changing a script. A change is made of what was seen, and is made again when
//! somebody else was faster: nobody's change is overwritten unseen.

use chrono::{DateTime, TimeDelta, Utc};

use super::audit::{AuditSnapshot, difference};
use super::draft::run_settings;
use super::fields::{Faults, check_held};
use super::register::{admins_only, subject};
use super::{Actor, Registry, RegistryError, ScriptInput};
use crate::clock;
use crate::domain::registry::{Definition, RegisteredScript};
use crate::domain::token::Role;
use crate::store::{Activation, NewAuditEntry, ScriptChange, StoreError, VersionChange};

/// How often a change is made again.
const ATTEMPTS: usize = 4;

/// A change that is to be written, with what the audit log needs.
struct PreparedChange {
    row: ScriptChange,
    /// What is run afterwards.
    definition: Definition,
    /// The environment that it needs.
    environment: Option<String>,
    action: &'static str,
}

/// What is to be changed.
#[derive(Clone)]
enum Change {
    /// What is sent.
    Fields(Box<ScriptInput>),
    /// This version is to be the current one.
    Activate(i64),
    /// It is to be there, and not to be invoked.
    Deactivate,
}

impl Registry {
    /// Changes a script; what makes another run makes another version. Files of
    /// the server are read again, unless nothing but `is_enabled` is sent or an
    /// operator asks: those change no version.
    ///
    /// # Errors
    /// As [`Registry::register`]; [`RegistryError::Forbidden`] names what
    /// operators may not change; [`RegistryError::ChangedMeanwhile`] when others
    /// were faster several times.
    pub async fn change(
        &self,
        actor: &Actor,
        id: i64,
        input: ScriptInput,
    ) -> Result<RegisteredScript, RegistryError> {
        may_change(actor, &input)?;
        self.apply(actor, id, &Change::Fields(Box::new(input))).await
    }

    /// Whether a change would be made, but for a name that another script has.
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

    /// Takes a script out of use: it stays with its history.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`], [`RegistryError::Forbidden`] for all but
    /// admins, and what the database says.
    pub async fn deactivate(
        &self,
        actor: &Actor,
        id: i64,
    ) -> Result<RegisteredScript, RegistryError> {
        admins_only(actor)?;
        self.apply(actor, id, &Change::Deactivate).await
    }

    /// Makes a version the current one, as soon as its environment is ready; it waits for
    /// it only beside one whose environment is. A script that was read from a file is
    /// read again at the next change.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`], [`RegistryError::NoSuchVersion`],
    /// [`RegistryError::Forbidden`] for all but admins, and what the database
    /// says.
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
                self.request(prepared.environment.as_deref());
                return self.script(id).await;
            }
        }
        Err(RegistryError::ChangedMeanwhile)
    }

    /// The script as it was last asked for: with the version that waits for its
    /// environment, if there is one, in the place of the current one. Changes are made to
    /// this one, so that none undoes the one before.
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

    /// What is sent, as a change.
    async fn fields(
        &self,
        actor: &Actor,
        seen: &RegisteredScript,
        input: &ScriptInput,
    ) -> Result<PreparedChange, RegistryError> {
        if actor.role != Role::Admin || input.is_switch_only() {
            return self.run_settings_alone(actor, seen, input);
        }
        let newest = self.newest(seen.clone()).await?;
        // A file's bytes are read anew.
        let is_kept = seen.file_path.is_none() && !input.brings_source();
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
            let version = self.version(&draft);
            environment = version.environment.as_ref().map(|it| it.key.clone());
            change.row.version = VersionChange::Define(Box::new(version));
        }
        change.row.name = draft.name;
        change.row.description = draft.description;
        change.row.file_path = draft.file_path;
        change.row.requirements_path = draft.requirements_path;
        change.row.run_settings = draft.run_settings;
        change.row.is_enabled = draft.is_enabled;
        Ok(PreparedChange { definition: draft.definition, environment, ..change })
    }

    /// What operators may change.
    fn run_settings_alone(
        &self,
        actor: &Actor,
        seen: &RegisteredScript,
        input: &ScriptInput,
    ) -> Result<PreparedChange, RegistryError> {
        let mut faults = Faults::default();
        let run_settings = run_settings(input, seen.run_settings, &self.settings, &mut faults);
        if input.says_what_is_held() {
            check_held(run_settings, &seen.version.definition.mounts, &mut faults);
        }
        faults.into_result().map_err(RegistryError::Invalid)?;
        let mut change = unchanged(actor, seen);
        change.row.run_settings = run_settings;
        change.row.is_enabled = input.is_enabled.unwrap_or(seen.is_enabled);
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
        let after = AuditSnapshot {
            name: row.name.as_str(),
            description: &row.description,
            file_path: row.file_path.as_deref(),
            requirements_path: row.requirements_path.as_deref(),
            run_settings: &row.run_settings,
            is_enabled: row.is_enabled,
            definition: &change.definition,
        };
        let (before, after) = difference(AuditSnapshot::from(seen).fields(), after.fields());
        let audit = NewAuditEntry {
            at: row.changed_at,
            actor: actor.name.clone(),
            action: change.action,
            subject: subject(seen.name.as_str()),
            before,
            after,
        };
        self.store.change_script(row, &audit).await.map_err(|error| match error {
            StoreError::NameConflict => RegistryError::NameConflict(row.name.to_string()),
            other => other.into(),
        })
    }
}

/// Refuses who may not change these fields.
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

/// A change that changes nothing yet.
fn unchanged(actor: &Actor, seen: &RegisteredScript) -> PreparedChange {
    PreparedChange {
        row: ScriptChange {
            id: seen.id,
            seen_at: seen.updated_at,
            name: seen.name.clone(),
            description: seen.description.clone(),
            file_path: seen.file_path.clone(),
            requirements_path: seen.requirements_path.clone(),
            run_settings: seen.run_settings,
            is_enabled: seen.is_enabled,
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
    change.row.is_enabled = false;
    change.action = "script.deactivate";
    change
}

/// What the audit log calls a change that may be nothing but a switch.
fn action(input: &ScriptInput) -> &'static str {
    match input.is_enabled.filter(|_| input.is_switch_only()) {
        Some(true) => "script.enable",
        Some(false) => "script.disable",
        None => "script.update",
    }
}

/// Now, but after what was seen: by this time the next change tells whether it
/// has seen this one.
fn later_than(seen: DateTime<Utc>) -> DateTime<Utc> {
    clock::now().max(seen + TimeDelta::microseconds(1))
}
