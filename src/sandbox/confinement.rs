//! Verification of a sandbox's confinement against the engine's inspection. A sandbox
//! that is confined less than requested runs nothing.

use std::sync::Arc;
use std::time::Duration;

use super::{Cancel, LaunchRequest, Loaded, Sandbox, SandboxError};
use crate::domain::confinement::SealedConfinement;
use crate::domain::sandbox_spec::SandboxSpec;
use crate::engine::Engine;

/// Time for the inspection, which takes about a millisecond. A slow engine delays no
/// script.
const INSPECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Compares a started container's confinement with the requested one. `None` when the
/// engine did not report it.
///
/// # Errors
/// [`SandboxError::UnderConfined`] when it is confined less, and the engine's error in an
/// outage: an engine that was just stopped also kills the containers that it started
/// last, even with live-restore, so no script may start there.
pub(super) async fn verify_confinement(
    engine: &dyn Engine,
    name: &str,
    spec: &SandboxSpec,
) -> Result<Option<SealedConfinement>, SandboxError> {
    let answer = tokio::time::timeout(INSPECT_TIMEOUT, engine.confinement(name)).await;
    let confinement = match answer {
        Ok(Ok(confinement)) => confinement,
        Ok(Err(error)) if error.is_outage() => return Err(error.into()),
        Ok(Err(error)) => {
            tracing::warn!(%error, container = name, "the confinement of a sandbox is unknown");
            return Ok(None);
        }
        Err(_) => {
            tracing::warn!(
                container = name,
                "the engine did not report a sandbox's confinement in time"
            );
            return Ok(None);
        }
    };
    confinement.verify_against(&engine.requested_confinement(name, spec))?;
    Ok(SealedConfinement::new(confinement).ok())
}

impl Sandbox {
    /// Verifies the confinement before the sandbox is handed out.
    ///
    /// # Errors
    /// [`SandboxError::UnderConfined`] when it is confined less than `spec` requests, and
    /// the engine's error in an outage; the sandbox is removed in the background then.
    pub async fn verified(mut self, spec: &SandboxSpec) -> Result<Self, SandboxError> {
        self.confinement = verify_confinement(&*self.engine, self.name(), spec).await?;
        Ok(self)
    }

    /// Loads the request ([`load`](Self::load)) and verifies the confinement at the same
    /// time.
    ///
    /// # Errors
    /// [`SandboxError`], also when it is confined less than `spec` requests. Nothing of
    /// the script has run then.
    pub async fn load_verified(
        self,
        launch: &LaunchRequest<'_>,
        spec: &SandboxSpec,
        cancel: &Cancel,
    ) -> Result<(Loaded, Option<SealedConfinement>), SandboxError> {
        let (engine, name) = (Arc::clone(&self.engine), self.name().to_owned());
        tokio::try_join!(self.load(launch, cancel), verify_confinement(&*engine, &name, spec))
    }

    /// Verified confinement, if the engine reported it.
    #[must_use]
    pub fn confinement(&self) -> Option<&SealedConfinement> {
        self.confinement.as_ref()
    }
}
