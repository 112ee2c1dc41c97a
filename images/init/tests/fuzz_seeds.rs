//! Runs the fuzz targets of both ends of the protocol on their seeds: these are tested
//! without a fuzzer, too.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]
#![allow(unreachable_pub, reason = "the fuzzers' crate shows the same to its targets")]

use std::fs;
use std::path::Path;

#[path = "../fuzz/src/lib.rs"]
mod fuzz;

/// Most seeds of a target, and most bytes of a seed: they are read by people.
const FEW: usize = 12;
const SHORT: usize = 4096;

/// Calls `hold` with each seed of a target. Some are understood to the end and some
/// are not: seeds that the protocol has left behind would test nothing.
#[track_caller]
fn replay(target: &str, hold: fn(&[u8]) -> bool) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let mut understood = Vec::new();
    for seed in fs::read_dir(folder).unwrap() {
        let path = seed.unwrap().path();
        println!("{}", path.display());
        let bytes = fs::read(&path).unwrap();
        assert!(bytes.len() <= SHORT);
        understood.push(hold(&bytes));
    }
    assert!(understood.len() <= FEW);
    assert!(understood.contains(&true) && understood.contains(&false), "{understood:?}");
}

#[test]
fn answers_of_a_container() {
    replay("answers", fuzz::answers::hold);
}

#[test]
fn requests_to_pid_one() {
    replay("requests", fuzz::requests::hold);
}

#[test]
fn the_line_of_a_process_that_stands_by() {
    replay("ready_line", fuzz::ready_line::hold);
}
