//! A look at all files: each is hashed again, and compared with its row. Nothing is changed.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use super::FilesError;
use super::commit::{hash, on_blocking};
use super::folder::Folder;
use crate::domain::file::FileDigest;
use crate::store::{ObjectRow, Store};

/// Rows that are read at once.
const PAGE: u32 = 500;

/// Most files of each kind that are told.
const MAX_TOLD: usize = 100;

/// Findings of a look at all files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checked {
    /// Files that are as they should be.
    pub sound: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files that the database knows and that are not there.
    pub missing: Told,
    /// Files with other bytes than they were stored with.
    pub damaged: Told,
    /// Files that the database does not know.
    pub unknown: Told,
}

/// Files of a kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    /// Number of files.
    pub count: u64,
    /// Some of them.
    pub some: Vec<String>,
}

impl Told {
    fn add(&mut self, name: String) {
        self.count += 1;
        if self.some.len() < MAX_TOLD {
            self.some.push(name);
        }
    }
}

/// State of one file.
enum State {
    Sound,
    Missing,
    Damaged,
}

/// Looks at all files below a folder. A server may use it meanwhile. `show` hears how far it is.
///
/// # Errors
/// [`FilesError`].
pub async fn check(
    store: &Store,
    folder: &Path,
    show: impl Fn(u64, u64),
) -> Result<Checked, FilesError> {
    let folder = Folder::look(folder);
    let mut checked = Checked::default();
    let mut last = None;
    loop {
        let page = store.objects_after(last, PAGE).await?;
        let Some(end) = page.last() else { break };
        last = Some(end.digest);
        for row in page {
            let path = folder.object(row.digest);
            let state = on_blocking(move || state_of(&path, row)).await?;
            note(store, &mut checked, row, &state).await?;
            show(checked.sound, checked.bytes);
        }
    }
    for shard in folder.shards() {
        let names = on_blocking(move || names(&shard)).await?;
        let (digests, others): (Vec<_>, Vec<_>) = names
            .into_iter()
            .map(|name| (FileDigest::from_hex(&name).ok(), name))
            .partition(|(digest, _)| digest.is_some());
        let digests: Vec<_> = digests.into_iter().filter_map(|(digest, _)| digest).collect();
        for unknown in store.unknown_files(&digests).await? {
            checked.unknown.add(unknown.hex());
        }
        others.into_iter().for_each(|(_, name)| checked.unknown.add(name));
    }
    Ok(checked)
}

async fn note(
    store: &Store,
    checked: &mut Checked,
    row: ObjectRow,
    state: &State,
) -> Result<(), FilesError> {
    let told = match state {
        State::Sound => {
            checked.sound += 1;
            checked.bytes += row.bytes;
            return Ok(());
        }
        State::Missing => &mut checked.missing,
        State::Damaged => &mut checked.damaged,
    };
    // It may have been collected since its row was read.
    if store.file_bytes(row.digest).await?.is_some() {
        told.add(row.digest.hex());
    }
    Ok(())
}

fn state_of(path: &Path, row: ObjectRow) -> Result<State, FilesError> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(State::Missing),
        opened => opened.map_err(FilesError::io("opening a file"))?,
    };
    // A disk that can't read a file has damaged it.
    let is_sound = hash(&file).is_ok_and(|it| it.digest == row.digest && it.bytes == row.bytes);
    Ok(if is_sound { State::Sound } else { State::Damaged })
}

fn names(shard: &Path) -> Result<Vec<String>, FilesError> {
    let failed = FilesError::io("looking through the store of files");
    let entries = match fs::read_dir(shard) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(&failed)?,
    };
    let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    names.collect::<io::Result<Vec<_>>>().map_err(&failed)
}
