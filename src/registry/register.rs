//! Registering a script.

use std::num::NonZeroU32;

use super::audit::snapshot;
use super::draft::{Draft, draft};
use super::source::Known;
use super::{Actor, Registry, RegistryError, ScriptInput};
use crate::bundles::Packed;
use crate::clock;
use crate::domain::bundle::Manifest;
use crate::domain::elf::Architecture;
use crate::domain::fault::Fault;
use crate::domain::oci_runtime::OciRuntime;
use crate::domain::registry::RegisteredScript;
use crate::domain::script::ScriptError;
use crate::domain::token::Role;
use crate::store::{NewAuditEntry, NewScript, NewVersion, StoreError};

impl Registry {
    /// Registers a script with its first version.
    ///
    /// # Errors
    /// [`RegistryError::Invalid`] with all faults, [`RegistryError::NameConflict`],
    /// [`RegistryError::Forbidden`] for all but admins, and errors of the engine and the database.
    pub async fn register(
        &self,
        actor: &Actor,
        input: ScriptInput,
    ) -> Result<RegisteredScript, RegistryError> {
        admins_only(actor)?;
        let draft = self.drafted(input, None).await?;
        self.keep_bundle(&draft).await?;
        let now = clock::now();
        let version = self.version(&draft);
        let environment = version.environment.as_ref().map(|it| it.key.clone());
        let audit = NewAuditEntry {
            at: now,
            actor: actor.name.clone(),
            action: "script.register",
            subject: subject(draft.fields.name.as_str()),
            before: None,
            after: Some(snapshot(&draft.fields, &draft.definition).into()),
        };
        let script = NewScript {
            fields: draft.fields,
            version,
            created_by: actor.name.clone(),
            created_at: now,
        };
        let id = self.store.insert_script(&script, &audit).await.map_err(|error| match error {
            StoreError::NameConflict => RegistryError::NameConflict(script.fields.name.to_string()),
            other => other.into(),
        })?;
        let limit = script.fields.settings.max_concurrency;
        self.stored(id, limit, environment.as_deref()).await
    }

    /// Returns the checked input, also against the engine.
    pub(super) async fn drafted(
        &self,
        input: ScriptInput,
        known: Option<(RegisteredScript, Vec<u8>)>,
    ) -> Result<Draft, RegistryError> {
        let kept = self.kept_bundle(&input, known.as_ref().map(|(script, _)| script)).await?;
        let settings = self.settings.clone();
        let before =
            known.as_ref().and_then(|(script, _)| script.version.definition.runtime.clone());
        let drafting = tokio::task::spawn_blocking(move || {
            let known = known.as_ref().map(|(script, code)| Known { script, code });
            draft(input, known, kept.as_ref(), &settings)
        });
        let drafted = drafting.await.unwrap_or_else(|_| {
            Err(vec![Fault::new("", "it could not be checked: this is a mistake of Gantry's")])
        });
        let draft = drafted.map_err(RegistryError::Invalid)?;
        self.check_runs(&draft).await?;
        if draft.definition.runtime != before {
            self.check_runtime(draft.definition.runtime.as_ref()).await?;
        }
        Ok(draft)
    }

    /// Checks that the script can run; asks the engine only for binaries.
    async fn check_runs(&self, draft: &Draft) -> Result<(), RegistryError> {
        let pointer = draft.source_pointer;
        let refused = |error: ScriptError| {
            let hint = error.hint().map_or(String::new(), |hint| format!("; {hint}"));
            RegistryError::invalid(pointer, format!("{error}{hint}"))
        };
        draft.script.check_shebang().map_err(refused)?;
        if draft.script.script_type().is_text() {
            return Ok(());
        }
        let name = self.engine.architecture().await?;
        let Some(architecture) = Architecture::from_engine(name) else {
            let what = format!("the engine runs on {name}; x86_64 and aarch64 are supported");
            return Err(RegistryError::invalid(pointer, what));
        };
        draft.script.check_runs_on(architecture).map_err(refused)
    }

    /// Checks that the engine knows the OCI runtime. An unavailable engine does not prevent a
    /// registration: executions report a missing runtime.
    async fn check_runtime(&self, runtime: Option<&OciRuntime>) -> Result<(), RegistryError> {
        let Some(runtime) = runtime else { return Ok(()) };
        let known = match self.engine.oci_runtimes().await {
            Ok(known) => known,
            Err(error) => {
                tracing::warn!(%error, %runtime, "an OCI runtime could not be checked");
                return Ok(());
            }
        };
        if known.iter().any(|it| it == runtime.as_str()) {
            return Ok(());
        }
        let known = known.join(", ");
        let what = format!("the engine has no OCI runtime named {runtime}; it has {known}");
        Err(RegistryError::invalid("/runtime", what))
    }

    /// The bundle that an input refers to, or else the one that its script has kept.
    async fn kept_bundle(
        &self,
        input: &ScriptInput,
        script: Option<&RegisteredScript>,
    ) -> Result<Option<Manifest>, RegistryError> {
        let own = script.filter(|it| it.file_path.is_none() && !input.brings_source());
        let own = own.and_then(|it| it.version.definition.bundle);
        match (input.bundle, own) {
            (Some(digest), _) => match self.store.find_bundle(digest).await? {
                Some(manifest) => Ok(Some(manifest)),
                None => {
                    let what = format!("the server keeps no bundle {digest}; send its files");
                    Err(RegistryError::invalid("/bundle", what))
                }
            },
            (None, Some(digest)) => Ok(Some(self.store.bundle(digest).await?)),
            (None, None) => Ok(None),
        }
    }

    /// Keeps the files of a draft's bundle, before a version refers to them.
    pub(super) async fn keep_bundle(&self, draft: &Draft) -> Result<(), RegistryError> {
        let Some(packed) = draft.packed.clone() else { return Ok(()) };
        let bundles = self.settings.bundles.clone();
        let keeping = tokio::task::spawn_blocking(move || bundles.keep(&packed));
        let kept = keeping.await.map_err(|error| RegistryError::Unkept(error.to_string()))?;
        kept.map_err(|error| RegistryError::Unkept(error.to_string()))
    }

    /// Version of a draft.
    pub(super) fn version(&self, draft: &Draft) -> NewVersion {
        let type_tag = self.engine.type_tag(draft.definition.script_type);
        NewVersion {
            definition: draft.definition.clone(),
            code: draft.script.bytes().to_vec(),
            bundle: draft.packed.as_ref().map(Packed::to_manifest),
            environment: draft.environment(&type_tag),
        }
    }

    /// Wakes what follows from a stored command, and returns the script after it.
    pub(super) async fn stored(
        &self,
        id: i64,
        limit: Option<NonZeroU32>,
        environment: Option<&str>,
    ) -> Result<RegisteredScript, RegistryError> {
        if let Some(key) = environment {
            (self.environments)(key);
        }
        (self.changes)(id, limit);
        self.script(id).await
    }

    /// Returns a script that must exist.
    pub(super) async fn script(&self, id: i64) -> Result<RegisteredScript, RegistryError> {
        self.store.script(id).await?.ok_or(RegistryError::NotFound)
    }
}

/// Refuses every role but admins.
pub(super) fn admins_only(actor: &Actor) -> Result<(), RegistryError> {
    match actor.role {
        Role::Admin => Ok(()),
        _ => Err(RegistryError::Forbidden(Vec::new())),
    }
}

/// Subject of a script in the audit log.
pub(super) fn subject(name: &str) -> String {
    format!("script:{name}")
}
