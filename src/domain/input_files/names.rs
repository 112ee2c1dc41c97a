//! Names that can't stand in one folder beside each other. Besides equal ones these are a
//! file that is also a folder, and twins: names that differ only in case or in the Unicode
//! form of a letter, and would be one file on another file system.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use gantry_init::artifact_name::is_allowed;
use unicode_normalization::UnicodeNormalization;

use super::manifest::MANIFEST_NAME;
use crate::domain::sanitize::sanitize;

/// Name that is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameFault {
    /// Name, as it was sent.
    pub name: String,
    /// Reason, with advice.
    pub reason: String,
}

/// Name or folder that is taken.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Taken<'a> {
    File(&'a str),
    Folder(&'a str),
}

/// Faults of names that are put below one folder together, in their order.
#[must_use]
pub fn check_names<'a>(names: impl Iterator<Item = &'a str>) -> Vec<NameFault> {
    let mut places = Places::default();
    let fault = |name: &str, reason: String| NameFault { name: name.to_owned(), reason };
    names.filter_map(|name| places.add(name).err().map(|reason| fault(name, reason))).collect()
}

/// Places below the folder, by their names without case and in one Unicode form.
#[derive(Default)]
struct Places<'a>(HashMap<String, Taken<'a>>);

impl<'a> Places<'a> {
    fn add(&mut self, name: &'a str) -> Result<(), String> {
        if !is_allowed(name) {
            return Err("it is not a relative path of plain names, or is too long: it must be \
                        UTF-8 without `\\`, `.`, `..` and control characters"
                .to_owned());
        }
        if name.split('/').next() == Some(MANIFEST_NAME) {
            return Err(format!("{MANIFEST_NAME} is the manifest of the inputs: use another name"));
        }
        let key = folded(name);
        for (end, folder) in folders(name).zip(folders(&key)) {
            self.take(folder.to_owned(), Taken::Folder(end))?;
        }
        self.take(key, Taken::File(name))
    }

    fn take(&mut self, key: String, taking: Taken<'a>) -> Result<(), String> {
        match self.0.entry(key) {
            Entry::Vacant(free) => {
                free.insert(taking);
                Ok(())
            }
            Entry::Occupied(taken) => match (*taken.get(), taking) {
                (Taken::Folder(one), Taken::Folder(other)) if one == other => Ok(()),
                (Taken::File(one), Taken::File(other)) if one == other => {
                    Err("it is there more than once".to_owned())
                }
                (Taken::File(one), Taken::Folder(other)) if one == other => {
                    Err(format!("{:?} is a file: nothing can be below it", sanitize(one)))
                }
                (Taken::Folder(one), Taken::File(other)) if one == other => {
                    Err("it is also a folder of other files".to_owned())
                }
                (Taken::File(one) | Taken::Folder(one), _) => Err(format!(
                    "it differs from {:?} only in case or in the Unicode form of a letter",
                    sanitize(one)
                )),
            },
        }
    }
}

/// Folders of a path, outermost first.
fn folders(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').filter_map(|(end, _)| path.get(..end))
}

/// Key that is equal for names that some file system takes for one (Unicode's canonical
/// caseless matching, D145, with simple lowercase). No `/` comes or goes.
fn folded(name: &str) -> String {
    if name.is_ascii() {
        return name.to_ascii_lowercase();
    }
    let lower = name.nfd().collect::<String>().to_lowercase();
    lower.nfc().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refused(names: &[&str]) -> Vec<String> {
        check_names(names.iter().copied()).into_iter().map(|it| it.name).collect()
    }

    #[test]
    fn plain_names_stand_beside_each_other() {
        let names = ["a", "b/a", "b/c", "b/d/e.mov", "ä", "b.mov", "c/b", "-rf", "a b", ".hidden"];
        assert_eq!(refused(&names), [""; 0]);
    }

    #[test]
    fn what_leads_elsewhere_or_can_t_be_shown_is_refused() {
        let long = "x".repeat(5_000);
        for name in ["", "/a", "a/", "../a", "a/../b", "./a", "a//b", "a\\b", "a\0", "a\nb", &long]
        {
            assert_eq!(refused(&[name]), [name]);
        }
        assert_eq!(refused(&[MANIFEST_NAME]), [MANIFEST_NAME]);
        assert_eq!(refused(&[".gantry-inputs.json/a"]), [".gantry-inputs.json/a"]);
    }

    #[test]
    fn equal_names_and_files_that_are_folders_are_refused() {
        assert_eq!(refused(&["a", "a"]), ["a"]);
        assert_eq!(refused(&["a", "a/b"]), ["a/b"]);
        assert_eq!(refused(&["a/b", "a"]), ["a"]);
        assert_eq!(refused(&["a/b/c", "a/b"]), ["a/b"]);
    }

    #[test]
    fn twins_in_case_or_form_are_refused() {
        assert_eq!(refused(&["Plate.mov", "plate.mov"]), ["plate.mov"]);
        assert_eq!(refused(&["\u{e9}.mov", "e\u{301}.mov"]), ["e\u{301}.mov"]);
        assert_eq!(refused(&["\u{c9}.mov", "e\u{301}.mov"]), ["e\u{301}.mov"]);
        assert_eq!(refused(&["A/b", "a/c"]), ["a/c"]);
        assert_eq!(refused(&["A", "a/c"]), ["a/c"]);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_accepted_can_be_made_in_one_folder(
            names in proptest::collection::vec("[aAb.\u{e9}e\u{301}/\\\\]{0,6}", 0..8),
        ) {
            let refused = check_names(names.iter().map(String::as_str));
            if refused.is_empty() {
                let folder = tempfile::tempdir().unwrap();
                for name in &names {
                    let path = folder.path().join(name);
                    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                    std::fs::File::create_new(&path).unwrap();
                    prop_assert!(path.canonicalize().unwrap().starts_with(folder.path().canonicalize().unwrap()));
                }
            }
        }
    }
}
