//! `gantry files put`. What the server has already is not sent; a large file is sent in parts,
//! and goes on where it stopped.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use clap::Args;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::cli::progress::Progress;
use crate::cli::remote::{self, Failure};
use crate::cli::run::file::Problem;
use crate::cli::{message, stdout};
use crate::client::{Client, Fields};
use crate::domain::file::{FileDigest, UploadKeep, UploadKeepFault};
use crate::domain::quantities::show_bytes;
use crate::domain::sanitize::sanitize;
use crate::domain::tree::{MAX_TREE_DEPTH, MAX_TREE_FILES, Tree, TreeEntry};

/// Largest file that is sent whole, and size of the parts of others, in bytes (16 MiB).
const PART: u64 = 16 * 1024 * 1024;

/// Digests of one question: the server's most.
const ASKED: usize = 10_000;

/// Pauses before a part is sent again, in seconds.
const PAUSES: [u64; 6] = [1, 2, 5, 10, 20, 30];

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// A file or a folder
    path: PathBuf,

    /// Name of the file [default: that of the path]
    #[arg(long)]
    name: Option<String>,

    /// Time for which it is kept, such as 30d; none, or forever
    #[arg(long, value_name = "TIME", default_value = "7d")]
    keep: String,

    /// Go on with an upload that was not finished
    #[arg(long, value_name = "UPLOAD")]
    resume: Option<String>,

    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
}

/// File of this machine.
#[derive(Debug)]
struct Local {
    path: PathBuf,
    digest: FileDigest,
    bytes: u64,
}

/// Answer about a file.
#[derive(Debug, Serialize)]
struct Sent {
    digest: FileDigest,
    bytes: u64,
}

#[derive(Debug, Deserialize)]
struct Missing {
    missing: Vec<FileDigest>,
}

pub(super) async fn main(client: &Client, arguments: &Arguments) -> Result<u8, Failure> {
    let keep: UploadKeep =
        arguments.keep.parse().map_err(|error: UploadKeepFault| Problem::new(&error, None))?;
    let progress = Progress::for_terminal();
    let found = fs::metadata(&arguments.path).map_err(|error| failed(&arguments.path, &error))?;
    let name = arguments.name.clone().or_else(|| {
        Some(arguments.path.canonicalize().ok()?.file_name()?.to_string_lossy().into_owned())
    });
    let sending = Sending { client, keep, progress };
    let done = match found.is_dir() {
        true => sending.folder(arguments, name).await,
        false => sending.file(arguments, name).await,
    };
    sending.progress.clear();
    done.map(|()| 0)
}

fn failed(path: &Path, error: &io::Error) -> Problem {
    Problem::new(&format!("{}: {error}", path.display()), None)
}

/// One call of the command.
struct Sending<'a> {
    client: &'a Client,
    keep: UploadKeep,
    progress: Progress,
}

