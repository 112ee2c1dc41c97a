//! Fair shares of a bounded resource: each token has a share, and admins have a part of their own,
//! so that no token starves the others.
//!
//! A token may hold as much as remains free for others. So one token holds half, two hold a third
//! each, and a new token always gets some (dynamic thresholds: Choudhury and Hahne, IEEE/ACM
//! Transactions on Networking, 1998). Admins may take all that is free, including their own part.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

/// Holder of a share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Taker {
    /// Id of its token.
    pub(crate) token_id: i64,
    /// True if it may use the admins' part.
    pub(crate) is_admin: bool,
}

/// A resource with a bounded amount.
#[derive(Debug, Clone)]
pub(crate) struct Shares(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    for_all: usize,
    for_admins: usize,
    taken: Mutex<HashMap<i64, usize>>,
    given_back: Notify,
}

/// Share of a taker; released on drop.
#[derive(Debug)]
pub(crate) struct Share {
    of: Shares,
    taker: Taker,
    amount: usize,
}

impl Shares {
    /// Creates a resource with an amount for everyone and a further one for admins.
    pub(crate) fn new(for_all: usize, for_admins: usize) -> Self {
        let (taken, given_back) = (Mutex::default(), Notify::default());
        Self(Arc::new(Inner { for_all, for_admins, taken, given_back }))
    }

    /// Returns an empty share, which can grow.
    pub(crate) fn empty(&self, taker: Taker) -> Share {
        Share { of: self.clone(), taker, amount: 0 }
    }

    /// Takes an amount, if the token may have it.
    pub(crate) fn take(&self, taker: Taker, amount: usize) -> Option<Share> {
        let mut share = self.empty(taker);
        share.grow(amount).then_some(share)
    }

    /// Largest amount that the taker can ever hold.
    pub(crate) fn most(&self, taker: Taker) -> usize {
        match taker.is_admin {
            true => self.0.for_all + self.0.for_admins,
            false => self.0.for_all / 2,
        }
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<i64, usize>> {
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(crate) fn in_use(&self) -> usize {
        self.taken().values().sum()
    }
}

impl Share {
    /// Amount of the share.
    pub(crate) fn amount(&self) -> usize {
        self.amount
    }

    /// Grows by an amount, if the token may have it.
    pub(crate) fn grow(&mut self, more: usize) -> bool {
        let Inner { for_all, for_admins, .. } = *self.of.0;
        let mut taken = self.of.taken();
        let all: usize = taken.values().sum();
        let own = taken.entry(self.taker.token_id).or_default();
        let is_there = match self.taker.is_admin {
            true => all + more <= for_all + for_admins,
            false => *own + more <= for_all.saturating_sub(all + more),
        };
        if is_there {
            *own += more;
            self.amount += more;
        } else if *own == 0 {
            taken.remove(&self.taker.token_id);
        }
        is_there
    }

    /// Grows by an amount as soon as it is free, within this time.
    pub(crate) async fn grow_within(&mut self, more: usize, within: Duration) -> bool {
        let shares = self.of.clone();
        let growing = async {
            loop {
                let mut given_back = pin!(shares.0.given_back.notified());
                given_back.as_mut().enable();
                if self.grow(more) {
                    return;
                }
                given_back.await;
            }
        };
        tokio::time::timeout(within, growing).await.is_ok()
    }

    /// Releases all but this amount.
    pub(crate) fn shrink(&mut self, kept: usize) {
        let excess = self.amount.saturating_sub(kept);
        if excess == 0 {
            return;
        }
        self.amount -= excess;
        let mut taken = self.of.taken();
        if let Some(own) = taken.get_mut(&self.taker.token_id) {
            *own -= excess;
            if *own == 0 {
                taken.remove(&self.taker.token_id);
            }
        }
        drop(taken);
        self.of.0.given_back.notify_waiters();
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.shrink(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ADMIN: Taker = Taker { token_id: 0, is_admin: true };

    fn runner(token_id: i64) -> Taker {
        Taker { token_id, is_admin: false }
    }

    /// Takes everything that a token may have, one by one.
    fn fill(shares: &Shares, taker: Taker) -> Share {
        let mut share = shares.empty(taker);
        while share.grow(1) {}
        share
    }

    #[test]
    fn however_many_tokens_take_all_they_get_there_is_some_for_another() {
        let shares = Shares::new(600, 100);
        let all: Vec<_> = (1..=5).map(|token| fill(&shares, runner(token))).collect();
        let amounts: Vec<_> = all.iter().map(Share::amount).collect();
        assert_eq!(amounts, [300, 150, 75, 37, 19]);
        assert!(shares.take(runner(6), 1).is_some());
        assert_eq!(fill(&shares, ADMIN).amount(), 700 - 581);
        drop(all);
        assert_eq!(shares.in_use(), 0);
        assert!(shares.taken().is_empty());
    }

    #[test]
    fn tokens_that_take_by_turns_have_the_same() {
        let shares = Shares::new(300, 0);
        let (mut one, mut other) = (shares.empty(runner(1)), shares.empty(runner(2)));
        while one.grow(1) | other.grow(1) {}
        assert_eq!((one.amount(), other.amount()), (100, 100));
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_has_what_is_given_back() {
        let shares = Shares::new(100, 0);
        let mut held = fill(&shares, runner(1));
        let mut share = shares.empty(runner(1));
        let within = Duration::from_secs(3);
        assert!(!share.grow_within(1, within).await);
        let (has_grown, ()) = tokio::join!(share.grow_within(20, within), async {
            tokio::task::yield_now().await;
            held.shrink(30);
        });
        assert!(has_grown);
        assert_eq!((share.amount(), shares.in_use()), (20, 50));
    }

    proptest! {
        #[test]
        fn what_is_taken_is_what_is_given_back(
            steps in prop::collection::vec((0_i64..4, 0_usize..80, 0_usize..80), 0..60),
        ) {
            let shares = Shares::new(200, 50);
            let taker = |token_id| Taker { token_id, is_admin: token_id == 0 };
            let mut held: Vec<_> = (0..4).map(|token| shares.empty(taker(token))).collect();
            for (token, more, kept) in steps {
                let share = &mut held[usize::try_from(token).unwrap()];
                if !share.grow(more) {
                    share.shrink(kept);
                }
                let sum: usize = held.iter().map(Share::amount).sum();
                prop_assert_eq!(shares.in_use(), sum);
                prop_assert!(sum <= 250 && held.iter().all(|it| it.amount() <= shares.most(it.taker)));
            }
        }
    }
}
