//! User ids of sandboxes: each has its own id out of a range, so that kernel limits per
//! user (inotify instances, pipes, descriptors in flight on sockets) apply to it alone.
//! Sandboxes that share an id are named by [`SandboxSpec::shared_user`].
//!
//! A process knows the ids of its own containers. Ids of other processes' containers are
//! read from the engine from time to time: each container has its id as a label.
//!
//! [`SandboxSpec::shared_user`]: crate::domain::sandbox_spec::SandboxSpec::shared_user

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bollard::models::ContainerSummary;
use bollard::query_parameters::ListContainersOptionsBuilder;
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use super::Docker;
use crate::domain::sandbox_spec::SandboxSpec;
use crate::domain::uid_range::UidRange;
use crate::domain::user::User;
use crate::engine::{EngineError, LABEL_UID, Labels, NewContainer};

/// Time until the list of other processes' containers is read again.
const LIST_INTERVAL: Duration = Duration::from_mins(1);

/// Time for the engine to list them. Without an answer an id may be used twice; a sandbox
/// waits no longer for that.
const LIST_TIMEOUT: Duration = Duration::from_secs(1);

/// User ids of sandboxes.
pub(super) struct Users {
    range: UidRange,
    state: Mutex<State>,
}

struct State {
    /// Ids of this process's containers, by container name.
    held: HashMap<String, u32>,
    /// Ids of all containers, as they were listed last.
    seen: HashSet<u32>,
    read_at: Option<Instant>,
    /// Start of the search for a free id: after the last one, so that an id is not reused
    /// soon.
    next: u32,
}

impl Users {
    /// Creates a range without used ids. The search starts at a random id, so that
    /// another process that has not listed our containers yet most likely picks another
    /// one.
    pub(super) fn new(range: UidRange) -> Self {
        let random = Uuid::new_v4().as_u64_pair().1 % u64::from(range.count());
        let state = State {
            held: HashMap::new(),
            seen: HashSet::new(),
            read_at: None,
            next: u32::try_from(random).unwrap_or_default(),
        };
        Self { range, state: Mutex::new(state) }
    }

    /// User of a container of this process.
    pub(super) fn user_of(&self, name: &str, spec: &SandboxSpec) -> User {
        let own = || self.state().held.get(name).copied().map(User::of_sandbox);
        spec.shared_user().or_else(own).unwrap_or(User::SHARED)
    }

    /// Takes a free id for the container `name`.
    fn take(&self, name: &str) -> Result<u32, EngineError> {
        let mut state = self.state();
        if let Some(uid) = state.held.get(name) {
            return Ok(*uid);
        }
        let in_use: HashSet<u32> = state.held.values().chain(&state.seen).copied().collect();
        let count = self.range.count();
        let places = (0..count).map(|step| (state.next + step) % count);
        let mut free = places.filter(|place| !in_use.contains(&(self.range.first() + place)));
        let place = free.next().ok_or(EngineError::NoUser { range: self.range })?;
        let uid = self.range.first() + place;
        state.next = (place + 1) % count;
        state.held.insert(name.to_owned(), uid);
        Ok(uid)
    }

    /// Frees the id of the removed container `name`.
    pub(super) fn release(&self, name: &str) {
        let mut state = self.state();
        if let Some(uid) = state.held.remove(name) {
            state.seen.remove(&uid);
        }
    }

    /// True if the containers are to be listed again.
    fn is_due(&self) -> bool {
        self.state().read_at.is_none_or(|at| at.elapsed() >= LIST_INTERVAL)
    }

