//! Room for requests that take as long as an execution does: so many at once, and
//! not all of them for one token.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::problem::{Kind, Problem};

/// Requests at once that wait for an execution or follow one.
const MAX_STREAMS: usize = 256;

/// How many of them may be one token's: there is always room for another.
const MAX_OF_TOKEN: usize = 192;

/// After how long whoever was refused may ask again.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Counts what is open.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    open: Arc<Mutex<HashMap<i64, usize>>>,
}

/// The right to one; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct StreamPermit {
    open: Arc<Mutex<HashMap<i64, usize>>>,
    token_id: i64,
}

impl Streams {
    /// Room for one more request of a token.
    pub(crate) fn enter(&self, token_id: i64) -> Result<StreamPermit, Problem> {
        let mut open = locked(&self.open);
        if open.values().sum::<usize>() >= MAX_STREAMS {
            return Err(refused(format!(
                "{MAX_STREAMS} requests wait for executions or follow them"
            )));
        }
        let own = open.entry(token_id).or_default();
        if *own >= MAX_OF_TOKEN {
            return Err(refused(format!(
                "{MAX_OF_TOKEN} requests of this token wait for executions or follow them"
            )));
        }
        *own += 1;
        Ok(StreamPermit { open: Arc::clone(&self.open), token_id })
    }
}

impl Drop for StreamPermit {
    fn drop(&mut self) {
        let mut open = locked(&self.open);
        if let Some(own) = open.get_mut(&self.token_id) {
            *own -= 1;
            if *own == 0 {
                open.remove(&self.token_id);
            }
        }
    }
}

fn locked(open: &Mutex<HashMap<i64, usize>>) -> MutexGuard<'_, HashMap<i64, usize>> {
    open.lock().unwrap_or_else(PoisonError::into_inner)
}

fn refused(detail: String) -> Problem {
    Problem::new(Kind::TooManyStreams, detail)
        .after(RETRY_AFTER)
        .hint("ask again without waiting, or later")
}

#[cfg(test)]
mod tests {
    use super::{MAX_OF_TOKEN, MAX_STREAMS, Streams};

    #[test]
    fn one_token_leaves_room_for_others() {
        let streams = Streams::default();
        let mut held: Vec<_> = (0..MAX_OF_TOKEN).map(|_| streams.enter(1).unwrap()).collect();
        assert!(streams.enter(1).is_err());
        let rest = MAX_STREAMS - MAX_OF_TOKEN;
        held.extend((0..rest).map(|_| streams.enter(2).unwrap()));
        assert!(streams.enter(3).is_err());
        held.clear();
        streams.enter(1).unwrap();
        assert!(streams.open.lock().unwrap().is_empty());
    }
}
