//! `gantry files get`. What comes is compared with the digest that was asked for; nothing is
//! ever replaced, and a file that is not whole has another name.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use clap::Args;
use sha2::{Digest, Sha256};

use super::named;
use crate::cli::progress::Progress;
use crate::cli::remote::Failure;
use crate::cli::run::file::Problem;
use crate::client::{Client, Download};
use crate::domain::file::FileDigest;
use crate::domain::quantities::show_bytes;
use crate::domain::tree::{MAX_MANIFEST_BYTES, Tree};

/// Connections that are made for one file.
const ATTEMPTS: u32 = 10;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// A digest, such as sha256:2cf24d…; with tree: before it, that of a folder
    digest: String,

    /// New file or folder that takes it; a part of a file that is there beside it as
    /// FILE.part is gone on with [default: stdout]
    #[arg(short, long, value_name = "PATH")]
    output: Option<PathBuf>,
}

pub(super) async fn main(client: &Client, arguments: &Arguments) -> Result<u8, Failure> {
    let (digest, is_tree) = named(&arguments.digest)?;
    let progress = Progress::for_terminal();
    let done = match (&arguments.output, is_tree) {
        (Some(output), true) => folder(client, digest, output, &progress).await,
        (None, true) => Err(Failure::new("a folder needs a place", "name one with --output")),
        (Some(output), false) => file(client, digest, output, &progress).await,
        (None, false) => print(client, digest).await,
    };
    progress.clear();
    done.map(|()| 0)
}

fn failed(path: &Path, error: &io::Error) -> Failure {
    Problem::new(&format!("{}: {error}", path.display()), None).into()
}

fn is_other(digest: FileDigest) -> Failure {
    Failure::new(
        format!("what came has another digest than {digest}"),
        "it was damaged on its way or on the server: `gantry doctor --files` tells",
    )
}

/// Writes a file to stdout, and says so if it was not the one.
async fn print(client: &Client, digest: FileDigest) -> Result<(), Failure> {
    let (mut hasher, mut stdout) = (Sha256::new(), io::stdout().lock());
    let mut download = client.file(digest, 0).await?.download;
    while let Some(piece) = download.next().await? {
        hasher.update(&piece);
        stdout.write_all(&piece)?;
    }
    stdout.flush()?;
    match FileDigest::new(hasher.finalize().into()) == digest {
        true => Ok(()),
        false => Err(is_other(digest)),
    }
}

/// Fetches a file to a new path.
async fn file(
    client: &Client,
    digest: FileDigest,
    output: &Path,
    progress: &Progress,
) -> Result<(), Failure> {
    if output.symlink_metadata().is_ok() {
        let hint = "nothing is ever replaced: name a path that is not there yet";
        return Err(Failure::new(format!("{} is there already", output.display()), hint));
    }
    let mut part = output.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&part);
    let mut file = open.map_err(|error| failed(&part, &error))?;
    let mut attempts = 1..ATTEMPTS;
    while let Err(failure) = fetch(client, digest, (&mut file, &part), progress).await {
        let is_passing = matches!(&failure, Failure::Client(error) if error.is_passing());
        if !is_passing || attempts.next().is_none() {
            return Err(failure);
        }
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
    let hashed = hash(&mut file).map_err(|error| failed(&part, &error))?;
    if hashed != digest {
        // It would be gone on with.
        let _ = fs::remove_file(&part);
        return Err(is_other(digest));
    }
    let finishing = file
        .set_permissions(fs::Permissions::from_mode(0o644))
        .and_then(|()| fs::hard_link(&part, output).or_else(|_| fs::rename(&part, output)));
    finishing.map_err(|error| failed(output, &error))?;
    // After a rename there is none.
    let _ = fs::remove_file(&part);
    Ok(())
}

/// Adds to a part what it lacks.
async fn fetch(
    client: &Client,
    digest: FileDigest,
    (file, path): (&mut File, &Path),
    progress: &Progress,
) -> Result<(), Failure> {
    let there = file.seek(SeekFrom::End(0)).map_err(|error| failed(path, &error))?;
    let found = match client.file(digest, there).await {
        // All of it is there, or more: the digest tells.
        Err(crate::client::ClientError::Refused { problem, .. }) if problem.status == 416 => {
            return Ok(());
        }
        found => found?,
    };
    let mut bytes = found.from;
    let place = file.seek(SeekFrom::Start(bytes)).and_then(|_| file.set_len(bytes));
    place.map_err(|error| failed(path, &error))?;
    let mut download = found.download;
    while let Some(piece) = download.next().await? {
        file.write_all(&piece).map_err(|error| failed(path, &error))?;
        bytes += piece.len() as u64;
        progress.show(&format!("fetching {}: {}", path.display(), show_bytes(bytes)));
    }
    Ok(())
}

fn hash(file: &mut File) -> io::Result<FileDigest> {
    file.seek(SeekFrom::Start(0))?;
    let (mut hasher, mut buffer) = (Sha256::new(), vec![0; 1024 * 1024]);
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(FileDigest::new(hasher.finalize().into()));
        }
        hasher.update(buffer.get(..read).unwrap_or_default());
    }
}

/// Fetches a folder to a new path.
async fn folder(
    client: &Client,
    digest: FileDigest,
    output: &Path,
    progress: &Progress,
) -> Result<(), Failure> {
    let manifest = all(client.tree(digest, MAX_MANIFEST_BYTES).await?).await?;
    if FileDigest::of(&manifest) != digest {
        return Err(is_other(digest));
    }
    let tree = Tree::read(&manifest).map_err(|fault| Problem::new(&fault, None))?;
    fs::create_dir(output).map_err(|error| failed(output, &error))?;
    for entry in tree.entries() {
        progress.show(&format!("fetching {}", entry.path));
        // A path of a folder has no `..` and is not absolute.
        let place = output.join(&entry.path);
        let writing = place.parent().map_or(Ok(()), fs::create_dir_all);
        let created =
            writing.and_then(|()| OpenOptions::new().write(true).create_new(true).open(&place));
        let mut file = created.map_err(|error| failed(&place, &error))?;
        let mut download = client.tree_file(digest, &entry.path).await?;
        let mut hasher = Sha256::new();
        while let Some(piece) = download.next().await? {
            hasher.update(&piece);
            file.write_all(&piece).map_err(|error| failed(&place, &error))?;
        }
        if FileDigest::new(hasher.finalize().into()) != entry.digest {
            // Nobody takes it for the file.
            let _ = fs::remove_file(&place);
            return Err(is_other(entry.digest));
        }
        let mode = if entry.executable { 0o755 } else { 0o644 };
        let closed = file.set_permissions(fs::Permissions::from_mode(mode));
        closed.map_err(|error| failed(&place, &error))?;
    }
    Ok(())
}

async fn all(mut download: Download) -> Result<Vec<u8>, Failure> {
    let mut all = Vec::new();
    while let Some(piece) = download.next().await? {
        all.extend_from_slice(&piece);
    }
    Ok(all)
}
