//! Selects the connections to close at the limit: of the peer with the most connections that serve
//! no token, the least recently used. So no peer blocks others by holding connections, silent or
//! with half a request.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::http::connection::{Connection, Peer};
use crate::sandbox::Cancel;

/// All open connections.
#[derive(Default)]
pub(super) struct Crowd(Arc<Mutex<HashMap<u64, Open>>>);

struct Open {
    connection: Connection,
    evicted: Cancel,
}

/// Entry of a connection; removed on drop.
pub(super) struct Place {
    crowd: Arc<Mutex<HashMap<u64, Open>>>,
    number: u64,
    connection: Connection,
    evicted: Cancel,
}

impl Crowd {
    /// Adds a connection.
    pub(super) fn enter(&self, address: IpAddr) -> Place {
        let (connection, evicted) = (Connection::new(address), Cancel::new());
        // Uses are unique.
        let number = connection.last_use();
        let open = Open { connection: connection.clone(), evicted: evicted.clone() };
        locked(&self.0).insert(number, open);
        Place { crowd: Arc::clone(&self.0), number, connection, evicted }
    }

    /// Closes at most so many connections, and none that works for a token.
    pub(super) fn evict(&self, at_most: usize) {
        let open = locked(&self.0);
        let mut idle: HashMap<Peer, Vec<&Open>> = HashMap::new();
        for it in open.values() {
            if !it.connection.is_held() && !it.evicted.is_cancelled() {
                idle.entry(it.connection.peer()).or_default().push(it);
            }
        }
        for connections in idle.values_mut() {
            connections.sort_unstable_by_key(|it| it.connection.last_use());
        }
        // Among peers with as many, the one with the least recently used connection.
        let rank = |idle: &Vec<&Open>| {
            (idle.len(), idle.first().map(|it| Reverse(it.connection.last_use())))
        };
        let Some(most) = idle.into_values().max_by_key(rank) else { return };
        most.iter().take(at_most).for_each(|it| it.evicted.cancel());
    }
}

impl Place {
    /// The connection.
    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Serves until the connection is evicted.
    pub(super) async fn until_evicted<T>(&self, serving: impl Future<Output = T>) -> Option<T> {
        self.evicted.run_until_cancelled(serving).await
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        locked(&self.crowd).remove(&self.number);
    }
}

fn locked(open: &Mutex<HashMap<u64, Open>>) -> MutexGuard<'_, HashMap<u64, Open>> {
    open.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evicted(places: &[Place]) -> Vec<usize> {
        let all = places.iter().enumerate();
        all.filter(|(_, place)| place.evicted.is_cancelled()).map(|(at, _)| at).collect()
    }

    #[test]
    fn the_peer_with_the_most_gives_up_what_it_used_longest_ago() {
        let crowd = Crowd::default();
        let enter = |last: u8| crowd.enter([10, 0, 0, last].into());
        let places: Vec<_> = [2, 1, 1, 1, 1, 2, 2].map(enter).into();
        // Used again, and working for a token.
        drop(places[1].connection().hold());
        let held = places[2].connection().hold();
        crowd.evict(1);
        assert_eq!(evicted(&places), [0]);
        crowd.evict(2);
        assert_eq!(evicted(&places), [0, 3, 4]);
        crowd.evict(9);
        assert_eq!(evicted(&places), [0, 3, 4, 5, 6]);
        crowd.evict(9);
        drop(held);
        crowd.evict(9);
        assert_eq!(evicted(&places), [0, 1, 2, 3, 4, 5, 6]);
        drop(places);
        assert!(locked(&crowd.0).is_empty());
    }
}
