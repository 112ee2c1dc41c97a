//! Files of a version that is a bundle: their list, and their differences from another version's.
//! Text files are compared line by line, within bounds; of the others sizes and digests are shown.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use maud::{Markup, html};

use super::diff::Diff;
use crate::bundles::{Shelf, read_files};
use crate::domain::bundle::{BundleFile, Manifest};
use crate::domain::file::FileDigest;
use crate::domain::registry::Definition;
use crate::domain::sanitize::escaped;
use crate::http::problem::Problem;
use crate::http::state::AppState;
use crate::ui::components::value;

/// Files that are listed.
const MAX_LISTED: usize = 500;

/// Changed files that are listed.
const MAX_CHANGES: usize = 200;

/// Changed files whose texts are compared.
const MAX_COMPARED: usize = 10;

/// Largest text that is compared, in bytes (64 KiB).
const COMPARED_BYTES: u64 = 64 * 1024;

/// Files of a version.
#[derive(Clone)]
pub(super) struct Files {
    digest: FileDigest,
    manifest: Arc<Manifest>,
    archive: PathBuf,
}

impl Files {
    /// Files of a definition; `None` if it is no bundle.
    pub(super) async fn of(
        state: &AppState,
        definition: &Definition,
    ) -> Result<Option<Self>, Problem> {
        let Some(digest) = definition.bundle else { return Ok(None) };
        let manifest = Arc::new(state.store.bundle(digest).await?);
        let archive = Shelf::new(&state.data_dir).place(digest);
        Ok(Some(Self { digest, manifest, archive }))
    }

    /// Renders their list.
    pub(super) fn shown(&self, address: &str) -> Markup {
        let files = self.manifest.files();
        html! {
            section.card.flush {
                div.card-head {
                    h2 { "Files" }
                    span.muted.small {
                        (value::counted(files.len() as u64, "file", "files")) ", "
                        (value::bytes(self.manifest.bytes()))
                    }
                    span.grow {}
                    a.button href={ (address) "/bundle" } { "Download all" }
                }
                div.table tabindex="0" {
                    table {
                        thead { tr { th { "Path" } th { "Size" } th { "SHA-256" } } }
                        tbody {
                            @for file in files.iter().take(MAX_LISTED) {
                                tr {
                                    td { code { (escaped(&file.path)) }
                                        @if file.is_executable { " " span.badge { "executable" } } }
                                    td { (value::bytes(file.bytes)) }
                                    td { code { (value::short(&file.digest.hex(), 12)) } }
                                }
                            }
                        }
                    }
                }
                @if files.len() > MAX_LISTED {
                    p.muted { "The first " (MAX_LISTED) " are shown." }
                }
            }
        }
    }
}

/// A file that differs.
struct Change {
    path: String,
    old: Option<BundleFile>,
    new: Option<BundleFile>,
    /// Differences of the texts; `None` if they are not compared.
    diff: Option<Diff>,
}

/// Differences of two versions' files.
pub(super) struct Differences {
    changes: Vec<Change>,
    /// Number of all files that differ.
    count: usize,
}

impl Differences {
    /// Compares the files of two versions, of which at least one is a bundle. Reads archives: not
    /// for an async thread.
    pub(super) fn between(old: Option<&Files>, new: Option<&Files>) -> Self {
        let mut changes = changes(old, new);
        let count = changes.len();
        changes.truncate(MAX_CHANGES);
        if let (Some(old), Some(new)) = (old, new) {
            compare(&mut changes, old, new);
        }
        Self { changes, count }
    }

    /// Renders them.
    pub(super) fn shown(&self) -> Markup {
        html! {
            @if self.changes.is_empty() {
                p.muted { "No file differs." }
            }
            @for change in &self.changes {
                h4 { code { (escaped(&change.path)) } " " span.muted { (change.words()) } }
                @if let Some(diff) = &change.diff { (diff.shown()) }
            }
            @if self.count > self.changes.len() {
                p.muted { (self.count) " files differ; the first " (MAX_CHANGES) " are shown." }
            }
        }
    }
}

impl Change {
    fn words(&self) -> String {
        let size = |file: &BundleFile| value::bytes(file.bytes);
        match (&self.old, &self.new) {
            (None, Some(new)) => format!("added, {}", size(new)),
            (Some(old), None) => format!("removed, {}", size(old)),
            (Some(old), Some(new)) if old.digest == new.digest => match new.is_executable {
                true => "is executable now".to_owned(),
                false => "is not executable any more".to_owned(),
            },
            (Some(old), Some(new)) => {
                let digests = [old, new].map(|it| value::short(&it.digest.hex(), 12).to_owned());
                let [before, after] = digests;
                format!("{} ({before}) → {} ({after})", size(old), size(new))
            }
            (None, None) => String::new(),
        }
    }
}

fn changes(old: Option<&Files>, new: Option<&Files>) -> Vec<Change> {
    let mut all: BTreeMap<&str, (Option<&BundleFile>, Option<&BundleFile>)> = BTreeMap::new();
    let files = |files: Option<&Files>| files.map(|it| Arc::clone(&it.manifest));
    let (old, new) = (files(old), files(new));
    for file in old.iter().flat_map(|it| it.files()) {
        all.entry(&file.path).or_default().0 = Some(file);
    }
    for file in new.iter().flat_map(|it| it.files()) {
        all.entry(&file.path).or_default().1 = Some(file);
    }
    let differ = all.into_iter().filter(|(_, (old, new))| old != new);
    differ
        .map(|(path, (old, new))| Change {
            path: path.to_owned(),
            old: old.cloned(),
            new: new.cloned(),
            diff: None,
        })
        .collect()
}

/// Compares the texts of the first changed files that are small.
fn compare(changes: &mut [Change], old: &Files, new: &Files) {
    let is_small =
        |file: &Option<BundleFile>| file.as_ref().is_some_and(|file| file.bytes <= COMPARED_BYTES);
    let compared: Vec<String> = changes
        .iter()
        .filter(|it| is_small(&it.old) && is_small(&it.new))
        .map(|it| it.path.clone())
        .take(MAX_COMPARED)
        .collect();
    let paths: Vec<&str> = compared.iter().map(String::as_str).collect();
    if paths.is_empty() {
        return;
    }
    let read = |files: &Files| {
        read_files(&files.archive, files.digest, &paths, COMPARED_BYTES).unwrap_or_else(|error| {
            tracing::error!(%error, "the files of a bundle could not be compared");
            BTreeMap::new()
        })
    };
    let (old, new) = (read(old), read(new));
    for change in changes {
        let text = |files: &BTreeMap<String, Vec<u8>>| {
            let bytes = files.get(&change.path)?;
            std::str::from_utf8(bytes).ok().filter(|it| !it.contains('\0')).map(str::to_owned)
        };
        if let (Some(old), Some(new)) = (text(&old), text(&new)) {
            change.diff = Some(Diff::between(&old, &new));
        }
    }
}