    fn note(&self, seen: HashSet<u32>) {
        let mut state = self.state();
        state.seen = seen;
        state.read_at = Some(Instant::now());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Docker {
    /// Range of user ids for sandboxes.
    #[must_use]
    pub fn uids(&self) -> UidRange {
        self.users.range
    }

    /// Takes a user for a container that is to be created, and returns it with the
    /// container's labels.
    pub(super) async fn user_for(
        &self,
        container: &NewContainer,
    ) -> Result<(User, Labels), EngineError> {
        let mut labels = container.labels.clone();
        if let Some(user) = container.spec.shared_user() {
            return Ok((user, labels));
        }
        if self.users.range == UidRange::SHARED {
            return Ok((User::SHARED, labels));
        }
        if self.users.is_due() {
            self.list_users().await;
        }
        let uid = self.users.take(&container.name)?;
        labels.insert(LABEL_UID.to_owned(), uid.to_string());
        Ok((User::of_sandbox(uid), labels))
    }

    /// Lists the ids of all containers, if the engine answers in time.
    async fn list_users(&self) {
        let filters = HashMap::from([("label".to_owned(), vec![LABEL_UID.to_owned()])]);
        let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
        let listing = timeout(LIST_TIMEOUT, self.client.list_containers(Some(options)));
        if let Ok(Ok(containers)) = listing.await {
            self.users.note(containers.iter().filter_map(uid).collect());
        }
    }
}

fn uid(container: &ContainerSummary) -> Option<u32> {
    container.labels.as_ref()?.get(LABEL_UID)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::limits::Limits;
    use crate::domain::mount::Mount;
    use crate::domain::run_folder::RunFolder;
    use crate::domain::sandbox_spec::{Network, Purpose};

    fn users(range: &str) -> Users {
        Users::new(range.parse().unwrap())
    }

    #[test]
    fn each_container_has_its_own_and_the_last_one_is_told() {
        let users = users("70000-70002");
        let mut taken: Vec<_> = ["a", "b", "c"].map(|name| users.take(name).unwrap()).into();
        assert_eq!(users.take("b").unwrap(), taken[1], "the same once more");
        let full = users.take("d").unwrap_err();
        assert_eq!(full.to_string(), "all 3 user ids for sandboxes are in use");
        assert!(full.hint().unwrap().contains("GANTRY_UIDS"));
        taken.sort_unstable();
        assert_eq!(taken, [70_000, 70_001, 70_002]);
    }

    #[test]
    fn one_that_is_free_again_is_the_last_to_be_used() {
        let users = users("70000-70002");
        let first = users.take("a").unwrap();
        users.release("a");
        let others = ["b", "c"].map(|name| users.take(name).unwrap());
        assert!(!others.contains(&first));
        assert_eq!(users.take("d").unwrap(), first);
    }

    #[test]
    fn those_of_others_are_not_had_again_until_they_are_gone() {
        let users = users("70000-70001");
        users.note(HashSet::from([70_000]));
        assert_eq!(users.take("a").unwrap(), 70_001);
        users.note(HashSet::from([70_000, 70_001]));
        assert!(users.take("b").is_err());
        users.release("a");
        assert_eq!(users.take("b").unwrap(), 70_001);
        users.note(HashSet::new());
        assert_eq!(users.take("c").unwrap(), 70_000);
    }

    #[test]
    fn the_user_of_a_container_is_known_by_its_name() {
        let users = users("70000");
        let spec = SandboxSpec {
            image: String::new(),
            limits: Limits::default(),
            network: Network::None,
            mounts: Vec::new(),
            owner: None,
            folder: RunFolder::None,
            oci_runtime: None,
            exec: true,
            purpose: Purpose::Execution,
        };
        assert_eq!(users.user_of("a", &spec), User::SHARED);
        users.take("a").unwrap();
        assert_eq!(users.user_of("a", &spec).to_string(), "70000:65534");
        let owner = "1000:100".parse().ok();
        let owned = SandboxSpec { owner, ..spec.clone() };
        assert_eq!(users.user_of("a", &owned).to_string(), "1000:100");
        let build = SandboxSpec { purpose: Purpose::Build { cache_volume: None }, ..spec.clone() };
        assert_eq!(users.user_of("b", &build), User::SHARED);
        let writes = vec![Mount::parse("/srv/out:/out:rw").unwrap()];
        let writing = SandboxSpec { mounts: writes, ..spec };
        assert_eq!(users.user_of("b", &writing), User::SHARED);
        assert_eq!(users.user_of("b", &SandboxSpec { owner, ..writing }).to_string(), "1000:100");
    }
}
