//! Tables for people. What is in them may come from outside: it is cut and
//! escaped.

use std::io::{self, Write};

use crate::domain::sanitize::sanitize;

/// Prints rows under a header, in columns as wide as they need to be.
///
/// # Errors
/// When stdout can't be written to.
pub(super) fn print<'a>(
    header: impl AsRef<[&'a str]>,
    rows: &[impl AsRef<[String]>],
) -> io::Result<()> {
    let header: Vec<String> = header.as_ref().iter().map(|&title| title.to_owned()).collect();
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.as_ref().iter().map(|cell| sanitize(cell)).collect()).collect();
    let all = || std::iter::once(&header).chain(&rows);
    let width = |column: usize| {
        all().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<usize> = (0..header.len()).map(|column| width(column).unwrap_or(0)).collect();
    let mut stdout = io::stdout().lock();
    for row in all() {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        writeln!(stdout, "{}", line.trim_end())?;
    }
    Ok(())
}
