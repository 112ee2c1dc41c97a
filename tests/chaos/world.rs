//! What everybody in a run shares: the server, what was broken, what was seen.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use serde_json::Value;
use tokio::sync::Notify;

use crate::faults::Injected;
use crate::plan::Order;
use crate::served::Served;

/// An execution that a 2xx was sent for.
#[derive(Debug, Clone)]
pub(crate) struct Accepted {
    pub(crate) order: Order,
    pub(crate) id: String,
    /// When it was first asked for.
    pub(crate) since: Instant,
}

/// The end of an execution, as it was first seen.
#[derive(Debug, Clone)]
pub(crate) struct SeenEnd {
    pub(crate) at: Instant,
    /// Status, kind of error, when it ended.
    pub(crate) words: [String; 3],
}

/// All of a run.
pub(crate) struct World {
    pub(crate) served: Served,
    pub(crate) accepted: Mutex<Vec<Accepted>>,
    pub(crate) ends: Mutex<BTreeMap<String, SeenEnd>>,
    pub(crate) injected: Mutex<Vec<Injected>>,
    /// What became of executions for what was broken.
    pub(crate) tolls: Mutex<Vec<String>>,
    /// What must not be.
    pub(crate) violations: Mutex<Vec<String>>,
    /// What clients were answered, by status.
    pub(crate) answers: Mutex<BTreeMap<String, usize>>,
    /// Told before the server is killed.
    pub(crate) kill_nears: Notify,
    is_over: AtomicBool,
}

impl World {
    pub(crate) fn new(served: Served) -> Self {
        Self {
            served,
            accepted: Mutex::default(),
            ends: Mutex::default(),
            injected: Mutex::default(),
            tolls: Mutex::default(),
            violations: Mutex::default(),
            answers: Mutex::default(),
            kill_nears: Notify::new(),
            is_over: AtomicBool::new(false),
        }
    }

    /// Notes what must not be.
    pub(crate) fn violated(&self, what: impl Into<String>) {
        self.violations.lock().unwrap().push(what.into());
    }

    pub(crate) fn answered(&self, what: impl Into<String>) {
        *self.answers.lock().unwrap().entry(what.into()).or_default() += 1;
    }

    /// Nothing more is broken from now on.
    pub(crate) fn end_faults(&self) {
        self.is_over.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }

    /// Notes how an execution is seen, and what does not go with how it was seen
    /// before.
    pub(crate) fn seen(&self, execution: &Value) {
        let word = |name: &str| execution[name].as_str().unwrap_or("none").to_owned();
        let (id, words) = (word("id"), [word("status"), word("error_kind"), word("completed_at")]);
        let has_ended = !["pending", "running"].contains(&words[0].as_str());
        let mut ends = self.ends.lock().unwrap();
        match ends.get(&id) {
            Some(seen) if seen.words != words => {
                let was = &seen.words;
                self.violated(format!("{id}: ended as {was:?} and is {words:?} later"));
            }
            None if has_ended => {
                ends.insert(id, SeenEnd { at: Instant::now(), words });
            }
            _ => {}
        }
    }
}
