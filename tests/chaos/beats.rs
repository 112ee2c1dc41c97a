//! How long scripts live that ignore TERM: they write the time down as long as they
//! do, where the server and the engine have no hand in it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// Seconds that a script may live beyond its timeout: the time that it has to obey
/// (DESIGN, "gantry-init"), and one for the machine.
pub(crate) const BEYOND: f64 = 2.0;

/// From the first to the last sign of life of each; its id before it.
pub(crate) fn lives(beats: &Path) -> BTreeMap<String, Duration> {
    let text = fs::read_to_string(beats).unwrap();
    let mut seen = BTreeMap::<&str, (f64, f64)>::new();
    let beats = text.lines().filter_map(|line| {
        let (id, at) = line.split_once(' ')?;
        Some((id, at.parse().ok()?))
    });
    for (id, at) in beats {
        let (first, last) = seen.entry(id).or_insert((at, at));
        *first = first.min(at);
        *last = last.max(at);
    }
    let life = |(first, last): (f64, f64)| Duration::from_secs_f64(last - first);
    seen.into_iter().map(|(id, beats)| (id.to_owned(), life(beats))).collect()
}
