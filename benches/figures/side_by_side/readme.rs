//! The goals in `benches/README.md`, so that nobody has to copy them.

use std::fmt::Write as _;
use std::path::Path;

use super::goals::goals;
use super::results::Results;
use crate::Failure;
use crate::harness::goal::{COLUMNS, Goal};

const BEGIN: &str = "<!-- written by make bench: begin -->\n";
const END: &str = "<!-- written by make bench: end -->";

/// Writes what was measured between the two marks.
pub(crate) fn update(machine: &str, results: &Results) -> Result<(), Failure> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/README.md");
    let text = std::fs::read_to_string(&path)?;
    let (before, rest) =
        text.split_once(BEGIN).ok_or("benches/README.md has no place for figures")?;
    let (_, after) =
        rest.split_once(END).ok_or("the place for figures in benches/README.md has no end")?;
    let mut table = format!("On {machine}.\n\n{COLUMNS}\n|---|---|---|---|\n");
    for goal in goals(results).iter().map(Goal::row) {
        let _ = writeln!(table, "{goal}");
    }
    Ok(std::fs::write(path, format!("{before}{BEGIN}{table}{END}{after}"))?)
}
