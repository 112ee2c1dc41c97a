//! Division of the pool's places among the kinds of sandboxes. Pure.

/// Demand, floor and size of one kind.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Candidate {
    /// Number worth holding for its demand.
    pub(super) wanted: usize,
    /// Number to be held even without demand.
    pub(super) floor: usize,
    /// Number of calls, for comparison with other kinds.
    pub(super) calls: f64,
    /// Number that exists, including those being started.
    pub(super) held: usize,
    /// Memory of one of them, in bytes.
    pub(super) bytes: u64,
}

/// Limits of the whole pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PoolLimits {
    /// Number of sandboxes.
    pub(super) places: usize,
    /// Their memory, in bytes.
    pub(super) bytes: u64,
}

impl PoolLimits {
    /// No sandbox at all.
    pub(super) const NONE: Self = Self { places: 0, bytes: 0 };
}

/// Calls that each kind counts in addition, so that kinds without calls share what is
/// left.
const NEARLY_NONE: f64 = 0.001;

/// Divides the places: first for floors, then for demand. Each place goes to the kind
/// with the most calls per place that it would then have (the D'Hondt method), so that
/// the least used kind gives way and no busy kind takes everything. Among equals it goes
/// to a kind that already has the sandbox, so that none is removed to start another one
/// like it.
pub(super) fn plan(candidates: &[Candidate], limits: PoolLimits) -> Vec<usize> {
    let mut shares = vec![0; candidates.len()];
    let left = share_out(candidates, &mut shares, limits, |it| it.floor);
    share_out(candidates, &mut shares, left, |it| it.wanted.max(it.floor));
    shares
}

/// Gives each kind up to `most` places; returns the limits that are left.
fn share_out(
    candidates: &[Candidate],
    shares: &mut [usize],
    mut limits: PoolLimits,
    most: impl Fn(&Candidate) -> usize,
) -> PoolLimits {
    while limits.places > 0 {
        let open = candidates.iter().zip(shares.iter()).enumerate();
        let open = open.filter(|(_, (it, has))| **has < most(it) && it.bytes <= limits.bytes);
        let best = open.max_by(|(_, (a, of_a)), (_, (b, of_b))| {
            let by_calls = quotient(a, **of_a).total_cmp(&quotient(b, **of_b));
            by_calls.then((a.held > **of_a).cmp(&(b.held > **of_b)))
        });
        let Some((index, _)) = best else { break };
        shares[index] += 1;
        limits.places -= 1;
        limits.bytes -= candidates[index].bytes;
    }
    limits
}

