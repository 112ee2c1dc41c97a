//! Finds the requirement that an installer's error is about. Messages change between the
//! installer's versions, so their grammar is not used: the error only has to name the
//! package.

use std::collections::HashMap;

use super::requirement::{Requirement, normalised_name};

/// Endings of file names that contain a package's name and version.
const ARCHIVES: [&str; 3] = [".tar.gz", ".zip", ".tgz"];

/// Requirement whose name comes first as a whole word. If two lines require the same
/// package, the first of them.
pub(super) fn first_named<'a>(
    requirements: &'a [Requirement],
    words: &str,
) -> Option<&'a Requirement> {
    let mut by_name = HashMap::new();
    for requirement in requirements {
        by_name.entry(requirement.name()).or_insert(requirement);
    }
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    words
        .split(|c| !is_part(c))
        .filter(|word| !word.is_empty())
        .map(|word| normalised_name(named_by(word)))
        .find_map(|name| by_name.get(name.as_str()).copied())
}

/// Package that a word names: the word without a trailing full stop, or the name in a file
/// name (`name-1.0-py3-none-any.whl`, `name-1.0.tar.gz`).
fn named_by(word: &str) -> &str {
    let word = word.trim_matches(['.', '-', '_']);
    if word.ends_with(".whl") {
        return word.split('-').next().unwrap_or(word);
    }
    let archive = ARCHIVES.iter().find_map(|ending| word.strip_suffix(ending));
    archive.and_then(|stem| stem.rsplit_once('-')).map_or(word, |(name, _)| name)
}
