//! Compares the migrations with `migrations/SHA256SUMS`, which lists those that have
//! landed. Databases in use have applied them, and sqlx refuses one whose checksum has
//! changed: a migration never changes, and a new one is added to the list on purpose.

#![allow(clippy::unwrap_used, reason = "part of tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use sha2::{Digest, Sha256};

/// List of the migrations, in the format of sha256sum(1).
const LIST: &str = "migrations/SHA256SUMS";

/// Folders of migrations, one for each database.
const FOLDERS: [&str; 2] = ["postgres", "sqlite"];

/// One line for each migration below the root that differs from the list, is missing
/// from it, or is only in it.
pub(crate) fn findings(root: &Path) -> Vec<String> {
    let list = fs::read_to_string(root.join(LIST)).unwrap();
    let mut found = compare(&listed(&list), &present(&root.join("migrations")));
    let folders = FOLDERS.map(|it| names(&root.join("migrations").join(it)));
    for name in folders[0].symmetric_difference(&folders[1]) {
        found.push(format!("migrations: {name} is there for one database only; add the other"));
    }
    found
}

/// Compares checksums by path.
pub(crate) fn compare(
    listed: &BTreeMap<String, String>,
    present: &BTreeMap<String, String>,
) -> Vec<String> {
    let paths: BTreeSet<_> = listed.keys().chain(present.keys()).collect();
    let differs = |path: &&String| listed.get(*path) != present.get(*path);
    let advice = |path: &String| match (listed.get(path), present.get(path)) {
        (Some(_), Some(_)) => {
            "has changed; restore it, and put the change into a new migration".to_owned()
        }
        (Some(_), None) => "is missing; restore it: databases have applied it".to_owned(),
        (None, digest) => {
            format!("is not listed; once it is final, add `{}  {path}`", digest.unwrap())
        }
    };
    let found = paths.into_iter().filter(differs);
    found.map(|path| format!("migrations/{path} {} ({LIST})", advice(path))).collect()
}

fn listed(list: &str) -> BTreeMap<String, String> {
    let lines = list.lines().map(|line| line.split_once("  ").unwrap());
    lines.map(|(digest, path)| (path.to_owned(), digest.to_owned())).collect()
}

fn present(migrations: &Path) -> BTreeMap<String, String> {
    let paths = FOLDERS.into_iter().flat_map(|folder| {
        names(&migrations.join(folder)).into_iter().map(move |name| format!("{folder}/{name}"))
    });
    paths.map(|path| (path.clone(), digest(&migrations.join(path)))).collect()
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|it| it.unwrap().file_name().into_string().unwrap()).collect()
}

fn digest(path: &Path) -> String {
    hex::encode(Sha256::digest(fs::read(path).unwrap()))
}
