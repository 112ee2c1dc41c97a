//! Connection of a request. [`crate::server`] accepts it and may close it; handlers identify its
//! owner and hold it while it works for a token.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Number of uses of all connections.
static USES: AtomicU64 = AtomicU64::new(0);

/// A connection, stored in the extensions of its requests.
#[derive(Debug, Clone)]
pub(crate) struct Connection(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    peer: Peer,
    /// Requests of tokens in progress.
    held: AtomicUsize,
    last_use: AtomicU64,
}

/// Peer of a connection: an IPv4 address, or the network of an IPv6 one, because the owner of one
/// address has them all (RFC 6177: at least 64 bits).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Peer(u128);

impl From<IpAddr> for Peer {
    fn from(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V4(address) => address.to_bits().into(),
            IpAddr::V6(address) => address.to_bits() >> 64 << 64,
        })
    }
}

/// Guard that marks a connection as working for a token until dropped.
#[derive(Debug)]
pub(crate) struct Hold(Connection);

impl Connection {
    /// Creates a connection that was just accepted.
    pub(crate) fn new(address: IpAddr) -> Self {
        let (held, last_use) = (AtomicUsize::new(0), AtomicU64::new(0));
        let connection = Self(Arc::new(Inner { peer: address.into(), held, last_use }));
        connection.note_use();
        connection
    }

    /// Peer of the connection.
    pub(crate) fn peer(&self) -> Peer {
        self.0.peer
    }

    /// True while it works for a token.
    pub(crate) fn is_held(&self) -> bool {
        self.0.held.load(Ordering::Relaxed) > 0
    }

    /// Last use, counted in uses of all connections.
    pub(crate) fn last_use(&self) -> u64 {
        self.0.last_use.load(Ordering::Relaxed)
    }

    /// Marks the connection as working for a token.
    pub(crate) fn hold(&self) -> Hold {
        self.0.held.fetch_add(1, Ordering::Relaxed);
        Hold(self.clone())
    }

    fn note_use(&self) {
        self.0.last_use.store(USES.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.note_use();
        self.0.0.held.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_an_address_or_a_network() {
        let peer = |text: &str| Peer::from(text.parse::<IpAddr>().unwrap());
        assert_eq!(peer("10.0.0.1"), peer("::ffff:10.0.0.1"));
        assert_ne!(peer("10.0.0.1"), peer("10.0.0.2"));
        assert_eq!(peer("2001:db8::1"), peer("2001:db8::ffff:1"));
        assert_ne!(peer("2001:db8::1"), peer("2001:db8:0:1::1"));
    }

    #[test]
    fn a_connection_is_held_while_any_request_of_a_token_is_under_way() {
        let connection = Connection::new([127, 0, 0, 1].into());
        let (first, last_use) = (connection.hold(), connection.last_use());
        let second = connection.hold();
        drop(first);
        assert!(connection.is_held());
        drop(second);
        assert!(!connection.is_held() && connection.last_use() > last_use);
    }
}