impl Sending<'_> {
    async fn file(&self, arguments: &Arguments, name: Option<String>) -> Result<(), Failure> {
        let local = self.hashed(&arguments.path)?;
        match &arguments.resume {
            Some(id) => self.parts(&local, id, self.client.upload_offset(id).await?).await?,
            None => {
                let local = std::slice::from_ref(&local);
                self.send_missing(local, self.keep, name.as_deref()).await?;
            }
        }
        self.progress.clear();
        match arguments.json {
            true => {
                let sent = Sent { digest: local.digest, bytes: local.bytes };
                stdout::line(&serde_json::to_string_pretty(&sent).unwrap_or_default())?;
            }
            false => stdout::line(&local.digest.to_string())?,
        }
        Ok(())
    }

    async fn folder(&self, arguments: &Arguments, name: Option<String>) -> Result<(), Failure> {
        let mut paths = Vec::new();
        walk(&arguments.path, "", 0, &mut paths)?;
        let (mut locals, mut entries) = (Vec::new(), Vec::new());
        for (path, place) in paths {
            let local = self.hashed(&place)?;
            let mode = fs::metadata(&place).map_err(|error| failed(&place, &error))?;
            let executable = mode.permissions().mode() & 0o111 != 0;
            let (digest, bytes) = (local.digest, local.bytes);
            entries.push(TreeEntry { path, digest, bytes, executable });
            locals.push(local);
        }
        let tree = Tree::new(entries).map_err(|(_, fault)| Problem::new(&fault, None))?;
        // The folder holds them from then on.
        self.send_missing(&locals, UploadKeep::Briefly, None).await?;
        let document = self.create(&tree, name).await?;
        self.progress.clear();
        if arguments.json {
            remote::print_json(&document)?;
        } else {
            let sent: Created = document.read()?;
            stdout::line(&format!("tree:{}", sent.digest))?;
        }
        Ok(())
    }

    async fn create(
        &self,
        tree: &Tree,
        name: Option<String>,
    ) -> Result<crate::client::Document, Failure> {
        #[derive(Serialize)]
        struct Entry<'a> {
            path: &'a str,
            digest: FileDigest,
            executable: bool,
        }
        let entries = tree.entries().iter().map(|it| Entry {
            path: &it.path,
            digest: it.digest,
            executable: it.executable,
        });
        let mut fields = Fields::default();
        fields.set("files", &entries.collect::<Vec<_>>())?;
        Ok(self.client.create_tree(&fields, &query(self.keep, name.as_deref())).await?)
    }

    fn hashed(&self, path: &Path) -> Result<Local, Failure> {
        self.progress.show(&format!("hashing {}", path.display()));
        let hashing = || {
            let mut file = File::open(path)?;
            let (mut hasher, mut buffer) = (Sha256::new(), vec![0; 1024 * 1024]);
            let mut bytes = 0;
            loop {
                let read = file.read(&mut buffer)?;
                if read == 0 {
                    break;
                }
                hasher.update(buffer.get(..read).unwrap_or_default());
                bytes += read as u64;
            }
            let digest = FileDigest::new(hasher.finalize().into());
            Ok(Local { path: path.to_owned(), digest, bytes })
        };
        hashing().map_err(|error| failed(path, &error).into())
    }

    /// Sends those files that the server lacks.
    async fn send_missing(
        &self,
        locals: &[Local],
        keep: UploadKeep,
        name: Option<&str>,
    ) -> Result<(), Failure> {
        for locals in locals.chunks(ASKED) {
            let mut fields = Fields::default();
            fields.set("digests", &locals.iter().map(|it| it.digest).collect::<Vec<_>>())?;
            let mut missing = self.client.missing_files(&fields).await?.read::<Missing>()?.missing;
            missing.sort_unstable();
            missing.dedup();
            for local in locals {
                // The same content may be there under several names.
                let Ok(place) = missing.binary_search(&local.digest) else { continue };
                missing.remove(place);
                self.send(local, keep, name).await?;
            }
        }
        Ok(())
    }

    async fn send(
        &self,
        local: &Local,
        keep: UploadKeep,
        name: Option<&str>,
    ) -> Result<(), Failure> {
        if local.bytes <= PART {
            self.progress.show(&format!("sending {}", local.path.display()));
            let content = read_part(local, 0)?;
            return Ok(self.client.put_file(local.digest, &query(keep, name), content).await?);
        }
        let pair = |key: &str, value: &str| format!("{key} {}", STANDARD.encode(value));
        let mut metadata =
            vec![pair("digest", &local.digest.to_string()), pair("keep", &keep.to_string())];
        metadata.extend(name.map(|name| pair("filename", name)));
        let id = self.client.begin_upload(local.bytes, &metadata.join(",")).await?;
        let sent = self.parts(local, &id, 0).await;
        if let Err(Failure::Client(error)) = &sent
            && error.is_passing()
        {
            self.progress.clear();
            message::note(&format!(
                "go on within a day with `gantry files put {} --resume {}`",
                sanitize(&local.path.display().to_string()),
                sanitize(&id)
            ));
        }
        sent
    }

    async fn parts(&self, local: &Local, id: &str, mut offset: u64) -> Result<(), Failure> {
        let mut pauses = PAUSES.iter();
        while offset < local.bytes {
            let percent = offset.saturating_mul(100) / local.bytes.max(1);
            let (path, all) = (local.path.display(), show_bytes(local.bytes));
            self.progress.show(&format!("sending {path}: {percent} % of {all}"));
            let part = read_part(local, offset)?;
            match self.client.append_upload(id, offset, part).await {
                Ok(received) => {
                    offset = received;
                    pauses = PAUSES.iter();
                }
                Err(error) if error.is_passing() => {
                    let Some(pause) = pauses.next() else { return Err(error.into()) };
                    tokio::time::sleep(Duration::from_secs(*pause)).await;
                    // The server says how much of the part it has.
                    if let Ok(received) = self.client.upload_offset(id).await {
                        offset = received;
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

#[derive(Debug, Deserialize)]
struct Created {
    digest: FileDigest,
}

fn query(keep: UploadKeep, name: Option<&str>) -> Vec<(&'static str, String)> {
    let mut query = vec![("keep", keep.to_string())];
    query.extend(name.map(|name| ("name", name.to_owned())));
    query
}

/// The part of a file that begins here.
fn read_part(local: &Local, offset: u64) -> Result<Bytes, Failure> {
    let length = usize::try_from(PART.min(local.bytes.saturating_sub(offset))).unwrap_or_default();
    let mut part = vec![0; length];
    let reading = File::open(&local.path).and_then(|file| file.read_exact_at(&mut part, offset));
    reading.map_err(|error| failed(&local.path, &error))?;
    Ok(part.into())
}

/// Collects the files of a folder with their paths below it. Links are not followed.
fn walk(
    folder: &Path,
    below: &str,
    depth: usize,
    found: &mut Vec<(String, PathBuf)>,
) -> Result<(), Failure> {
    let entries = fs::read_dir(folder).map_err(|error| failed(folder, &error))?;
    for entry in entries {
        let entry = entry.map_err(|error| failed(folder, &error))?;
        let (path, kind) = (entry.path(), entry.file_type());
        let kind = kind.map_err(|error| failed(&path, &error))?;
        let name = entry.file_name();
        let name = name.to_str().map(|it| format!("{below}{it}"));
        let name = name.filter(|it| gantry_init::artifact_name::is_allowed(it));
        let Some(name) = name else {
            let what = format!("{} has a name that no file of a folder may have", path.display());
            return Err(Problem::new(&what, None).into());
        };
        if kind.is_dir() && depth < MAX_TREE_DEPTH {
            walk(&path, &format!("{name}/"), depth + 1, found)?;
        } else if kind.is_file() && found.len() < MAX_TREE_FILES {
            found.push((name, path));
        } else {
            let what = format!(
                "{} is no plain file, lies too deep, or is one of more than {MAX_TREE_FILES}",
                path.display()
            );
            return Err(Problem::new(&what, None).into());
        }
    }
    Ok(())
}
