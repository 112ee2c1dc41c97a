//! How often signing in has failed, for each peer. What is counted is failures: a
//! token that works comes in whatever others have tried, because behind a proxy all
//! come from one address. That tokens can't be guessed is their length's matter;
//! this keeps those who try from doing so at any rate without being told.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::api::connection::Peer;

/// Failures of a peer in a row that are answered as such.
const AT_ONCE: u32 = 10;

/// After how long there may be one more.
const EVERY: Duration = Duration::from_secs(6);

/// Most peers that are told apart.
const MAX_PEERS: usize = 1_024;

/// The time at which each peer will have waited for all of its failures.
#[derive(Debug, Default)]
pub(super) struct Attempts(Mutex<HashMap<Option<Peer>, Instant>>);

impl Attempts {
    /// Counts a failure of a peer; one that can't be told counts with all such.
    ///
    /// # Errors
    /// Time to wait, when there were too many before.
    pub(super) fn fail(&self, peer: Option<Peer>, now: Instant) -> Result<(), Duration> {
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
