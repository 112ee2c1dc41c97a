//! Result of a run.

use std::fmt;
use std::time::Duration;

use serde_json::Value;

/// A run that is over, with nothing left of it.
pub(crate) struct Ended {
    /// The exit code; −1 when a signal ended the command.
    pub(crate) code: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
    pub(crate) took: Duration,
}

/// Most that is shown of an output when a test fails, in bytes.
const SHOWN: usize = 4096;

impl fmt::Debug for Ended {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |bytes: &[u8]| {
            String::from_utf8_lossy(bytes.get(..SHOWN).unwrap_or(bytes)).into_owned()
        };
        writeln!(formatter, "exit code {} after {:?}", self.code, self.took)?;
        writeln!(formatter, "--- stdout ({} bytes)\n{}", self.stdout.len(), shown(&self.stdout))?;
        writeln!(formatter, "--- stderr\n{}", shown(self.stderr.as_bytes()))
    }
}

impl Ended {
    /// Fails the test unless it ended with `code` and all of these are on stderr.
    #[track_caller]
    pub(crate) fn with(self, code: i32, said: &[&str]) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        for said in said {
            assert!(self.stderr.contains(said), "{said:?} was not said: {self:?}");
        }
        self
    }

    /// Fails the test unless it succeeded and had nothing to say.
    #[track_caller]
    pub(crate) fn with_success(self) -> Self {
        assert_eq!((self.code, self.stderr.as_str()), (0, ""), "{self:?}");
        self
    }

    /// stdout, which has to be text.
    #[track_caller]
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// stdout as JSON: the execution, or what the script printed.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}
