//! Examinations in the background, for callers that can't wait for one. One at a time;
//! the result of the last one is kept.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use futures::future::BoxFuture;

use super::Finding;
use crate::clock;

/// Results of an examination.
#[derive(Debug, Clone)]
pub struct Examination {
    /// Time of its end.
    pub at: DateTime<Utc>,
    /// Its findings.
    pub findings: Vec<Finding>,
}

/// Examines everything that Gantry depends on; cheap to clone.
#[derive(Clone)]
pub struct Examiner(Arc<Inner>);

/// An examination, such as [`super::examine`].
type Look = Box<dyn Fn() -> BoxFuture<'static, Vec<Finding>> + Send + Sync>;

struct Inner {
    look: Look,
    last: Mutex<Option<Examination>>,
    is_busy: AtomicBool,
}

impl Examiner {
    /// Nothing is looked at yet.
    #[must_use]
    pub fn new(
        look: impl Fn() -> BoxFuture<'static, Vec<Finding>> + Send + Sync + 'static,
    ) -> Self {
        let (last, is_busy) = (Mutex::new(None), AtomicBool::new(false));
        Self(Arc::new(Inner { look: Box::new(look), last, is_busy }))
    }

    /// The last examination.
    #[must_use]
    pub fn last(&self) -> Option<Examination> {
        self.0.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// True if an examination is under way.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.0.is_busy.load(Ordering::Acquire)
    }

    /// Begins one in the background, unless one is under way.
    pub fn begin(&self) {
        if self.0.is_busy.swap(true, Ordering::AcqRel) {
            return;
        }
        let busy = Busy(Arc::clone(&self.0));
        tokio::spawn(async move {
            let Busy(inner) = &busy;
            let findings = (inner.look)().await;
            let examination = Examination { at: clock::now(), findings };
            *inner.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(examination);
        });
    }
}

/// Marks an examination as under way until it is dropped, also by a panic.
struct Busy(Arc<Inner>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.is_busy.store(false, Ordering::Release);
    }
}
