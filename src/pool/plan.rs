//! Which kinds of sandboxes are held, and how many of each. Pure.

/// What one kind would have.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Wish {
    /// How many are worth holding.
    pub(super) wanted: usize,
    /// How often it is called, compared with others.
    pub(super) calls: f64,
}

/// Shares out at most `size` places. Each goes to whoever has the most calls for
/// each place that it would have then (the method of D'Hondt), so that the least
/// useful gives way and nobody who is called often takes all.
pub(super) fn plan(wishes: &[Wish], size: usize) -> Vec<usize> {
    let mut shares = vec![0; wishes.len()];
    for _ in 0..size {
        let open =
            wishes.iter().zip(&shares).enumerate().filter(|(_, (it, has))| **has < it.wanted);
        let best = open.max_by(|(_, (a, of_a)), (_, (b, of_b))| {
            quotient(a, **of_a).total_cmp(&quotient(b, **of_b))
        });
        match best.map(|(index, _)| index) {
            Some(index) => shares[index] += 1,
            None => break,
        }
    }
    shares
}

#[expect(clippy::cast_precision_loss, reason = "places are few")]
fn quotient(wish: &Wish, has: usize) -> f64 {
    wish.calls / (has + 1) as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wish(wanted: usize, calls: f64) -> Wish {
        Wish { wanted, calls }
    }

    #[test]
    fn everybody_gets_what_is_wanted_while_there_is_room() {
        assert_eq!(plan(&[wish(3, 1.0), wish(0, 9.0), wish(2, 0.1)], 8), [3, 0, 2]);
        assert_eq!(plan(&[wish(3, 1.0)], 0), [0]);
        assert_eq!(plan(&[], 8), Vec::<usize>::new());
    }

    #[test]
    fn places_go_where_the_calls_are() {
        assert_eq!(plan(&[wish(8, 60.0), wish(8, 20.0)], 8), [6, 2]);
        assert_eq!(plan(&[wish(8, 100.0), wish(1, 13.0)], 8), [7, 1]);
        assert_eq!(plan(&[wish(8, 100.0), wish(1, 0.5)], 8), [8, 0]);
    }

    proptest! {
        #[test]
        fn no_place_is_wasted_and_none_is_invented(
            wishes in proptest::collection::vec((0..20_usize, 0.0..1e6_f64), 0..30), size in 0..64_usize,
        ) {
            let wishes: Vec<_> = wishes.into_iter().map(|(wanted, calls)| wish(wanted, calls)).collect();
            let shares = plan(&wishes, size);
            let wanted: usize = wishes.iter().map(|it| it.wanted).sum();
            prop_assert_eq!(shares.iter().sum::<usize>(), size.min(wanted));
            prop_assert!(shares.iter().zip(&wishes).all(|(has, it)| *has <= it.wanted));
        }
    }
}
