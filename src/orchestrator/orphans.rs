//! The containers of an installation that nobody uses. A pure rule: the caller removes
//! them, or reports them.

use chrono::{DateTime, TimeDelta, Utc};

use crate::engine::{LABEL_PROCESS, ListedContainer};

/// A younger container may be about to be used: its creation may be known to the engine
/// before whoever made it hears of it. In seconds.
const SETTLED_SECS: i64 = 30;

/// Facts about containers that the engine does not know.
pub struct ReconcileContext<'a> {
    /// The calling process, as labels name it; empty for one that makes no containers.
    pub this_process: &'a str,
    /// True if a process lives.
    pub is_alive: &'a dyn Fn(&str) -> bool,
    /// True if a container is used by the calling process, or by a running execution
    /// that is to be adopted.
    pub is_used: &'a dyn Fn(&str) -> bool,
    /// The present time.
    pub now: DateTime<Utc>,
}

/// The containers that nobody uses, of those of one installation. What has no process
/// on its label was not made by one, and is not judged.
#[must_use]
pub fn find_orphans<'a>(
    listed: &'a [ListedContainer],
    known: &ReconcileContext<'_>,
) -> Vec<&'a ListedContainer> {
    listed.iter().filter(|container| is_left(container, known)).collect()
}

fn is_left(container: &ListedContainer, known: &ReconcileContext<'_>) -> bool {
    let Some(process) = container.labels.get(LABEL_PROCESS) else { return false };
    if (known.is_used)(&container.name) {
        return false;
    }
    if process == known.this_process {
        return is_settled(container, known.now);
    }
    !(known.is_alive)(process)
}

/// The engine's clock may be another one: what it says lies ahead is not settled.
fn is_settled(container: &ListedContainer, now: DateTime<Utc>) -> bool {
    let created = DateTime::from_timestamp(container.created, 0);
    created.is_some_and(|created| now - created > TimeDelta::seconds(SETTLED_SECS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Labels;

    const NOW: i64 = 1_000_000;

    fn container(name: &str, process: Option<&str>, age_secs: i64) -> ListedContainer {
        let label = |it: &str| (LABEL_PROCESS.to_owned(), it.to_owned());
        ListedContainer {
            name: name.to_owned(),
            running: true,
            labels: process.map(label).into_iter().collect::<Labels>(),
            created: NOW - age_secs,
        }
    }

    fn left(container: &ListedContainer) -> bool {
        let known = ReconcileContext {
            this_process: "this",
            is_alive: &|process| process == "alive",
            is_used: &|name| name == "used",
            now: DateTime::from_timestamp(NOW, 0).unwrap(),
        };
        !find_orphans(std::slice::from_ref(container), &known).is_empty()
    }

    #[test]
    fn what_a_dead_process_has_made_is_left_unless_it_is_to_be_adopted() {
        assert!(left(&container("a", Some("dead"), 0)));
        assert!(!left(&container("used", Some("dead"), 3600)));
    }

    #[test]
    fn what_living_processes_have_made_is_theirs() {
        assert!(!left(&container("a", Some("alive"), 3600)));
    }

    #[test]
    fn what_this_process_does_not_know_is_left_once_it_has_settled() {
        assert!(left(&container("a", Some("this"), 31)));
        assert!(!left(&container("a", Some("this"), 30)));
        assert!(!left(&container("a", Some("this"), -3600)), "the engine's clock is ahead");
        assert!(!left(&container("used", Some("this"), 3600)));
    }

    #[test]
    fn what_no_process_has_made_is_not_judged() {
        assert!(!left(&container("a", None, 3600)));
    }
}
