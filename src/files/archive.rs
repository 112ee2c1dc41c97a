//! Folders as archives, written while they are sent: no archive is ever in memory or on a disk.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::Files;
use crate::domain::tree::{Tree, TreeEntry};

/// Bytes that are sent at once (64 KiB).
const PIECE: usize = 64 * 1024;

/// Pieces that wait to be sent.
const WAITING: usize = 2;

/// Archives that are written at once: each takes a thread as long as its client reads.
const AT_ONCE: usize = 32;

/// Mode of a file in an archive, and of one that may be executed.
const MODES: (u32, u32) = (0o644, 0o755);

/// Kind of an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArchiveKind {
    /// ZIP without compression, with ZIP64 where it is large.
    Zip,
    /// POSIX tar, with GNU's extension for long names.
    Tar,
}

impl ArchiveKind {
    /// Media type.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Zip => "application/zip",
            Self::Tar => "application/x-tar",
        }
    }

    /// End of a name.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::Zip => "zip",
            Self::Tar => "tar",
        }
    }
}

impl FromStr for ArchiveKind {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "zip" => Ok(Self::Zip),
            "tar" => Ok(Self::Tar),
            _ => Err("the archives are zip and tar"),
        }
    }
}

/// Archives that may still be begun.
#[derive(Debug)]
pub(super) struct Archives(Arc<Semaphore>);

impl Default for Archives {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }
}

/// Archive that is being written.
#[derive(Debug)]
pub struct Archive {
    pieces: mpsc::Receiver<io::Result<Bytes>>,
    /// Holds a place until it is sent or given up.
    _permit: OwnedSemaphorePermit,
}

impl Archive {
    /// The next piece; `None` at the end.
    pub async fn next(&mut self) -> Option<io::Result<Bytes>> {
        self.pieces.recv().await
    }
}

impl Files {
    /// Begins to write an archive of a folder's files. `None` if too many are written already.
    #[must_use]
    pub fn archive(&self, tree: Tree, kind: ArchiveKind) -> Option<Archive> {
        let permit = Arc::clone(&self.0.archives.0).try_acquire_owned().ok()?;
        let (sender, pieces) = mpsc::channel(WAITING);
        let files = self.clone();
        tokio::task::spawn_blocking(move || {
            let object = |entry: &TreeEntry| files.0.folder.object(entry.digest);
            let mut sending = Sending { sender, piece: Vec::with_capacity(PIECE) };
            let written = match kind {
                ArchiveKind::Zip => write_zip(&mut sending, &tree, object),
                ArchiveKind::Tar => write_tar(&mut sending, &tree, object),
            };
            if let Err(error) = written.and_then(|()| sending.flush()) {
                // Whoever is gone hears nothing of it.
                let _ = sending.sender.blocking_send(Err(error));
            }
        });
        Some(Archive { pieces, _permit: permit })
    }
}

/// Sends what is written to it.
struct Sending {
    sender: mpsc::Sender<io::Result<Bytes>>,
    piece: Vec<u8>,
}

impl Write for Sending {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = PIECE - self.piece.len();
        let taken = bytes.get(..room.min(bytes.len())).unwrap_or_default();
        self.piece.extend_from_slice(taken);
        if self.piece.len() >= PIECE {
            self.flush()?;
        }
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE));
        let sent = self.sender.blocking_send(Ok(piece.into()));
        sent.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

/// Opens a file of a folder, and makes sure that it is as long as the folder says.
fn open(path: PathBuf, entry: &TreeEntry) -> io::Result<File> {
    let file = File::open(path)?;
    match file.metadata()?.len() == entry.bytes {
        true => Ok(file),
        false => Err(io::Error::other("a file of the folder has lost bytes")),
    }
}

fn mode(entry: &TreeEntry) -> u32 {
    if entry.executable { MODES.1 } else { MODES.0 }
}

fn write_zip(
    sending: &mut Sending,
    tree: &Tree,
    object: impl Fn(&TreeEntry) -> PathBuf,
) -> io::Result<()> {
    let mut archive = ZipWriter::new_stream(sending);
    for entry in tree.entries() {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .unix_permissions(mode(entry))
            .large_file(entry.bytes >= zip::ZIP64_BYTES_THR);
        archive.start_file(entry.path.as_str(), options).map_err(io::Error::other)?;
        io::copy(&mut open(object(entry), entry)?, &mut archive)?;
    }
    archive.finish().map(|_| ()).map_err(io::Error::other)
}

fn write_tar(
    sending: &mut Sending,
    tree: &Tree,
    object: impl Fn(&TreeEntry) -> PathBuf,
) -> io::Result<()> {
    let mut archive = tar::Builder::new(sending);
    for entry in tree.entries() {
        let mut header = tar::Header::new_gnu();
        header.set_size(entry.bytes);
        header.set_mode(mode(entry));
        header.set_mtime(0);
        let content = open(object(entry), entry)?.take(entry.bytes);
        archive.append_data(&mut header, &entry.path, content)?;
    }
    archive.into_inner().map(|_| ())
}
