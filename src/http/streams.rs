//! Permits for requests that last as long as an execution: a bounded number, shared between tokens
//! ([`super::shares`]).

use std::time::Duration;

use super::problem::{Kind, Problem};
use super::shares::{Share, Shares, Taker};

/// Most requests at once that wait for an execution or follow one.
const MAX_STREAMS: usize = 512;

/// Additional streams for admins.
const FOR_ADMINS: usize = 256;

/// Time after which a refused caller may retry.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Counter of open streams.
#[derive(Debug)]
pub(crate) struct Streams(Shares);

impl Default for Streams {
    fn default() -> Self {
        Self(Shares::new(MAX_STREAMS, FOR_ADMINS))
    }
}

impl Streams {
    /// Takes a permit to wait for an execution. A caller without one is answered at once.
    pub(crate) fn wait(&self, taker: Taker) -> Option<Share> {
        self.0.take(taker, 1)
    }

    /// Takes a permit to follow an execution.
    ///
    /// # Errors
    /// A [`Problem`] if the token has no share left.
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
