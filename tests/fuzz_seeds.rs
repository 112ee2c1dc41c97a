//! What fuzzers hold against all that Gantry reads, with the inputs that they start
//! from: these are tested without a fuzzer, too.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "part of tests")]
#![allow(unreachable_pub, reason = "the fuzzers' crate shows the same to its targets")]

use std::fs;
use std::path::Path;

#[path = "fuzz/src/lib.rs"]
mod fuzz;

/// Most seeds of a target, and most bytes of a seed: they are read by people.
const FEW: usize = 11;
const SHORT: usize = 4096;

/// Calls `hold` with each seed of a target. Some are taken and some are not: seeds
/// that the code has left behind would test nothing.
#[track_caller]
fn replay(target: &str, hold: fn(&[u8]) -> bool) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/seeds").join(target);
    let mut taken = Vec::new();
    for seed in fs::read_dir(folder).unwrap() {
        let path = seed.unwrap().path();
        println!("{}", path.display());
        let bytes = fs::read(&path).unwrap();
        assert!(bytes.len() <= SHORT);
        taken.push(hold(&bytes));
    }
    assert!(taken.len() <= FEW);
    assert!(taken.contains(&true) && taken.contains(&false), "{taken:?}");
}

#[test]
fn bodies_of_requests() {
    replay("bodies", fuzz::bodies::hold);
}

#[test]
fn archives_of_bundles() {
    replay("bundles", fuzz::bundles::hold);
}

#[test]
fn frames_of_a_hostile_container() {
    replay("conversation", fuzz::conversation::hold);
}

#[test]
fn json_documents() {
    replay("documents", fuzz::documents::hold);
}

#[test]
fn programs() {
    replay("elf", fuzz::elf::hold);
}

#[test]
fn events_of_a_server() {
    replay("events", fuzz::events::hold);
}

#[test]
fn layers_of_a_hostile_build() {
    replay("layer", fuzz::layer::hold);
}

#[test]
fn orders_of_stored_logs() {
    replay("output_order", fuzz::output_order::hold);
}

#[test]
fn logs_that_begin_again() {
    replay("replay", fuzz::replay::hold);
}

#[test]
fn requirements() {
    replay("requirements", fuzz::requirements::hold);
}

#[test]
fn json_schemas() {
    replay("schemas", fuzz::schemas::hold);
}
