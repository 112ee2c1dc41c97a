//! `gantry executions artifacts`. Names and content come out of a sandbox and
//! through a server: a name leads nowhere but below the folder that was named,
//! which holds nothing else, and nothing is ever replaced.

use std::io::{self, ErrorKind, Write};
use std::path::{Component, Path, PathBuf};

use clap::Args;
use tempfile::NamedTempFile;

use crate::cli::fields::bytes;
use crate::cli::remote::{self, Failure};
use crate::cli::run::file::Problem;
use crate::cli::{FAILED, message, stdout, table};
use crate::client::wire::Artifact;
use crate::client::{Client, MAX_LISTED};
use crate::domain::sanitize::sanitize;

/// Longest name that is taken, in bytes (`PATH_MAX`, limits.h).
const MAX_NAME_BYTES: usize = 4096;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The execution's id
    id: String,

    /// Folder that takes the files: a new or an empty one
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,

    /// Print the list as JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn main(client: &Client, arguments: &Arguments) -> Result<u8, Failure> {
    let list = client.artifacts(&arguments.id).await?;
    let artifacts: Vec<Artifact> = list.document.read()?;
    let code = match &arguments.output {
        Some(folder) => take_all(client, &arguments.id, &artifacts, folder, arguments.json).await?,
        None => 0,
    };
    if arguments.json {
        remote::print_json(&list.document)?;
    } else if arguments.output.is_none() {
        let rows: Vec<_> = artifacts.iter().map(as_row).collect();
        table::print(["NAME", "SIZE", "NOT TAKEN"], &rows)?;
    }
    Ok(code)
}

fn as_row(artifact: &Artifact) -> [String; 3] {
    let skipped = artifact.skipped.as_str().to_owned();
    [artifact.name.as_str().to_owned(), bytes(&artifact.bytes), skipped]
}

/// Takes every file; one that can't be taken does not keep the others.
async fn take_all(
    client: &Client,
    id: &str,
    artifacts: &[Artifact],
    folder: &Path,
    is_quiet: bool,
) -> Result<u8, Failure> {
    let folder = open(folder).map_err(|error| {
        let hint = "nothing is ever replaced: name a folder that is not there yet, or an empty one";
        let what = format!("--output {}: {error}", folder.display());
        Problem::new(&what, Some(hint.to_owned()))
    })?;
    let mut code = 0;
    for artifact in artifacts.iter().take(MAX_LISTED as usize) {
        let (name, shown) = (artifact.name.as_str(), sanitize(artifact.name.as_str()));
        if let Some(reason) = artifact.skipped.some() {
            message::note(&format!("artifact {shown} was not taken: {}", sanitize(reason)));
            continue;
        }
        match take(client, id, name, &folder).await {
            Ok(()) if is_quiet => {}
            Ok(()) => stdout::line(&shown)?,
            Err(failure) => {
                message::note(&format!("artifact {shown} was not taken"));
                code = failure.say(FAILED);
            }
        }
    }
    if artifacts.len() > MAX_LISTED as usize {
        message::error(&format!("there are more than {MAX_LISTED} artifacts"), None);
        code = FAILED;
    }
    Ok(code)
}

/// Makes the folder, if it is not there. It must be empty.
fn open(folder: &Path) -> io::Result<PathBuf> {
    std::fs::create_dir_all(folder)?;
    if std::fs::read_dir(folder)?.next().is_some() {
        return Err(io::Error::new(ErrorKind::DirectoryNotEmpty, "the folder is not empty"));
    }
    // A link in its own path is its owner's will, and is followed once.
    folder.canonicalize()
}

async fn take(client: &Client, id: &str, name: &str, folder: &Path) -> Result<(), Failure> {
    let below = plain_relative(name).ok_or_else(|| {
        Problem::new(&format!("{:?} is no plain relative path", sanitize(name)), None)
    })?;
    let mut download = client.artifact(id, name).await?;
    let place = folder.join(below);
    let failed = |error: io::Error| {
        Failure::Problem(Problem::new(&format!("{}: {error}", place.display()), None))
    };
    let mut file = temporary(place.parent().unwrap_or(folder)).map_err(failed)?;
    while let Some(piece) = download.next().await? {
        file.write_all(&piece).map_err(failed)?;
    }
    persist(file, &place).map_err(failed)
}

/// The path that a name is, if every part of it is a plain name.
fn plain_relative(name: &str) -> Option<&Path> {
    let is_plain = |part: &str| !matches!(part, "" | "." | "..") && !part.contains('\0');
    let path = Path::new(name);
    let is_normal = path.components().all(|part| matches!(part, Component::Normal(_)));
    (is_normal && name.len() < MAX_NAME_BYTES && name.split('/').all(is_plain)).then_some(path)
}

fn temporary(folder: &Path) -> io::Result<NamedTempFile> {
    std::fs::create_dir_all(folder)?;
    NamedTempFile::new_in(folder)
}

/// A whole file appears at once under its name, where nothing may be yet.
fn persist(file: NamedTempFile, place: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
    file.persist_noclobber(place).map(|_| ()).map_err(|error| error.error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_lead_nowhere_else() {
        for name in ["a", "a/b.txt", "…", "a b", ".hidden", "..."] {
            assert!(plain_relative(name).is_some(), "{name}");
        }
        let long = "x".repeat(MAX_NAME_BYTES);
        for name in ["", "/", "/etc/passwd", "..", "a/../b", "./a", "a//b", "a/", "a\0", &long] {
            assert!(plain_relative(name).is_none(), "{name}");
        }
    }

    #[test]
    fn only_an_empty_folder_is_taken_and_nothing_is_replaced() {
        let parent = tempfile::tempdir().unwrap();
        let folder = open(&parent.path().join("new")).unwrap();
        persist(temporary(&folder).unwrap(), &folder.join("a")).unwrap();
        let again = persist(temporary(&folder).unwrap(), &folder.join("a")).unwrap_err();
        assert_eq!(again.kind(), ErrorKind::AlreadyExists);
        assert_eq!(open(&folder).unwrap_err().kind(), ErrorKind::DirectoryNotEmpty);
    }

    proptest! {
        #[test]
        fn any_name_stays_below(name in "(\\.|/|a|\\\\|\u{2215}|\0){0,12}") {
            if let Some(path) = plain_relative(&name) {
                prop_assert!(path.is_relative());
                prop_assert_eq!(Path::new("/x").join(path).components().count(), 2 + 1 + name.matches('/').count());
            }
        }
    }
}
