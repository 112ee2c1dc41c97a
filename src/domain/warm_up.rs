//! The command that fills caches when an environment is built: compiled functions,
//! lists of fonts, colour profiles. What it leaves becomes part of the image.

use std::fmt;
use std::sync::Arc;

/// A command that runs once, when an environment is built.
#[derive(Clone, PartialEq, Eq)]
pub struct WarmUp {
    /// The program with its arguments; no shell looks at them.
    pub command: Vec<String>,
    /// File name of the script that the environment is for.
    pub file_name: String,
    /// The script's bytes: the command finds the script where executions do.
    pub script: Arc<[u8]>,
}

impl fmt::Debug for WarmUp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("WarmUp")
            .field("command", &self.command)
            .field("file_name", &self.file_name)
            .finish_non_exhaustive()
    }
}
