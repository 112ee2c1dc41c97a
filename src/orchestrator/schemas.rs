//! Inputs and outputs against the schemas of a version. Compiled schemas are
//! kept: versions never change. Large documents are checked a few at a time, by what
//! their trees take.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::domain::fault::Fault;
use crate::domain::json_input::JsonInput;
use crate::domain::json_schema::{JsonSchema, MAX_CHECKED_BYTES};
use crate::domain::registry::{Definition, ScriptVersion};

/// Compiled schemas that are kept; beyond it all are forgotten and compiled
/// again as they are needed.
const MAX_KEPT: usize = 1_000;

/// Bound of all trees of large documents together, in KiB (512 MiB).
const ROOM_KIB: usize = 2 * MAX_CHECKED_BYTES / 1024;

/// Largest document that is not counted, in bytes (16 KiB): a small one does not wait
/// for large ones, and takes some 50 times its size at most.
const SMALL_BYTES: usize = 16 * 1024;

/// Compiled schemas.
pub(super) struct Schemas {
    kept: Mutex<HashMap<(Purpose, i64), Arc<JsonSchema>>>,
    /// In KiB.
    room: Semaphore,
}

impl Default for Schemas {
    fn default() -> Self {
        Self { kept: Mutex::default(), room: Semaphore::new(ROOM_KIB) }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Purpose {
    Input,
    Output,
}

impl Schemas {
    /// The faults of an input; pointers are into the request's body.
    pub(super) async fn check_input(
        &self,
        version: &ScriptVersion,
        input: &JsonInput,
    ) -> Vec<Fault> {
        let Definition { argument_schema, .. } = &version.definition;
        let faults = self.check(Purpose::Input, version.id, argument_schema, input.as_str()).await;
        faults.into_iter().map(|fault| fault.below("/input")).collect()
    }

    /// The faults of an output.
    pub(super) async fn check_output(
        &self,
        version_id: i64,
        schema: &Value,
        output: &str,
    ) -> Vec<Fault> {
        self.check(Purpose::Output, version_id, schema, output).await
    }

    /// True if a schema accepts every document.
    pub(super) fn accepts_all(&self, version_id: i64, schema: &Value) -> bool {
        self.compiled(Purpose::Output, version_id, schema).is_ok_and(|it| it.accepts_all())
    }

    async fn check(
        &self,
        purpose: Purpose,
        version_id: i64,
        schema: &Value,
        document: &str,
    ) -> Vec<Fault> {
        let schema = match self.compiled(purpose, version_id, schema) {
            Ok(schema) if schema.accepts_all() => return Vec::new(),
            Ok(schema) => schema,
            Err(fault) => return vec![fault],
        };
        let document: Arc<str> = document.into();
        let _room = match document.len() > SMALL_BYTES {
            true => Some(self.room_for(&document).await),
            false => None,
        };
        // A small document may take seconds, too: its schema says how often it is
        // looked at. This costs some 30 µs.
        let checking = tokio::task::spawn_blocking(move || schema.check(&document));
        match checking.await {
            Ok(checked) => checked.err().unwrap_or_default(),
            Err(_) => vec![Fault::new("", "the check ended without an answer")],
        }
    }

    /// Room for a document and its tree; one that takes more than there is for any is
    /// refused when it is checked.
    async fn room_for(&self, document: &Arc<str>) -> Option<SemaphorePermit<'_>> {
        let counted = Arc::clone(document);
        let counting = tokio::task::spawn_blocking(move || JsonSchema::checked_bytes(&counted));
        let kib = counting.await.unwrap_or(MAX_CHECKED_BYTES) / 1024;
        let kib = u32::try_from(kib.min(ROOM_KIB)).unwrap_or(u32::MAX);
        // It is never closed.
        self.room.acquire_many(kib).await.ok()
    }

    fn compiled(
        &self,
        purpose: Purpose,
        version_id: i64,
        schema: &Value,
    ) -> Result<Arc<JsonSchema>, Fault> {
        let key = (purpose, version_id);
        let kept = |this: &Self| {
            this.kept.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned()
        };
        if let Some(schema) = kept(self) {
            return Ok(schema);
        }
        // It was compiled when it was registered, by this version or an older one.
        let schema = JsonSchema::compile(schema)
            .map_err(|error| Fault::new("", format!("the script's schema: {error}")))?;
        let schema = Arc::new(schema);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MAX_KEPT {
            kept.clear();
        }
        kept.insert(key, Arc::clone(&schema));
        Ok(schema)
    }
}
