//! Artifacts folded for people: by folder, and numbered ones of the same name as one
//! sequence. Pure: names are foreign text, and nothing here says how it is shown.

use std::collections::{BTreeMap, HashMap};

use crate::domain::execution::Artifact;

/// Fewest files of a sequence.
const MIN_SEQUENCE: usize = 3;

/// Most digits of a number in a sequence: those of a u64.
const MAX_DIGITS: usize = 18;

/// Folder with the artifacts in it, without those of the folders below it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Folder {
    /// Path below `/work/out`; empty for that itself.
    pub(super) name: String,
    /// Files and sequences, in the order of their first file.
    pub(super) entries: Vec<Entry>,
    /// Number of files.
    pub(super) files: usize,
    /// Bytes of all files.
    pub(super) bytes: u64,
}

/// Entry of a folder.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// Artifact at this index.
    File(usize),
    /// Numbered artifacts.
    Sequence(Sequence),
}

/// Artifacts whose names differ in one number.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sequence {
    /// Indexes of the artifacts, by their number.
    pub(super) members: Vec<usize>,
    /// Numbers that are missing between the first and the last one.
    pub(super) missing: u64,
    /// Bytes of all files.
    pub(super) bytes: u64,
}

/// Beginning and end of a name around its number.
type Around<'a> = (&'a str, &'a str);

/// Folds artifacts. Each is in one folder, alone or in a sequence; those that were not taken
/// are in no sequence.
pub(super) fn folded(artifacts: &[Artifact]) -> Vec<Folder> {
    let mut folders: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, artifact) in artifacts.iter().enumerate() {
        let (folder, _) = split(&artifact.name);
        folders.entry(folder).or_default().push(index);
    }
    folders.into_iter().map(|(name, indexes)| one(name, &indexes, artifacts)).collect()
}

fn one(name: &str, indexes: &[usize], artifacts: &[Artifact]) -> Folder {
    let mut numbered: HashMap<Around<'_>, Vec<(u64, usize)>> = HashMap::new();
    for (index, artifact) in of(indexes, artifacts) {
        if let Some((around, number)) = number(split(&artifact.name).1)
            && artifact.skipped.is_none()
        {
            numbered.entry(around).or_default().push((number, index));
        }
    }
    numbered.retain(|_, members| members.len() >= MIN_SEQUENCE);
    let mut entries = Vec::new();
    for (index, artifact) in of(indexes, artifacts) {
        let around = number(split(&artifact.name).1).filter(|_| artifact.skipped.is_none());
        match around.filter(|(around, _)| numbered.contains_key(around)) {
            None => entries.push(Entry::File(index)),
            Some((around, _)) => {
                // Empty when its first file has brought the whole sequence.
                let members = numbered.get_mut(&around).map(std::mem::take).unwrap_or_default();
                entries.extend(sequence(members, artifacts).map(Entry::Sequence));
            }
        }
    }
    Folder {
        name: name.to_owned(),
        entries,
        files: indexes.len(),
        bytes: of(indexes, artifacts).map(|(_, it)| it.bytes).fold(0, u64::saturating_add),
    }
}

fn of<'a>(
    indexes: &'a [usize],
    artifacts: &'a [Artifact],
) -> impl Iterator<Item = (usize, &'a Artifact)> {
    indexes.iter().filter_map(|&index| Some((index, artifacts.get(index)?)))
}

fn sequence(mut members: Vec<(u64, usize)>, artifacts: &[Artifact]) -> Option<Sequence> {
    members.sort_unstable();
    let (first, last) = members.first().zip(members.last())?;
    let mut numbers: Vec<_> = members.iter().map(|(number, _)| *number).collect();
    numbers.dedup();
    let span = last.0.saturating_sub(first.0).saturating_add(1);
    let members: Vec<usize> = members.iter().map(|(_, index)| *index).collect();
    Some(Sequence {
        missing: span.saturating_sub(numbers.len() as u64),
        bytes: of(&members, artifacts).map(|(_, it)| it.bytes).fold(0, u64::saturating_add),
        members,
    })
}

