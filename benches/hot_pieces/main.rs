//! The pieces that every execution goes through, each by itself: `cargo bench
//! --bench hot_pieces`. What they cost together, with an engine, is measured by
//! `figures`.

#![allow(clippy::unwrap_used, reason = "it shares what the store's tests are made with")]

mod claims;
mod frames;
mod outcomes;
mod specs;

fn main() {
    divan::main();
}
