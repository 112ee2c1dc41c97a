//! The log of a build while it grows: as much of its end as is stored.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::store::MAX_BUILD_LOG_BYTES;

/// The log of one build.
#[derive(Default)]
pub(super) struct BuildLog {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// The end of it; up to twice as long as what is stored, so that it is not
    /// moved with every line.
    text: String,
    /// Bytes in all.
    said: u64,
    /// Bytes of them that were taken.
    taken: u64,
}

impl BuildLog {
    /// Adds a line.
    pub(super) fn add(&self, line: &str) {
        let mut inner = self.lock();
        inner.text.push_str(line);
        inner.text.push('\n');
        inner.said += line.len() as u64 + 1;
        if inner.text.len() > 2 * MAX_BUILD_LOG_BYTES {
            let from = inner.end_from();
            inner.text.drain(..from);
        }
    }

    /// The end of it, if anything has come since the last time.
    pub(super) fn news(&self) -> Option<String> {
        let mut inner = self.lock();
        if inner.said == inner.taken {
            return None;
        }
        inner.taken = inner.said;
        inner.text.get(inner.end_from()..).map(str::to_owned)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Start of the stored part: at a character.
    fn end_from(&self) -> usize {
        let from = self.text.len().saturating_sub(MAX_BUILD_LOG_BYTES);
        self.text.ceil_char_boundary(from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_news_is_worth_a_copy() {
        let log = BuildLog::default();
        assert_eq!(log.news(), None);
        log.add("one");
        assert_eq!(log.news().as_deref(), Some("one\n"));
        assert_eq!(log.news(), None);
        log.add("two");
        assert_eq!(log.news().as_deref(), Some("one\ntwo\n"));
    }

    #[test]
    fn a_build_that_says_much_is_kept_by_its_end() {
        let log = BuildLog::default();
        // Three bytes each: what is kept is no multiple of them.
        let line = "€".repeat(10_000);
        for _ in 0..200 {
            log.add(&line);
            assert!(log.lock().text.capacity() <= 5 * MAX_BUILD_LOG_BYTES);
        }
        let kept = log.news().unwrap();
        assert!((MAX_BUILD_LOG_BYTES - 3..=MAX_BUILD_LOG_BYTES).contains(&kept.len()));
        assert!(kept.ends_with(&format!("{line}\n")));
        // As much again: nothing is longer, but it is new.
        log.add("last");
        assert!(log.news().unwrap().ends_with("\nlast\n"));
    }
}
