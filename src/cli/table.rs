//! Tables for people. What is in them may come from outside: it is cut and
//! escaped.

use std::io::{self, Write};

use crate::domain::sanitize::sanitize;

/// Prints rows under a header, in columns as wide as they need to be.
///
/// # Errors
/// When stdout can't be written to.
pub(super) fn print<const COLUMNS: usize>(
    header: [&str; COLUMNS],
    rows: &[[String; COLUMNS]],
) -> io::Result<()> {
    let header = header.map(str::to_owned);
    let rows: Vec<[String; COLUMNS]> =
        rows.iter().map(|row| row.each_ref().map(|cell| sanitize(cell))).collect();
    let all = || std::iter::once(&header).chain(&rows);
    let width = |column: usize| {
        all().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<usize> = (0..COLUMNS).map(|column| width(column).unwrap_or(0)).collect();
    let mut stdout = io::stdout().lock();
    for row in all() {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        writeln!(stdout, "{}", line.trim_end())?;
    }
    Ok(())
}
