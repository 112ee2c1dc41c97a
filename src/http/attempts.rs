//! Rate limit for tokens that are not valid, per peer: those of requests and of sign-ins count
//! together. Only failures count: a valid token is accepted whatever others have tried, because
//! behind a proxy all peers share one address. Tokens are too long to be guessed; the limit keeps
//! guessers from trying at any rate unnoticed.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::connection::{Connection, Peer};
use super::problem::{Kind, Problem};

/// Consecutive failures of a peer before the limit applies.
const AT_ONCE: u32 = 10;

/// Interval after which one more is allowed.
const EVERY: Duration = Duration::from_secs(6);

/// Most peers that are counted separately.
const MAX_PEERS: usize = 1_024;

/// Time at which each peer will have waited for all of its failures.
#[derive(Debug, Default)]
pub(crate) struct Attempts(Mutex<HashMap<Option<Peer>, Instant>>);

impl Attempts {
    /// Counts a token that is not valid.
    ///
    /// # Errors
    /// A [`Problem`] if too many came from the connection's peer.
    pub(crate) fn note_failure(&self, connection: Option<&Connection>) -> Result<(), Problem> {
        self.fail(connection.map(Connection::peer), Instant::now()).map_err(too_often)
    }

    /// Counts a failure of a peer; all unknown peers count as one.
    ///
    /// # Errors
    /// Time to wait, if the limit is exceeded.
    fn fail(&self, peer: Option<Peer>, now: Instant) -> Result<(), Duration> {
        let mut settled = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if settled.len() >= MAX_PEERS {
            settled.retain(|_, at| *at > now);
        }
        let peer = peer.filter(|it| settled.len() < MAX_PEERS || settled.contains_key(&Some(*it)));
        let at = settled.entry(peer).or_insert(now);
        let next = (*at).max(now) + EVERY;
        let excess = next.saturating_duration_since(now + AT_ONCE * EVERY);
        if excess.is_zero() {
            *at = next;
            Ok(())
        } else {
            Err(excess)
        }
    }
}

fn too_often(wait: Duration) -> Problem {
    let detail = "tokens that are not valid came too often from this address";
    Problem::new(Kind::TooManyRequests, detail)
        .after(wait)
        .hint("wait, and try again with a token that works")
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn peer(number: u32) -> Option<Peer> {
        Some(Peer::from(std::net::IpAddr::from(Ipv4Addr::from_bits(number))))
    }

    #[test]
    fn failures_beyond_some_have_to_wait_and_others_do_not() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        for _ in 0..AT_ONCE {
            assert_eq!(attempts.fail(peer(1), now), Ok(()));
        }
        assert_eq!(attempts.fail(peer(1), now), Err(EVERY));
        assert_eq!(attempts.fail(peer(2), now), Ok(()));
        assert_eq!(attempts.fail(peer(1), now + EVERY), Ok(()));
        assert!(attempts.fail(peer(1), now + EVERY).is_err());
        assert_eq!(attempts.fail(peer(1), now + 20 * EVERY), Ok(()));
    }

    #[test]
    fn no_more_peers_are_kept_than_the_bound() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        for number in 0..3 * MAX_PEERS {
            let _ = attempts.fail(peer(u32::try_from(number).unwrap()), now);
        }
        assert!(attempts.0.lock().unwrap().len() <= MAX_PEERS + 1);
        assert!(attempts.fail(peer(u32::MAX), now).is_err());
        assert_eq!(attempts.fail(peer(u32::MAX), now + 20 * EVERY), Ok(()));
    }
}
