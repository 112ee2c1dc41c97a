//! What must hold for anything that Gantry reads and did not write: frames of a hostile
//! container, callers' bodies, uploaded programs, answers of a server.
//!
//! Each module has a `hold`, which panics when it does not, and says whether its input
//! was taken. Fuzzers call them with what they make up, and an ordinary test
//! (`tests/fuzz_seeds.rs`) with the seeds that are checked in.

pub mod bodies;
pub mod bundles;
pub mod conversation;
pub mod documents;
pub mod elf;
pub mod events;
pub mod layer;
pub mod output_order;
pub mod replay;
pub mod requirements;
pub mod schemas;

/// What may be said of foreign input: something, in one line, and not all of it.
#[track_caller]
fn is_short(text: &str) {
    assert!(!text.is_empty() && text.len() <= 4_096, "{} bytes", text.len());
    assert!(!text.contains(char::is_control), "{text:?}");
}

/// Nothing that a terminal or a line-wise reader would obey.
#[track_caller]
fn is_visible(text: &str) {
    assert!(!text.contains(char::is_control), "{text:?}");
}
