//! What is executed: mostly what pipelines call, and a little of all that makes work
//! for a server. Each kind says how its executions must end.

use std::path::Path;

use serde_json::{Value, json};

use crate::Failure;
use crate::harness::api::{Api, Execution};
use crate::harness::workload::{PYTHON, SHELL};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A shell script that prints its input.
    Cat,
    /// The same in Python, by an interpreter that stands by.
    Echo,
    /// The same with variables of the request: an interpreter from scratch.
    Varied,
    /// With a mount, so that nothing can have waited for it.
    Cold,
    /// Ends with a code of its own.
    Fails,
    /// Takes longer than it may.
    Overdue,
    /// Leaves [`LEFT`] bytes in a file.
    Leaves,
    /// Prints [`PRINTED`] bytes.
    Chatty,
}

use Kind::{Cat, Chatty, Cold, Echo, Fails, Leaves, Overdue, Varied};

/// Of a hundred executions, so many are of each kind.
const SHARES: [(Kind, u64); 8] = [
    (Cat, 48),
    (Echo, 30),
    (Varied, 4),
    (Cold, 4),
    (Fails, 5),
    (Overdue, 3),
    (Leaves, 5),
    (Chatty, 1),
];

/// After so many executions there has been everything.
pub(super) const EACH: u64 = 100;

/// Has no divisor in common with [`EACH`]: every kind is spread over a hundred.
const STRIDE: u64 = 37;

/// Bytes of an artifact.
const LEFT: u64 = 64 << 10;

/// Bytes of much output.
const PRINTED: u64 = 1 << 20;

/// Seconds that one which sleeps for a minute may take.
const TIMEOUT_SECS: f64 = 0.3;

impl Kind {
    /// That of the execution with this number.
    pub(super) fn of(number: u64) -> Self {
        let mut place = number * STRIDE % EACH;
        for (kind, share) in SHARES {
            match place.checked_sub(share) {
                Some(rest) => place = rest,
                None => return kind,
            }
        }
        Cat
    }

    /// What it is, for people.
    fn title(self) -> &'static str {
        match self {
            Cat => "shell `cat`",
            Echo => "Python echo",
            Varied => "Python echo with variables of the request",
            Cold => "shell `cat` with a mount, which is always cold",
            Fails => "that fail",
            Overdue => "that take longer than they may",
            Leaves => "that leave an artifact of 64 KiB",
            Chatty => "that print 1 MiB",
        }
    }

    /// The name of its script.
    fn script(self) -> &'static str {
        match self {
            Cat => "cat",
            Echo | Varied => "echo",
            Cold => "cold",
            Fails => "fails",
            Overdue => "overdue",
            Leaves => "leaves",
            Chatty => "chatty",
        }
    }

    fn registration(self, mounted: &Path) -> Value {
        let source = match self {
            Echo | Varied => PYTHON.source.to_owned(),
            Cat | Cold => SHELL.source.to_owned(),
            Fails => "#!/bin/bash\necho on purpose >&2\nexit 3\n".to_owned(),
            Overdue => "#!/bin/bash\nexec sleep 60\n".to_owned(),
            Leaves => format!("#!/bin/bash\nhead -c {LEFT} /dev/urandom > out/left\n"),
            Chatty => format!("#!/bin/bash\nyes soak | head -c {PRINTED}\n"),
        };
        let script_type = if matches!(self, Echo | Varied) { "python" } else { "shell" };
        let mut body = json!({
            "name": self.script(), "description": "", "script_type": script_type,
            "source": source,
        });
        if self == Cold {
            body["mounts"] = json!([{ "source": mounted, "target": "/mounted" }]);
        }
        body
    }

    /// A request for the execution with this number: no two are the same.
    pub(super) fn request(self, number: u64) -> Value {
        let mut body = json!({ "script": self.script(), "input": { "a": number } });
        match self {
            Varied => body["env"] = json!({ "NUMBER": number.to_string() }),
            Overdue => body["timeout_secs"] = json!(TIMEOUT_SECS),
            _ => {}
        }
        body
    }

    /// Whether an execution has ended as it must.
    pub(super) fn check(self, number: u64, execution: &Execution) -> Result<(), Failure> {
        let Execution { status, exit_code, artifacts, .. } = execution;
        let is_right = match self {
            Cat | Echo | Varied | Cold => {
                status == "completed" && execution.output_data == Some(json!({ "a": number }))
            }
            Fails => status == "failed" && *exit_code == Some(3),
            Overdue => status == "timeout",
            Leaves => {
                let is_it = |left: &[_]| matches!(left, [it] if is_left(it));
                status == "completed" && is_it(artifacts)
            }
            Chatty => {
                let is_whole = !execution.stdout_truncated;
                status == "completed" && execution.stdout_bytes == PRINTED && is_whole
            }
        };
        if is_right {
            return Ok(());
        }
        Err(format!("{self:?}, number {number}: {}", execution.end()).into())
    }
}

fn is_left(artifact: &crate::harness::api::Artifact) -> bool {
    artifact.name == "left" && artifact.bytes == LEFT
}

/// Every script there is. `mounted` is below the server's `GANTRY_MOUNT_ROOTS`.
pub(super) async fn register(api: &Api, mounted: &Path) -> Result<(), Failure> {
    for (kind, _) in SHARES.into_iter().filter(|(kind, _)| *kind != Varied) {
        api.register_as(kind.registration(mounted)).await?;
    }
    Ok(())
}

/// Nothing waits for a script that is not enabled.
pub(super) async fn enable(api: &Api, is_enabled: bool) -> Result<(), Failure> {
    for (kind, _) in SHARES.into_iter().filter(|(kind, _)| *kind != Varied) {
        api.change(kind.script(), &json!({ "is_enabled": is_enabled })).await?;
    }
    Ok(())
}

/// How many of a hundred are what.
pub(super) fn in_words() -> String {
    let words = SHARES.map(|(kind, share)| format!("{share} {}", kind.title()));
    words.join(", ")
}
