//! One build: what is wanted, the build itself, and what is noted of it.

use std::time::{Duration, Instant};

use super::build_log::BuildLog;
use super::slots::Slot;
use super::{Environments, Wanted};
use crate::clock;
use crate::domain::bundle::BundleLayer;
use crate::domain::environment::EnvironmentSpec;
use crate::domain::outcome::ErrorKind;
use crate::domain::registry::{EnvironmentRecord, EnvironmentStatus, WarmUpRecord};
use crate::domain::script::Script;
use crate::domain::script_type::ScriptType;
use crate::domain::script_type::python::requirements::Requirements;
use crate::domain::warm_up::WarmUp;
use crate::images::{ImageError, Prepared};
use crate::orchestrator::build_failure::BuildFailure;
use crate::store::StoreError;

/// Period at which the log of a build is stored while it grows.
const FLUSH: Duration = Duration::from_millis(500);

/// A build that failed this long ago is not tried again: everybody who waited
/// for it gets its words, and the installer is not asked by each of them.
const FAILURE_COUNTS: chrono::TimeDelta = chrono::TimeDelta::seconds(30);

impl From<StoreError> for BuildFailure {
    fn from(error: StoreError) -> Self {
        // Of all kinds it is the one that is tried again.
        let kind = match error.is_outage() {
            true => ErrorKind::EngineUnavailable,
            false => ErrorKind::EnvironmentFailed,
        };
        Self { kind, is_of_database: true, message: error.to_string() }
    }
}

impl From<ImageError> for BuildFailure {
    /// Callers see the message: what is only for those who run the server (paths,
    /// addresses) goes to the log.
    fn from(error: ImageError) -> Self {
        tracing::warn!(?error, hint = error.hint(), "an image could not be built");
        let kind = match error.is_outage() {
            true => ErrorKind::EngineUnavailable,
            false => ErrorKind::EnvironmentFailed,
        };
        Self { kind, is_of_database: false, message: error.public_message() }
    }
}

/// The build counts all the same; its row is set right by the next one.
fn unnoted(error: &StoreError) {
    tracing::error!(?error, "the build's result could not be stored");
}

impl Environments {
    /// The image's id, after a build if it has to be.
    pub(super) async fn build(&self, wanted: &Wanted) -> Result<String, BuildFailure> {
        let key = match wanted {
            Wanted::ScriptType(script_type) => {
                let progress = |line: &str| tracing::info!(%script_type, line, "building an image");
                let library = &self.inner.library;
                return Ok(library.type_image(*script_type, &progress, &self.inner.stop).await?.id);
            }
            Wanted::Environment(key) => key,
        };
        let known = self.inner.store.environment(key).await?.ok_or_else(|| {
            BuildFailure::of_environment("the environment is not in the database")
        })?;
        if known.status == EnvironmentStatus::Failed
            && clock::now() - known.updated_at < FAILURE_COUNTS
            && let Some(message) = known.error
        {
            return Err(BuildFailure::of_environment(message));
        }
        self.build_and_note(&known).await
    }

    async fn build_and_note(&self, known: &EnvironmentRecord) -> Result<String, BuildFailure> {
        let (store, key) = (&self.inner.store, known.key.as_str());
        let begun = Instant::now();
        if known.status != EnvironmentStatus::Ready {
            store.set_environment_status(key, EnvironmentStatus::Building, clock::now()).await?;
        }
        let built = self.prepare(known).await;
        match built {
            Ok(prepared) => {
                let (image, lock) = (prepared.image.id, prepared.lock);
                // One that was ready and is found again has nothing new to say.
                if known.image.as_ref() != Some(&image) || prepared.built {
                    let lock = lock.as_deref();
                    match store.set_environment_ready(key, &image, lock, clock::now()).await {
                        Ok(activated) => self.note_activated(&activated),
                        Err(error) => unnoted(&error),
                    }
                    self.inner.observer.environment_built(true, begun.elapsed());
                }
                tracing::info!(image, "the environment is ready");
                Ok(image)
            }
            // It is built when the engine is back, or by the next process. One that
            // was ready may still be.
            Err(failure)
                if failure.kind == ErrorKind::EngineUnavailable
                    || self.inner.stop.is_cancelled() =>
            {
                if known.status != EnvironmentStatus::Ready {
                    let queued = EnvironmentStatus::Queued;
                    let noted = store.set_environment_status(key, queued, clock::now()).await;
                    noted.unwrap_or_else(|error| unnoted(&error));
                }
                Err(failure)
            }
            Err(failure) => {
                let noted = store.set_environment_failed(key, &failure.message, clock::now()).await;
                noted.unwrap_or_else(|error| unnoted(&error));
                self.inner.observer.environment_built(false, begun.elapsed());
                Err(failure)
            }
        }
    }

