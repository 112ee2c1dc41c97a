//! Whether a sandbox is confined as it was asked for, by the engine's own account:
//! what is confined less runs nothing.

use std::sync::Arc;
use std::time::Duration;

use super::{Cancel, LaunchRequest, Loaded, Sandbox, SandboxError};
use crate::domain::confinement::SealedConfinement;
use crate::domain::sandbox_spec::SandboxSpec;
use crate::engine::Engine;

/// How long the engine may take to say it. It takes about a millisecond; one that is
/// slow holds no script up.
const SAID_WITHIN: Duration = Duration::from_secs(1);

/// Asks the engine how a started container is confined, and holds that against what
/// was asked for. `None` when the engine does not say.
///
/// # Errors
/// [`SandboxError::UnderConfined`] when it is confined less; the engine's when it is out. One
/// that has just been stopped ends what it started last, with live-restore too, so no
/// script is begun there.
pub(super) async fn confinement(
    engine: &dyn Engine,
    name: &str,
    spec: &SandboxSpec,
) -> Result<Option<SealedConfinement>, SandboxError> {
    let said = tokio::time::timeout(SAID_WITHIN, engine.confinement(name)).await;
    let confinement = match said {
        Ok(Ok(confinement)) => confinement,
        Ok(Err(error)) if error.is_outage() => return Err(error.into()),
        Ok(Err(error)) => {
            tracing::warn!(%error, container = name, "how it is confined is not known");
            return Ok(None);
        }
        Err(_) => {
            tracing::warn!(container = name, "the engine does not say how it is confined");
            return Ok(None);
        }
    };
    confinement.verify_against(&engine.requested_confinement(name, spec))?;
    Ok(SealedConfinement::new(confinement).ok())
}

impl Sandbox {
    /// Has the engine say how it is confined, so that whoever takes it need not ask.
    ///
    /// # Errors
    /// [`SandboxError::UnderConfined`] when it is confined less than `spec` asks for, and the
    /// engine's when it is out; it is gone then, or will be soon.
    pub async fn verified(mut self, spec: &SandboxSpec) -> Result<Self, SandboxError> {
        self.confinement = confinement(&*self.engine, self.name(), spec).await?;
        Ok(self)
    }

    /// As [`load`](Self::load), and meanwhile has the engine say how it is confined.
    ///
    /// # Errors
    /// [`SandboxError`], also when it is confined less than `spec` asks for. Nothing of
    /// the script has run then.
    pub async fn load_verified(
        self,
        launch: &LaunchRequest<'_>,
        spec: &SandboxSpec,
        cancel: &Cancel,
    ) -> Result<(Loaded, Option<SealedConfinement>), SandboxError> {
        let (engine, name) = (Arc::clone(&self.engine), self.name().to_owned());
        tokio::try_join!(self.load(launch, cancel), confinement(&*engine, &name, spec))
    }

    /// How it is confined, as far as the engine was asked and has said so.
    #[must_use]
    pub fn confinement(&self) -> Option<&SealedConfinement> {
        self.confinement.as_ref()
    }
}
