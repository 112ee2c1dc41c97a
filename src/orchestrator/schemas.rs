//! Inputs and outputs against the schemas of a version. Compiled schemas are
//! kept: versions never change. Large documents are checked a few at a time, by what
//! their trees take, and those of one token or script take half of the room at most.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::domain::fault::Fault;
use crate::domain::json_input::JsonInput;
use crate::domain::json_schema::{JsonSchema, MAX_CHECKED_BYTES};
use crate::domain::registry::ScriptVersion;

/// Compiled schemas that are kept; beyond it all are forgotten and compiled
/// again as they are needed.
const MAX_KEPT: usize = 1_000;

/// Bound of all trees of large documents together, in KiB (512 MiB).
const ROOM_KIB: usize = 2 * SHARE_KIB;

/// Bound of the trees of one source, in KiB: room for the largest. Others of it wait
/// where they are in nobody's way.
const SHARE_KIB: usize = MAX_CHECKED_BYTES / 1024;

/// Largest document that is not counted, in bytes (16 KiB): a small one does not wait
/// for large ones, and takes some 50 times its size at most.
const SMALL_BYTES: usize = 16 * 1024;

/// Compiled schemas.
pub(super) struct Schemas {
    kept: Mutex<HashMap<(Purpose, i64), Arc<JsonSchema>>>,
    /// In KiB.
    room: Arc<Semaphore>,
    /// Share of each source that checks something, in KiB.
    shares: Mutex<HashMap<Source, Weak<Semaphore>>>,
}

impl Default for Schemas {
    fn default() -> Self {
        let room = Arc::new(Semaphore::new(ROOM_KIB));
        Self { kept: Mutex::default(), room, shares: Mutex::default() }
    }
}

/// Sender or printer of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Source {
    /// The token with this id.
    Token(i64),
    /// The script with this id.
    Script(i64),
}

/// Room for a document and its tree; released on drop.
struct Room {
    _share: Option<OwnedSemaphorePermit>,
    _room: Option<OwnedSemaphorePermit>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Purpose {
    Input,
    Output,
}

impl Schemas {
    /// The faults of an input that a token has sent; pointers are into the request's body.
    pub(super) async fn check_input(
        &self,
        token_id: i64,
        version: &ScriptVersion,
        input: &JsonInput,
    ) -> Vec<Fault> {
        let schema = &version.definition.argument_schema;
        let schema = self.compiled(Purpose::Input, version.id, schema);
        let faults = self.check(Source::Token(token_id), schema, input.as_str()).await;
        faults.into_iter().map(|fault| fault.below("/input")).collect()
    }

    /// The faults of an output that a script has printed.
    pub(super) async fn check_output(
        &self,
        script_id: i64,
        version_id: i64,
        schema: &Value,
        output: &str,
    ) -> Vec<Fault> {
        let schema = self.compiled(Purpose::Output, version_id, schema);
        self.check(Source::Script(script_id), schema, output).await
    }

    /// True if a schema accepts every document.
    pub(super) fn accepts_all(&self, version_id: i64, schema: &Value) -> bool {
        self.compiled(Purpose::Output, version_id, schema).is_ok_and(|it| it.accepts_all())
    }

    async fn check(
        &self,
        source: Source,
        schema: Result<Arc<JsonSchema>, Fault>,
        document: &str,
    ) -> Vec<Fault> {
        let schema = match schema {
            Ok(schema) if schema.accepts_all() => return Vec::new(),
            Ok(schema) => schema,
            Err(fault) => return vec![fault],
        };
        let document: Arc<str> = document.into();
        let _room = match document.len() > SMALL_BYTES {
            true => Some(self.room_for(source, &document).await),
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
    async fn room_for(&self, source: Source, document: &Arc<str>) -> Room {
        let counted = Arc::clone(document);
        let counting = tokio::task::spawn_blocking(move || JsonSchema::checked_bytes(&counted));
        let kib = counting.await.unwrap_or(MAX_CHECKED_BYTES) / 1024;
        self.take_room(source, kib).await
    }

    async fn take_room(&self, source: Source, kib: usize) -> Room {
        let kib = u32::try_from(kib.min(SHARE_KIB)).unwrap_or(u32::MAX);
        // They are never closed.
        let share = self.share_of(source).acquire_many_owned(kib).await.ok();
        let room = Arc::clone(&self.room).acquire_many_owned(kib).await.ok();
        Room { _share: share, _room: room }
    }

    /// The share of a source, which is forgotten once nobody uses it.
    fn share_of(&self, source: Source) -> Arc<Semaphore> {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = shares.get(&source).and_then(Weak::upgrade) {
            return share;
        }
        shares.retain(|_, share| share.strong_count() > 0);
        let share = Arc::new(Semaphore::new(SHARE_KIB));
        shares.insert(source, Arc::downgrade(&share));
        share
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

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    const ONE: Source = Source::Token(1);
    const OTHER: Source = Source::Token(2);

    #[tokio::test]
    async fn one_source_never_has_all_of_the_room() {
        let schemas = Schemas::default();
        let held = schemas.take_room(ONE, SHARE_KIB).await;
        let mut waiting: Vec<_> =
            (0..8).map(|_| Box::pin(schemas.take_room(ONE, SHARE_KIB))).collect();
        assert!(waiting.iter_mut().all(|it| it.now_or_never().is_none()));
        for source in [OTHER, Source::Script(1)] {
            assert!(schemas.take_room(source, SHARE_KIB).now_or_never().is_some(), "{source:?}");
        }
        drop(held);
        assert!(waiting.iter_mut().any(|it| it.now_or_never().is_some()));
    }

    #[tokio::test]
    async fn all_sources_together_have_no_more_than_the_room() {
        let schemas = Schemas::default();
        let held =
            [schemas.take_room(ONE, SHARE_KIB).await, schemas.take_room(OTHER, usize::MAX).await];
        let third = Source::Script(2);
        assert!(schemas.take_room(third, 1).now_or_never().is_none());
        drop(held);
        assert!(schemas.take_room(third, 1).now_or_never().is_some());
    }

    #[tokio::test]
    async fn shares_that_nobody_uses_are_forgotten() {
        let schemas = Schemas::default();
        for script in 0..100 {
            schemas.take_room(Source::Script(script), 1).await;
        }
        assert_eq!(schemas.shares.lock().unwrap().len(), 1);
    }
}
