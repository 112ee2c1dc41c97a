//! The probe's results for people: one row for all sandboxes with the same result.

use std::io::{self, Write};

use crate::cli::table;
use crate::doctor::{Check, Probed};

/// Prints it, what is not as expected once more at the end.
pub(super) fn print(all: &[Probed]) -> io::Result<()> {
    let rows = rows(all);
    let mut group = "";
    let mut printed: Vec<&Row<'_>> = Vec::new();
    for row in &rows {
        if row.check.group != group {
            print_group(group, &printed)?;
            printed.clear();
            group = &row.check.group;
        }
        printed.push(row);
    }
    print_group(group, &printed)?;
    summary(all, &rows)
}

struct Row<'a> {
    check: &'a Check,
    sandboxes: Vec<&'a Probed>,
    /// True if these are all sandboxes, with the same result.
    is_everywhere: bool,
}

/// By group, in the order in which these were met first.
fn rows(all: &[Probed]) -> Vec<Row<'_>> {
    let mut rows: Vec<Row<'_>> = Vec::new();
    for sandbox in all {
        for check in &sandbox.checks {
            match rows.iter_mut().find(|row| row.check == check) {
                Some(row) => row.sandboxes.push(sandbox),
                None => rows.push(Row { check, sandboxes: vec![sandbox], is_everywhere: false }),
            }
        }
    }
    let mut groups: Vec<&str> = Vec::new();
    for row in &mut rows {
        row.is_everywhere = row.sandboxes.len() == all.len();
        if !groups.contains(&row.check.group.as_str()) {
            groups.push(&row.check.group);
        }
    }
    rows.sort_by_key(|row| groups.iter().position(|it| *it == row.check.group));
    rows
}

fn print_group(group: &str, rows: &[&Row<'_>]) -> io::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let cells: Vec<_> = rows.iter().map(|row| cells(row)).collect();
    let title = group.to_uppercase();
    table::print([title.as_str(), "EXPECTED", "FOUND", "", "IN"], &cells)?;
    writeln!(io::stdout())
}

fn cells(row: &Row<'_>) -> [String; 5] {
    let Check { what, expected, found, is_met, .. } = row.check;
    let standing = if *is_met { "ok" } else { "NOT ok" };
    [what.clone(), expected.clone(), found.clone(), standing.to_owned(), sandboxes(row)]
}

fn sandboxes(row: &Row<'_>) -> String {
    if row.is_everywhere {
        return "all".to_owned();
    }
    row.sandboxes.iter().map(|it| it.kind.to_string()).collect::<Vec<_>>().join(" ")
}

fn summary(all: &[Probed], rows: &[Row<'_>]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    for sandbox in all {
        let Probed { kind, error, checks } = sandbox;
        let met = checks.iter().filter(|it| it.is_met).count();
        match error {
            Some(error) => writeln!(stdout, "{kind}: NOT ok: {error}")?,
            None => writeln!(stdout, "{kind}: {met} of {} as expected", checks.len())?,
        }
    }
    for row in rows.iter().filter(|row| !row.check.is_met) {
        let Check { group, what, expected, found, .. } = row.check;
        let kinds = sandboxes(row);
        writeln!(stdout, "NOT ok: {group}, {what}: {found}, expected {expected} ({kinds})")?;
    }
    Ok(())
}
