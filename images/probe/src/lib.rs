//! The probe's report: one JSON document with the result of each attempt. It judges
//! nothing; its caller knows the expected results.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Results of all attempts, by their names.
pub type Document = BTreeMap<String, Found>;

/// Result of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Found {
    /// It can be done.
    Done,
    /// It can't: the error's name, as `errno(3)` has it.
    Refused(String),
    /// A value that was read, or counted.
    Value(String),
}