    async fn prepare(&self, known: &EnvironmentRecord) -> Result<Prepared, BuildFailure> {
        let spec = self.spec(known).await?;
        let log = BuildLog::default();
        let mut slot = self.slot(&known.key, &log).await?;
        let progress = |line: &str| log.add(line);
        let library = &self.inner.library;
        let building = library.prepare(&spec, known.lock.as_deref(), &progress, &self.inner.stop);
        tokio::pin!(building);
        loop {
            let ended = tokio::time::timeout(FLUSH, &mut building).await.ok();
            self.store_log(&known.key, &log).await;
            if let Some(ended) = ended {
                return Ok(ended?);
            }
            slot.make_room();
        }
    }

    /// The right to build, when it is this build's turn.
    async fn slot(&self, key: &str, log: &BuildLog) -> Result<Slot, BuildFailure> {
        let slots = &self.inner.slots;
        if let Some(slot) = slots.try_enter() {
            return Ok(slot);
        }
        log.add(&slots.waiting());
        self.store_log(key, log).await;
        tokio::select! {
            slot = slots.enter() => {
                slot.ok_or_else(|| BuildFailure::of_environment("builds have ended"))
            }
            () = self.inner.stop.cancelled() => Err(ImageError::Cancelled.into()),
        }
    }

    async fn store_log(&self, key: &str, log: &BuildLog) {
        let Some(text) = log.news() else {
            return;
        };
        // Whoever looks at it sees less; the build goes on.
        if let Err(error) = self.inner.store.set_environment_log(key, &text, clock::now()).await {
            tracing::warn!(%error, environment = key, "the build's log was not stored");
        }
    }

    async fn spec(&self, known: &EnvironmentRecord) -> Result<EnvironmentSpec, BuildFailure> {
        let requirements = known.requirements.as_deref();
        let policy = self.inner.policy.or_sources(known.sources);
        let parsed = requirements.map(|text| Requirements::parse(text, policy));
        let requirements = parsed.transpose().map_err(|error| {
            BuildFailure::of_environment(format!(
                "the requirements are not allowed any more: {error}"
            ))
        })?;
        let warm_up = match &known.warm_up {
            Some(warm_up) => self.warm_up(warm_up, known.script_type).await?,
            None => None,
        };
        Ok(EnvironmentSpec {
            script_type: known.script_type,
            python: known.python,
            packages: known.system_packages.clone(),
            requirements,
            warm_up,
            bundle: known.bundle.map(|digest| {
                let archive = Some(self.inner.bundles.place(digest));
                BundleLayer { digest, archive }
            }),
        })
    }

    async fn warm_up(
        &self,
        known: &WarmUpRecord,
        script_type: ScriptType,
    ) -> Result<Option<WarmUp>, BuildFailure> {
        let code = self.inner.store.code(&known.digest).await?;
        let script = match &known.entry {
            Some(entry) => Script::in_bundle(entry, Some(script_type), code),
            None => Script::new(&known.file_name, Some(script_type), code),
        };
        let script = script.map_err(|error| {
            BuildFailure::of_environment(format!("its warm-up has no script: {error}"))
        })?;
        Ok(WarmUp::of(&known.command, &script))
    }
}
