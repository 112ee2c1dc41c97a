//! Limits: the sent fields over the current ones, within the machine's resources.

use serde::Serialize;
use serde_json::Value;

use super::HostLimits;
use super::faults::Faults;
use crate::domain::limits::Limits;
use crate::domain::quantities::{NANO_CPUS_PER_CPU, show_bytes};

/// Names of the fields, with which errors begin.
const FIELDS: [&str; 7] =
    ["cpus", "memory_bytes", "pids", "scratch_bytes", "disk_bytes", "file_count", "output_bytes"];

/// Returns the new limits; `input` has the fields that were sent.
pub(super) fn merged(
    before: Limits,
    input: Option<Option<impl Serialize>>,
    host_limits: HostLimits,
    faults: &mut Faults,
) -> Limits {
    let sent = match input {
        None => return before,
        Some(None) => return Limits::default(),
        Some(Some(sent)) => sent,
    };
    match overlaid(before, &sent) {
        Ok(limits) => {
            check_host_limits(limits, host_limits, faults);
            limits
        }
        Err(error) => {
            let what = error.to_string();
            let field = FIELDS.iter().find(|it| what.starts_with(&format!("{it}:")));
            let pointer = field.map_or("/limits".to_owned(), |field| format!("/limits/{field}"));
            faults.add(&pointer, what);
            before
        }
    }
}

/// Applies the sent fields to the current limits.
fn overlaid(before: Limits, sent: &impl Serialize) -> Result<Limits, serde_json::Error> {
    let mut limits = serde_json::to_value(before)?;
    let Value::Object(over) = serde_json::to_value(sent)? else { return Ok(before) };
    if let Value::Object(fields) = &mut limits {
        // Scratch space derived from the memory keeps following it.
        if over.contains_key("memory_bytes") && before == before.with_fitting_scratch() {
            fields.remove("scratch_bytes");
        }
        fields.extend(over);
    }
    serde_json::from_value(limits)
}

fn check_host_limits(limits: Limits, host_limits: HostLimits, faults: &mut Faults) {
    if limits.memory_bytes > host_limits.memory_bytes {
        let (asked, most) = (show_bytes(limits.memory_bytes), show_bytes(host_limits.memory_bytes));
        faults.add(
            "/limits/memory_bytes",
            format!("{asked} is more than this machine has for scripts ({most})"),
        );
    }
    if limits.nano_cpus > host_limits.nano_cpus {
        let most = host_limits.nano_cpus / NANO_CPUS_PER_CPU;
        faults.add("/limits/cpus", format!("more than the {most} CPUs of this machine"));
    }
}