#[expect(clippy::cast_precision_loss, reason = "places are few")]
fn quotient(candidate: &Candidate, has: usize) -> f64 {
    (candidate.calls + NEARLY_NONE) / (has + 1) as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn candidate(wanted: usize, calls: f64) -> Candidate {
        Candidate { wanted, floor: 0, calls, held: 0, bytes: 1 }
    }

    fn floor(floor: usize, calls: f64) -> Candidate {
        Candidate { floor, ..candidate(0, calls) }
    }

    fn places(places: usize) -> PoolLimits {
        PoolLimits { places, bytes: u64::MAX }
    }

    #[test]
    fn everybody_gets_what_is_wanted_while_there_is_room() {
        assert_eq!(
            plan(&[candidate(3, 1.0), candidate(0, 9.0), candidate(2, 0.1)], places(8)),
            [3, 0, 2]
        );
        assert_eq!(plan(&[candidate(3, 1.0)], places(0)), [0]);
        assert_eq!(plan(&[], places(8)), Vec::<usize>::new());
    }

    #[test]
    fn places_go_where_the_calls_are() {
        assert_eq!(plan(&[candidate(8, 60.0), candidate(8, 20.0)], places(8)), [6, 2]);
        assert_eq!(plan(&[candidate(8, 100.0), candidate(1, 13.0)], places(8)), [7, 1]);
        assert_eq!(plan(&[candidate(8, 100.0), candidate(1, 0.5)], places(8)), [8, 0]);
    }

    #[test]
    fn floors_come_first_and_share_what_is_too_little_by_their_calls() {
        assert_eq!(plan(&[candidate(8, 100.0), floor(2, 0.0)], places(4)), [2, 2]);
        assert_eq!(plan(&[floor(4, 30.0), floor(4, 10.0)], places(4)), [3, 1]);
        assert_eq!(plan(&[floor(4, 0.0), floor(4, 0.0)], places(4)), [2, 2]);
        // Demand above the floor is met, too.
        let both = Candidate { floor: 1, ..candidate(3, 1.0) };
        assert_eq!(plan(&[both, floor(2, 0.0)], places(8)), [3, 2]);
    }

    #[test]
    fn of_equals_those_stay_that_are_there() {
        let held = |held| Candidate { held, ..floor(1, 0.0) };
        assert_eq!(plan(&[held(1), held(0), held(0)], places(1)), [1, 0, 0]);
        assert_eq!(plan(&[held(0), held(1), held(0)], places(1)), [0, 1, 0]);
    }

    #[test]
    fn what_does_not_fit_the_memory_leaves_it_to_what_does() {
        let large = Candidate { bytes: 64, ..floor(2, 9.0) };
        let limits = PoolLimits { places: 8, bytes: 100 };
        assert_eq!(plan(&[large, Candidate { bytes: 8, ..floor(9, 1.0) }], limits), [1, 4]);
        assert_eq!(plan(&[large], PoolLimits { places: 8, bytes: 63 }), [0]);
        assert_eq!(plan(&[large], PoolLimits::NONE), [0]);
    }

    proptest! {
        #[test]
        fn no_place_is_wasted_and_none_is_invented(
            candidates in proptest::collection::vec(
                (0..20_usize, 0..5_usize, 0.0..1e6_f64, 0..4_usize, 1..9_u64), 0..30,
            ),
            size in 0..64_usize, bytes in 0..400_u64,
        ) {
            let candidates: Vec<_> = candidates
                .into_iter()
                .map(|(wanted, floor, calls, held, bytes)| Candidate { wanted, floor, calls, held, bytes })
                .collect();
            let limits = PoolLimits { places: size, bytes };
            let shares = plan(&candidates, limits);
            let most = |it: &Candidate| it.wanted.max(it.floor);
            let places: usize = shares.iter().sum();
            let used: u64 = shares.iter().zip(&candidates).map(|(has, it)| *has as u64 * it.bytes).sum();
            prop_assert!(places <= size && used <= bytes);
            prop_assert!(shares.iter().zip(&candidates).all(|(has, it)| *has <= most(it)));
            // A kind with less than it wants does not fit any more.
            let fits = |it: &Candidate| places < size && used + it.bytes <= bytes;
            prop_assert!(shares.iter().zip(&candidates).all(|(has, it)| *has == most(it) || !fits(it)));
            let is_enough = |limits: PoolLimits| plan(&candidates, limits) == candidates.iter().map(most).collect::<Vec<_>>();
            let large = PoolLimits { places: 1_000, bytes: u64::MAX };
            prop_assert!(is_enough(large));
        }

        #[test]
        fn nothing_else_takes_the_place_of_a_floor(
            candidates in proptest::collection::vec((0..20_usize, 0..5_usize, 0.0..1e6_f64), 0..30),
            size in 0..64_usize,
        ) {
            let candidates: Vec<_> = candidates
                .into_iter()
                .map(|(wanted, floor, calls)| Candidate { floor, ..candidate(wanted, calls) })
                .collect();
            let shares = plan(&candidates, places(size));
            let met: usize = shares.iter().zip(&candidates).map(|(has, it)| (*has).min(it.floor)).sum();
            let floors: usize = candidates.iter().map(|it| it.floor).sum();
            prop_assert_eq!(met, floors.min(size));
        }
    }
}
