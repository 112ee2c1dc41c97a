//! What the probe says: one JSON document with what came of each attempt. It judges
//! nothing; what should come of them is said by who has it run.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What came of each attempt, by its name.
pub type Document = BTreeMap<String, Found>;

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Found {
    /// It can be done.
    Done,
    /// It can't: the error's name, as `errno(3)` has it.
    Refused(String),
    /// What was read, or counted.
    Value(String),
}
