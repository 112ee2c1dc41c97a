//! Trying an engine that starts nothing, with a sandbox of no execution, until it
//! does: that opens the [`EngineGate`].

use std::sync::Arc;
use std::time::Duration;

use crate::domain::outcome::ErrorKind;
use crate::domain::script_type::ScriptType;
use crate::orchestrator::environments::Environments;
use crate::orchestrator::executions::engine_gate::EngineGate;
use crate::orchestrator::runner::Runner;
use crate::sandbox::Cancel;

/// Pause before the first trial; doubled from one to the next.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// Longest pause between two trials.
const MAX_PAUSE: Duration = Duration::from_secs(10);

/// Watches the engine while the gate is closed.
pub(super) struct EngineWatch {
    gate: Arc<EngineGate>,
    environments: Environments,
    runner: Runner,
    stopping: Cancel,
}

impl EngineWatch {
    pub(super) fn new(
        gate: Arc<EngineGate>,
        environments: Environments,
        runner: Runner,
        stopping: Cancel,
    ) -> Self {
        Self { gate, environments, runner, stopping }
    }

    /// Watches until the service stops.
    pub(super) async fn run(self) {
        loop {
            tokio::select! {
                () = self.gate.next_closing() => {}
                () = self.stopping.cancelled() => return,
            }
            let mut pause = FIRST_PAUSE;
            while let Some(reason) = self.gate.fault() {
                tracing::warn!(%reason, "no execution starts until the engine starts a sandbox");
                tokio::select! {
                    () = tokio::time::sleep(pause) => pause = (pause * 2).min(MAX_PAUSE),
                    () = self.stopping.cancelled() => return,
                }
                self.try_engine().await;
            }
        }
    }

    async fn try_engine(&self) {
        let image = self.environments.known_of_any(&ScriptType::ALL);
        match self.runner.try_start(image, &self.stopping).await {
            Err(error) if error.outcome().error_kind == Some(ErrorKind::EngineUnavailable) => {
                self.gate.close(&error.public_message());
            }
            // Any other failure is the image's, and an execution reports it.
            Ok(()) | Err(_) => self.gate.open(),
        }
    }
}
