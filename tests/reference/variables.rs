//! Environment variables: those that the program reads stand in the reference, and
//! the pages name no others.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::page::{path, read};

const PAGE: &str = "docs/configuration.md";

/// Names with the prefix that are no settings: constants, what the build hands to the
/// compiler, and what the tests are told.
const OTHERS: [&str; 9] = [
    "GANTRY_BUNDLE",
    "GANTRY_FAILED",
    "GANTRY_INIT",
    "GANTRY_PROBE",
    "GANTRY_INPUTS",
    "GANTRY_STAND_BY",
    "GANTRY_TARGET",
    "GANTRY_TEST_POSTGRES_URL",
    "GANTRY_X",
];

/// All files below a folder whose name ends so.
pub(crate) fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        match entry.file_type().unwrap().is_dir() {
            true if name == "target" || name == "node_modules" || name.starts_with('.') => {}
            true => found.extend(files(&entry.path(), ending)),
            false if name.ends_with(ending) => found.push(entry.path()),
            false => {}
        }
    }
    found.sort();
    found
}

/// A source without its tests.
fn production(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    text.split("\n#[cfg(test)]").next().unwrap_or_default().to_owned()
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// `GANTRY_…` names in a text.
fn ours(text: &str) -> BTreeSet<String> {
    let ours = words(text).filter(|it| it.starts_with("GANTRY_") && *it != "GANTRY_");
    ours.filter(|it| !OTHERS.contains(it)).map(str::to_owned).collect()
}

fn documented() -> BTreeSet<String> {
    words(&read(PAGE)).map(str::to_owned).collect()
}

/// Names of variables in the literals of a source, without names of flags' values.
fn names_in(source: &str) -> Vec<String> {
    let is_capital = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let is_name = |text: &str| text.len() >= 4 && text.chars().all(is_capital);
    let pieces: Vec<_> = source.split('"').collect();
    let literals = pieces.chunks(2).filter_map(|it| Some((it.first()?, it.get(1)?)));
    let literals = literals.filter(|(before, _)| !before.ends_with("value_name = "));
    let names = literals.map(|(_, literal)| *literal);
    names.filter(|it| is_name(it) || it.ends_with("_proxy")).map(str::to_owned).collect()
}

/// Names of variables in the only module that reads the environment.
fn read_by_the_program() -> BTreeSet<String> {
    let mut sources = files(&path("src/config"), ".rs");
    sources.push(path("src/config.rs"));
    sources.iter().flat_map(|it| names_in(&production(it))).collect()
}

#[test]
fn every_variable_that_is_read_is_documented() {
    let (read, documented) = (read_by_the_program(), documented());
    assert!(read.len() > 30 && read.contains("GANTRY_LOG_FORMAT"), "{read:?}");
    let missing: Vec<_> = read.difference(&documented).collect();
    assert!(missing.is_empty(), "{PAGE} does not say what these do: {missing:?}");
}

#[test]
fn hints_and_pages_name_no_other_variables() {
    let known = read_by_the_program();
    let sources = files(&path("src"), ".rs").into_iter().map(|it| (production(&it), it));
    let examples = [".env", ".service", ".yml"].into_iter();
    let examples = examples.flat_map(|ending| files(&path("docs"), ending));
    let pages = files(&path("."), ".md").into_iter().chain(examples);
    let pages = pages.map(|it| (std::fs::read_to_string(&it).unwrap(), it));
    for (text, path) in sources.chain(pages) {
        let unknown: Vec<_> = ours(&text).into_iter().filter(|it| !known.contains(it)).collect();
        assert!(unknown.is_empty(), "{}: nothing reads {unknown:?}", path.display());
    }
}