/// Folder and last part of a name.
pub(super) fn split(name: &str) -> (&str, &str) {
    name.rsplit_once('/').unwrap_or(("", name))
}

/// Last number before the ending of a name, and what is around it.
fn number(name: &str) -> Option<(Around<'_>, u64)> {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let end = stem.rfind(|c: char| c.is_ascii_digit())? + 1;
    let (before, _) = stem.split_at_checked(end)?;
    let start = before.rfind(|c: char| !c.is_ascii_digit()).map_or(0, |at| {
        at + before.get(at..).and_then(|it| it.chars().next()).map_or(1, char::len_utf8)
    });
    let digits = before.get(start..)?;
    let number = digits.parse().ok().filter(|_| digits.len() <= MAX_DIGITS)?;
    Some(((name.get(..start)?, name.get(end..)?), number))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn artifacts(names: &[&str]) -> Vec<Artifact> {
        names.iter().map(|name| Artifact::kept((*name).to_owned(), 2)).collect()
    }

    fn members(entry: &Entry) -> &[usize] {
        match entry {
            Entry::File(index) => std::slice::from_ref(index),
            Entry::Sequence(sequence) => &sequence.members,
        }
    }

    #[test]
    fn numbered_files_are_one_entry_in_the_order_of_their_numbers() {
        let all = artifacts(&["f_10.png", "note.txt", "f_9.png", "f_1.png", "f_1.jpg", "f.png"]);
        let folders = folded(&all);
        assert_eq!((folders.len(), folders[0].files, folders[0].bytes), (1, 6, 12));
        let entries: Vec<_> = folders[0].entries.iter().map(members).collect();
        assert_eq!(entries, [vec![3, 2, 0], vec![1], vec![4], vec![5]]);
        let Entry::Sequence(frames) = &folders[0].entries[0] else { panic!() };
        assert_eq!((frames.missing, frames.bytes), (7, 6));
    }

    #[test]
    fn the_last_number_before_the_ending_counts() {
        let found = |name| number(name).map(|((before, after), number)| (before, number, after));
        assert_eq!(found("shot_010_v002.0017.exr"), Some(("shot_010_v002.", 17, ".exr")));
        assert_eq!(found("a.mp4"), None);
        assert_eq!(found("7"), Some(("", 7, "")));
        assert_eq!(found("ü7ü.png"), Some(("ü", 7, "ü.png")));
        assert_eq!(found("no number"), None);
        assert_eq!(found("0123456789012345678.png"), None);
    }

    #[test]
    fn folders_are_apart_and_two_files_are_no_sequence() {
        let all = artifacts(&["a/1.png", "b/1.png", "a/2.png", "1.png", "b/2.png", "a/3.png"]);
        let folders = folded(&all);
        let seen: Vec<_> =
            folders.iter().map(|it| (it.name.as_str(), it.files, it.entries.len())).collect();
        assert_eq!(seen, [("", 1, 1), ("a", 3, 1), ("b", 2, 2)]);
    }

    #[test]
    fn what_was_not_taken_is_in_no_sequence() {
        let mut all = artifacts(&["1.png", "2.png", "3.png", "4.png"]);
        all[1].skipped = Some("too large".to_owned());
        let entries = &folded(&all)[0].entries;
        assert_eq!(entries.iter().map(members).collect::<Vec<_>>(), [vec![0, 2, 3], vec![1]]);
    }

    proptest! {
        #[test]
        fn each_artifact_is_in_one_place(names in prop::collection::vec("[a/.1ü]{1,6}", 0..40)) {
            let names: Vec<_> = names.iter().map(String::as_str).collect();
            let folders = folded(&artifacts(&names));
            let mut seen: Vec<_> =
                folders.iter().flat_map(|it| &it.entries).flat_map(members).copied().collect();
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..names.len()).collect::<Vec<_>>());
            prop_assert_eq!(folders.iter().map(|it| it.files).sum::<usize>(), names.len());
        }
    }
}
