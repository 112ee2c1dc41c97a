//! The files that a version declares, among those that its script left.

use crate::domain::execution::{Artifact, Report};
use crate::domain::registry::DeclaredOutputs;
use crate::domain::sanitize::sanitize;

/// Most files that are named as missing.
const MAX_NAMED: usize = 5;

/// Gives artifacts the roles and media types that are declared for them, and fails an
/// execution that ended well without a required one.
pub(super) fn declare(outputs: &DeclaredOutputs, report: &mut Report) {
    for (_, output) in outputs.iter() {
        for artifact in report.artifacts.iter_mut().filter(|it| output.covers(&it.name)) {
            artifact.role.clone_from(&output.role);
            if let Some(media_type) = &output.media_type {
                artifact.media_type = Some(media_type.clone());
            }
        }
    }
    let is_left = |path: &dyn Fn(&Artifact) -> bool| {
        report.artifacts.iter().any(|it| it.skipped.is_none() && path(it))
    };
    let missing: Vec<_> = outputs
        .iter()
        .filter(|(_, output)| output.required && !is_left(&|it| output.covers(&it.name)))
        .map(|(_, output)| sanitize(&output.path))
        .collect();
    if missing.is_empty() {
        return;
    }
    let more = missing.len().saturating_sub(MAX_NAMED);
    let mut named: Vec<_> = missing.into_iter().take(MAX_NAMED).collect();
    if more > 0 {
        named.push(format!("{more} more"));
    }
    let message = format!(
        "the script left no {} in /work/out, as its `outputs` require\n\
         hint: it must write it there before it ends, or exit with another code than 0",
        named.join(", ")
    );
    report.outcome.fail_outputs_missing(&message);
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use serde_json::json;

    use super::*;
    use crate::domain::outcome::{ErrorKind, Outcome, Status};

    fn report(names: &[&str]) -> Report {
        let outcome = Outcome {
            status: Status::Completed,
            error_kind: None,
            error_message: None,
            exit_code: Some(0),
            signal: None,
        };
        let artifacts = names.iter().map(|name| Artifact::kept((*name).to_owned(), 1)).collect();
        Report { artifacts, ..Report::unstarted(outcome, DateTime::UNIX_EPOCH) }
    }

    fn outputs() -> DeclaredOutputs {
        serde_json::from_value(json!({
            "video": {"path": "graded.bin", "required": true, "media_type": "video/mp4"},
            "frames": {"path": "frames", "role": "sequence"},
            "sheet": {"path": "sheet.jpg", "role": "preview"},
        }))
        .unwrap()
    }

    #[test]
    fn what_is_declared_is_said_of_files_and_of_folders() {
        let mut report = report(&["graded.bin", "frames/1.png", "frames.txt", "sheet.jpg"]);
        declare(&outputs(), &mut report);
        let told: Vec<_> = report
            .artifacts
            .iter()
            .map(|it| (it.role.as_deref(), it.media_type.as_deref()))
            .collect();
        assert_eq!(
            told,
            [
                (None, Some("video/mp4")),
                (Some("sequence"), Some("image/png")),
                (None, Some("text/plain")),
                (Some("preview"), Some("image/jpeg")),
            ]
        );
        assert_eq!(report.outcome.status, Status::Completed);
    }

    #[test]
    fn a_success_without_a_required_file_is_none() {
        for names in [&[][..], &["other"], &["graded.bin.part"]] {
            let mut report = report(names);
            declare(&outputs(), &mut report);
            assert_eq!(report.outcome.error_kind, Some(ErrorKind::OutputMissing), "{names:?}");
            let message = report.outcome.error_message.unwrap();
            assert!(message.contains("graded.bin"), "{message}");
            assert_eq!(report.outcome.exit_code, Some(0));
        }
        let mut unkept = report(&["graded.bin"]);
        unkept.artifacts[0].skipped = Some("too large".to_owned());
        declare(&outputs(), &mut unkept);
        assert_eq!(unkept.outcome.error_kind, Some(ErrorKind::OutputMissing));
    }

    #[test]
    fn another_failure_stays() {
        let mut failed = report(&[]);
        failed.outcome = Outcome::failed(ErrorKind::ExitNonzero, "exit 3");
        declare(&outputs(), &mut failed);
        assert_eq!(failed.outcome.error_kind, Some(ErrorKind::ExitNonzero));
    }
}
