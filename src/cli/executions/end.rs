//! Message and exit code of an execution's end, the same as those of `gantry run`.

use crate::cli::message;
use crate::cli::outcome::{self, GANTRY_FAILED};
use crate::client::wire::{Execution, Shown};
use crate::domain::outcome::Status;
use crate::domain::sanitize::sanitize;

/// The exit code of an execution that is over.
pub(super) fn code(execution: &Execution) -> u8 {
    match execution.ended() {
        Some(status) => {
            outcome::exit_code(status, small(&execution.exit_code), small(&execution.signal))
        }
        None => GANTRY_FAILED,
    }
}

/// Says what the script can't say itself.
pub(super) fn report(execution: &Execution) {
    let own_word = small(&execution.exit_code).is_some_and(outcome::is_own_word);
    match (execution.ended(), execution.error_message.some()) {
        (Some(Status::Completed), _) => {}
        // A script that exits with a code of its own has printed the reason.
        (Some(Status::Failed), _) if own_word && execution.signal.some().is_none() => {}
        (Some(_), Some(reason)) => message::error(reason, None),
        (Some(_), None) => message::error(&status(execution), None),
        (None, _) => message::error(
            &format!("the execution is {}: it is not known how it ends", status(execution)),
            None,
        ),
    }
    let cut = [
        ("stdout", &execution.stdout_truncated, &execution.stdout_bytes),
        ("stderr", &execution.stderr_truncated, &execution.stderr_bytes),
    ];
    for (name, _, bytes) in cut.into_iter().filter(|(_, is_cut, _)| is_cut.is_true()) {
        let bytes = crate::cli::fields::bytes(bytes);
        message::note(&format!("{name} was cut: the script wrote {bytes} of it"));
    }
}

/// Prints a note about the script's artifacts.
pub(super) fn note_artifacts(execution: &Execution) {
    let artifacts = execution.artifacts.as_deref().unwrap_or_default();
    let taken = artifacts.iter().filter(|artifact| artifact.skipped.some().is_none()).count();
    if taken > 0 {
        let files = if taken == 1 { "file" } else { "files" };
        let id = sanitize(execution.id.as_str());
        message::note(&format!(
            "the script left {taken} {files}; `gantry executions artifacts {id} --output DIR` \
             takes them"
        ));
    }
}

fn status(execution: &Execution) -> String {
    sanitize(execution.status.some().unwrap_or("unknown"))
}

fn small(number: &Shown) -> Option<i32> {
    number.number().and_then(|number| i32::try_from(number).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code_of(json: &str) -> u8 {
        code(&serde_json::from_str(json).unwrap())
    }

    #[test]
    fn the_code_is_the_one_that_gantry_run_has() {
        assert_eq!(code_of(r#"{"status": "completed", "exit_code": 0}"#), 0);
        assert_eq!(code_of(r#"{"status": "failed", "exit_code": 3}"#), 3);
        assert_eq!(code_of(r#"{"status": "failed", "exit_code": -1, "signal": 11}"#), 139);
        assert_eq!(code_of(r#"{"status": "timeout", "exit_code": -1, "signal": 9}"#), 124);
        assert_eq!(code_of(r#"{"status": "cancelled", "exit_code": null}"#), 130);
        assert_eq!(code_of(r#"{"status": "failed", "exit_code": null}"#), 125);
        assert_eq!(code_of(r#"{"status": "running"}"#), 125);
        assert_eq!(code_of("{}"), 125);
    }
}
