//! Checking an output against its script's schema.

use crate::domain::execution::Report;
use crate::domain::fault::Fault;
use crate::domain::json_input::JsonFault;
use crate::domain::outcome::Status;
use crate::orchestrator::schemas::Schemas;
use crate::store::Runnable;

/// Fails an execution that ended well without the output that its schema describes.
/// Its logs stay.
pub(super) async fn check_output(schemas: &Schemas, runnable: &Runnable, report: &mut Report) {
    let schema = &runnable.definition.output_schema;
    let version_id = runnable.version_id;
    if report.outcome.status != Status::Completed || schemas.accepts_all(version_id, schema) {
        return;
    }
    let problem = match &report.output {
        None => Some(no_document(report.output_fault.as_ref())),
        Some(output) => {
            let (script_id, output) = (runnable.script_id, output.get());
            let faults = schemas.check_output(script_id, version_id, schema, output).await;
            (!faults.is_empty()).then(|| sentence(&faults))
        }
    };
    if let Some(problem) = problem {
        report.outcome.fail_output(&problem);
    }
}

fn no_document(fault: Option<&JsonFault>) -> String {
    match fault {
        Some(fault) => {
            format!("the output is not one JSON document: {fault}\n{}", fault.pointed())
        }
        None => "the output is not one JSON document: it was cut".to_owned(),
    }
}

fn sentence(faults: &[Fault]) -> String {
    let lines = faults.iter().map(|fault| match fault.pointer.as_str() {
        "" => fault.detail.clone(),
        pointer => format!("{pointer}: {}", fault.detail),
    });
    let lines: Vec<_> = lines.collect();
    format!("the output is not what output_schema says\n{}", lines.join("\n"))
}
