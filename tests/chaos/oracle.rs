//! Holds every execution to what its script must have written, and to what was
//! broken while it lived. It knows nothing of how Gantry works.

use std::collections::HashMap;
use std::time::Instant;

use serde_json::Value;

use crate::faults::Injected;
use crate::plan::Cancelled;
use crate::scripts::Expected;
use crate::testkit::private_engine::LiveRestore;
use crate::world::Accepted;

/// What the oracle looks at beside an execution.
pub(crate) struct Oracle<'a> {
    pub(crate) live_restore: LiveRestore,
    pub(crate) injected: &'a [Injected],
    /// How often each id has written itself into the ledger.
    pub(crate) starts: &'a HashMap<String, usize>,
}

impl Oracle<'_> {
    /// All that must not be of one execution that was first seen ended at `ended`.
    pub(crate) fn judge(&self, of: &Accepted, ended: Instant, execution: &Value) -> Vec<String> {
        let expected = of.order.kind.expected(&of.id, of.order.size);
        let mut faults = Vec::new();
        let status = word(execution, "status");
        let kind = word(execution, "error_kind");
        let is_cancelled = is_cancelled(of, execution);
        let is_natural =
            !is_cancelled && status == expected.status && kind == expected.error_kind.unwrap_or("");
        if is_natural {
            faults.extend(exact(&expected, execution));
        } else {
            let allowed = self.allowed(of, ended, execution);
            let is_tolerated = status == "failed" && allowed.contains(&kind);
            if !is_cancelled && !is_tolerated {
                let meanwhile = self.meanwhile(of, ended, execution);
                faults.push(format!(
                    "is {status} {kind} ({}), but it must be {} {} or failed with one of \
                     {allowed:?}; meanwhile: {meanwhile:?}",
                    word(execution, "error_message"),
                    expected.status,
                    expected.error_kind.unwrap_or(""),
                ));
            }
            faults.extend(partly(&expected, is_cancelled, execution));
        }
        faults.extend(self.started(of, is_natural));
        faults
    }

    /// What became of an execution for what was broken, in words to count; `None`
    /// when it is what its script makes of it.
    pub(crate) fn toll(&self, of: &Accepted, ended: Instant, execution: &Value) -> Option<String> {
        let expected = of.order.kind.expected(&of.id, of.order.size);
        let (status, kind) = (word(execution, "status"), word(execution, "error_kind"));
        if is_cancelled(of, execution) {
            return Some("cancelled as it was asked for".to_owned());
        }
        if status == expected.status && kind == expected.error_kind.unwrap_or("") {
            return None;
        }
        let faults = self.concerning(of, ended, execution);
        let allowing = |it: &&Injected| it.fault.allows().contains(&kind);
        let mut causes: Vec<_> =
            faults.filter(allowing).map(|it| format!("{:?}", it.fault)).collect();
        causes.sort_unstable();
        causes.dedup();
        Some(format!("{status} {kind}, allowed by {}", causes.join(" or ")))
    }

    /// The kinds of errors that what was broken allows.
    fn allowed(&self, of: &Accepted, ended: Instant, execution: &Value) -> Vec<&'static str> {
        let faults = self.concerning(of, ended, execution);
        let mut kinds: Vec<_> = faults.flat_map(|it| it.fault.allows()).copied().collect();
        kinds.sort_unstable();
        kinds.dedup();
        kinds
    }

    fn meanwhile(&self, of: &Accepted, ended: Instant, execution: &Value) -> Vec<String> {
        let faults = self.concerning(of, ended, execution);
        faults.map(|it| format!("{:?}", it.fault)).collect()
    }

    fn concerning<'a>(
        &'a self,
        of: &'a Accepted,
        ended: Instant,
        execution: &'a Value,
    ) -> impl Iterator<Item = &'a Injected> {
        let container = execution["sandbox"]["container_id"].as_str().unwrap_or("");
        self.injected.iter().filter(move |it| {
            let is_meanwhile = it.from <= ended && it.to >= of.since;
            let is_for_all = !it.fault.has_target(self.live_restore);
            is_meanwhile && (is_for_all || it.target.iter().any(|name| name == container))
        })
    }

    /// No script starts twice; and one that ended by itself has started.
    fn started(&self, of: &Accepted, is_natural: bool) -> Option<String> {
        if !of.order.kind.is_in_ledger() {
            return None;
        }
        match (self.starts.get(&of.id).copied().unwrap_or(0), is_natural) {
            (1, _) | (0, false) => None,
            (starts, _) => Some(format!("its script has started {starts} times")),
        }
    }
}

/// Whether it ended because it was told to.
fn is_cancelled(of: &Accepted, execution: &Value) -> bool {
    of.order.cancelled != Cancelled::Never
        && word(execution, "status") == "cancelled"
        && word(execution, "error_kind").is_empty()
}

/// What ended by itself has left all that it wrote, or says what is missing.
fn exact(expected: &Expected, execution: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    let stdout = word(execution, "stdout_log");
    let is_stdout_right = match expected.kept {
        None => stdout == expected.stdout && execution["stdout_truncated"] == false,
        Some(kept) => {
            stdout.starts_with(&expected.stdout[..kept]) && execution["stdout_truncated"] == true
        }
    };
    if !is_stdout_right || execution["stdout_bytes"] != expected.stdout.len() {
        faults.push(difference("stdout", &expected.stdout, execution));
    }
    if word(execution, "stderr_log") != expected.stderr || execution["stderr_truncated"] == true {
        faults.push(difference("stderr", &expected.stderr, execution));
    }
    if expected.exit_code.is_some() && execution["exit_code"].as_i64() != expected.exit_code {
        faults.push(format!("its exit code is {}", execution["exit_code"]));
    }
    if let Some(output) = &expected.output
        && execution["output_data"] != *output
    {
        faults.push(format!("its output is {}", execution["output_data"]));
    }
    if let Some((name, content)) = &expected.artifact {
        let artifact = &execution["artifacts"][0];
        if artifact["name"] != *name || artifact["bytes"] != content.len() {
            faults.push(format!("its artifacts are {}", execution["artifacts"]));
        }
    }
    faults
}

/// What did not end by itself has left a beginning of what it would have written,
/// and says that something may be missing, unless its end was seen.
fn partly(expected: &Expected, is_cancelled: bool, execution: &Value) -> Vec<String> {
    let has_started = !execution["started_at"].is_null();
    let is_whole = is_cancelled || !has_started || !execution["exit_code"].is_null();
    let is_right = |name: &str, all: &str| {
        let log = word(execution, &format!("{name}_log"));
        let is_flagged = execution[format!("{name}_truncated")] == true;
        all.starts_with(log) && (is_flagged || is_whole || log == all)
    };
    let streams = [("stdout", &expected.stdout), ("stderr", &expected.stderr)];
    let wrong = streams.iter().filter(|(name, all)| !is_right(name, all));
    wrong.map(|(name, all)| difference(name, all, execution)).collect()
}

fn difference(stream: &str, expected: &str, execution: &Value) -> String {
    let log = word(execution, &format!("{stream}_log"));
    let same = expected.bytes().zip(log.bytes()).take_while(|(a, b)| a == b).count();
    format!(
        "its {stream} has {} bytes ({} counted, truncated {}), {} were written, and the first \
         {same} are the same",
        log.len(),
        execution[format!("{stream}_bytes")],
        execution[format!("{stream}_truncated")],
        expected.len()
    )
}

fn word<'a>(execution: &'a Value, name: &str) -> &'a str {
    execution[name].as_str().unwrap_or("")
}
