//! The decision about an execution whose run is over: a pure rule.

use crate::domain::execution::Report;
use crate::domain::outcome::{ErrorKind, Status};
use crate::orchestrator::run_error::RunError;

/// End of a claimed execution's attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Settlement {
    /// Its end is stored.
    StoreEnd,
    /// It waits again: its script has not started.
    GiveBack,
}

/// Decides. An execution whose script has not started is given back when the engine was
/// at fault, when its unused sandbox died, and when this process cut it short to leave.
/// One that was cancelled ends.
pub(super) fn settlement(
    report: &Report,
    error: Option<&RunError>,
    is_cancelled: bool,
    is_leaving: bool,
) -> Settlement {
    if report.started_at.is_some() || is_cancelled {
        return Settlement::StoreEnd;
    }
    let is_warm = report.sandbox.as_ref().is_some_and(|it| it.warm);
    // It died in the pool, or before it had anything to do.
    let was_unused =
        error.is_some_and(|error| error.is_not_ready() || (is_warm && error.is_unused_sandbox()));
    let is_outage = report.outcome.error_kind == Some(ErrorKind::EngineUnavailable);
    let was_cut = is_leaving && report.outcome.status == Status::Cancelled;
    match was_unused || is_outage || was_cut {
        true => Settlement::GiveBack,
        false => Settlement::StoreEnd,
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};
    use proptest::prelude::*;

    use super::*;
    use crate::domain::execution::SandboxReceipt;
    use crate::domain::outcome::Outcome;
    use crate::orchestrator::executions::transitions::cancelled_outcome;
    use crate::sandbox::SandboxError;

    const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;

    fn report(outcome: Outcome, has_started: bool, is_warm: bool) -> Report {
        let sandbox = SandboxReceipt {
            image: "image".to_owned(),
            container_id: "container".to_owned(),
            node: None,
            warm: is_warm,
            preloaded: None,
            preload_reason: None,
            confinement: None,
        };
        Report {
            started_at: has_started.then_some(NOW),
            sandbox: Some(sandbox),
            ..Report::unstarted(outcome, NOW)
        }
    }

    fn outcomes() -> impl Strategy<Value = Outcome> {
        prop_oneof![
            Just(cancelled_outcome()),
            Just(Outcome::failed(ErrorKind::EngineUnavailable, "it is out")),
            Just(Outcome::failed(ErrorKind::SandboxFailed, "it broke")),
            Just(Outcome::failed(ErrorKind::Lost, "it is gone")),
        ]
    }

    proptest! {
        #[test]
        fn a_script_that_has_started_is_never_given_back(
            outcome in outcomes(),
            is_warm: bool,
            is_cancelled: bool,
            is_leaving: bool,
            died_unused: bool,
        ) {
            let error = died_unused.then_some(RunError::Sandbox(SandboxError::NotStarted));
            let report = report(outcome, true, is_warm);
            let decided = settlement(&report, error.as_ref(), is_cancelled, is_leaving);
            prop_assert_eq!(decided, Settlement::StoreEnd);
        }

        #[test]
        fn a_cancelled_execution_always_ends(
            outcome in outcomes(),
            has_started: bool,
            is_warm: bool,
            is_leaving: bool,
        ) {
            let error = RunError::Sandbox(SandboxError::NotStarted);
            let report = report(outcome, has_started, is_warm);
            let decided = settlement(&report, Some(&error), true, is_leaving);
            prop_assert_eq!(decided, Settlement::StoreEnd);
        }

        #[test]
        fn an_unstarted_one_is_given_back_for_the_engines_faults_alone(
            outcome in outcomes(),
            is_warm: bool,
            is_leaving: bool,
        ) {
            let is_outage = outcome.error_kind == Some(ErrorKind::EngineUnavailable);
            let was_cut = is_leaving && outcome.status == Status::Cancelled;
            let report = report(outcome, false, is_warm);
            let decided = settlement(&report, None, false, is_leaving);
            prop_assert_eq!(decided == Settlement::GiveBack, is_outage || was_cut);
            let died = RunError::Sandbox(SandboxError::NotStarted);
            let decided = settlement(&report, Some(&died), false, is_leaving);
            prop_assert_eq!(decided, Settlement::GiveBack);
        }
    }
}
