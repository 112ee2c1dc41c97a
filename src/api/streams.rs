//! Room for requests that take as long as an execution does: so many at once, and
//! not all of them for a few tokens ([`super::shares`]).

use std::time::Duration;

use super::problem::{Kind, Problem};
use super::shares::{Share, Shares, Taker};

/// Requests at once that wait for an execution or follow one.
const MAX_STREAMS: usize = 512;

/// Number of streams that admins may have beyond that.
const FOR_ADMINS: usize = 256;

/// After how long whoever was refused may ask again.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Counts what is open.
#[derive(Debug)]
pub(crate) struct Streams(Shares);

impl Default for Streams {
    fn default() -> Self {
        Self(Shares::new(MAX_STREAMS, FOR_ADMINS))
    }
}

impl Streams {
    /// Room to wait for an execution. Whoever gets none is answered at once.
    pub(crate) fn wait(&self, taker: Taker) -> Option<Share> {
        self.0.take(taker, 1)
    }

    /// Room to follow an execution.
    ///
    /// # Errors
    /// A [`Problem`] when there is none for this token.
    pub(crate) fn follow(&self, taker: Taker) -> Result<Share, Problem> {
        self.wait(taker).ok_or_else(|| {
            let detail = "so many requests wait for executions and follow them that there is no \
                          room for another one of this token";
            Problem::new(Kind::TooManyStreams, detail)
                .after(RETRY_AFTER)
                .hint("end some of them, or ask for the execution again and again")
        })
    }
}
