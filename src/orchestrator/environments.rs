//! The images that executions run in: found in memory, in the engine, or built.
//! Each is built once, however many wait for it; its state and its log are in
//! the store while it is built.

mod build;
mod build_log;
mod flights;
mod resume;
mod slots;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use flights::Flights;
use slots::Slots;

use super::build_failure::BuildFailure;
use super::observer::Observer;
use super::run_error::RunError;
use crate::bundles::Shelf;
use crate::clock;
use crate::domain::script_type::ScriptType;
use crate::domain::script_type::python::requirements::RequirementsPolicy;
use crate::images::Library;
use crate::sandbox::Cancel;
use crate::store::{Store, StoreError};

type Built = Result<String, BuildFailure>;

/// The images that executions run in.
#[derive(Clone)]
pub struct Environments {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    library: Library,
    bundles: Shelf,
    policy: RequirementsPolicy,
    observer: Arc<dyn Observer>,
    /// Ids of images, by key or by the name of a plain script type.
    images: Mutex<HashMap<String, String>>,
    /// Another image is known, or one less.
    changed: Notify,
    flights: Flights<Built>,
    slots: Slots,
    tasks: TaskTracker,
    stop: Cancel,
}

/// Content of an image.
#[derive(Debug, Clone)]
enum Wanted {
    ScriptType(ScriptType),
    Environment(String),
}

impl Wanted {
    fn name(&self) -> &str {
        match self {
            Self::ScriptType(script_type) => script_type.name(),
            Self::Environment(key) => key,
        }
    }
}

impl Environments {
    /// No image is known yet. `bundles` keeps what images are to contain, `policy` is what requirements may be, `builds` how many
    /// environments are built at once.
    #[must_use]
    pub fn new(
        store: Store,
        library: Library,
        bundles: Shelf,
        policy: RequirementsPolicy,
        observer: Arc<dyn Observer>,
        builds: usize,
    ) -> Self {
        let tasks = TaskTracker::new();
        tasks.close();
        let inner = Inner {
            store,
            library,
            bundles,
            policy,
            observer,
            images: Mutex::default(),
            changed: Notify::new(),
            flights: Flights::new(tasks.clone()),
            slots: Slots::new(builds),
            tasks,
            stop: Cancel::new(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Has an environment built, if it is not there, in the background.
    pub fn request(&self, key: &str) {
        drop(self.built(Wanted::Environment(key.to_owned())));
    }

    /// The same, also when a build has just failed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn retry(&self, key: &str) -> Result<(), StoreError> {
        self.inner.store.requeue_failed_environment(key, clock::now()).await?;
        self.request(key);
        Ok(())
    }

    /// The id of the image of an environment, or of a plain script type, if it was
    /// found or built before.
    #[must_use]
    pub(super) fn known(&self, key: Option<&str>, script_type: ScriptType) -> Option<String> {
        self.images().get(key.unwrap_or(script_type.name())).cloned()
    }

    /// The id of the image of one of these plain script types, if any was found or built.
    pub(super) fn known_of_any(&self, script_types: &[ScriptType]) -> Option<String> {
        script_types.iter().find_map(|script_type| self.known(None, *script_type))
    }

    /// The id of the image of an environment, or of a plain script type, which is built
    /// if it is not there.
    ///
    /// # Errors
    /// [`RunError::Build`].
    pub async fn image(
        &self,
        key: Option<&str>,
        script_type: ScriptType,
    ) -> Result<String, RunError> {
        if let Some(image) = self.known(key, script_type) {
            return Ok(image);
        }
        let wanted = match key {
            Some(key) => Wanted::Environment(key.to_owned()),
            None => Wanted::ScriptType(script_type),
        };
        self.built(wanted).await.map_err(RunError::Build)
    }

    /// Forgets an image that the engine no longer has.
    pub(super) fn forget(&self, image: &str) {
        self.images().retain(|_, known| known != image);
        self.inner.changed.notify_one();
    }

    /// Has the image of a plain script type built, if it is not there, in the background.
    pub(super) fn request_type_image(&self, script_type: ScriptType) {
        drop(self.built(Wanted::ScriptType(script_type)));
    }

    /// Waits until [`known`](Self::known) may answer otherwise than before; for one
    /// who waits.
    pub(super) async fn changed(&self) {
        self.inner.changed.notified().await;
    }

    /// Ends what is being built; it is built when the next process starts.
    pub(super) async fn stop(&self) {
        self.inner.stop.cancel();
        self.inner.tasks.wait().await;
    }

    /// The result of an image's build, which is started if none is under way. Its
    /// lines in the log carry its key, and the span of whoever asked first.
    fn built(&self, wanted: Wanted) -> impl Future<Output = Built> + use<> {
        let name = wanted.name().to_owned();
        let this = self.clone();
        let span = tracing::info_span!("build", environment = name);
        let flight = self.inner.flights.join(&name, || {
            async move {
                let built = this.build(&wanted).await;
                this.activate_ready().await;
                if let Ok(image) = &built {
                    let before = this.images().insert(wanted.name().to_owned(), image.clone());
                    if before.as_ref() != Some(image) {
                        this.inner.changed.notify_one();
                    }
                }
                built
            }
            .instrument(span)
        });
        async move {
            let panicked =
                || Err(BuildFailure::of_environment("the build ended without an answer"));
            flight.await.unwrap_or_else(panicked)
        }
    }

    /// Makes versions current whose environments have become ready, whoever has built
    /// them.
    pub(super) async fn activate_ready(&self) {
        match self.inner.store.activate_ready_versions(clock::now()).await {
            Ok(scripts) => self.note_activated(&scripts),
            Err(error) => {
                tracing::warn!(%error, "the versions whose environments are ready could not be activated")
            }
        }
    }

    fn note_activated(&self, scripts: &[String]) {
        if !scripts.is_empty() {
            tracing::info!(
                ?scripts,
                "the scripts' new versions are current: their environments are ready"
            );
            self.inner.changed.notify_one();
        }
    }

    fn images(&self) -> std::sync::MutexGuard<'_, HashMap<String, String>> {
        self.inner.images.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
