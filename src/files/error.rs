//! Errors of the store of files.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::domain::file::FileDigest;
use crate::domain::quantities::show_bytes;
use crate::domain::tree::TreeFault;
use crate::store::StoreError;

/// Error of the store of files.
#[derive(Debug, Error)]
pub enum FilesError {
    /// Files that are not in the store.
    #[error("{} of the files are not there, {} among them", .0.len(), first(.0))]
    Missing(Vec<FileDigest>),
    /// Bytes that have another digest than was said.
    #[error("the bytes have the digest {found}, and not {expected}")]
    Mismatch {
        /// The digest that was said.
        expected: FileDigest,
        /// The digest of the bytes.
        found: FileDigest,
    },
    /// The files of a token would be more than it may have.
    #[error(
        "the token's files would have {}, and may have {}",
        show_bytes(*.wanted),
        show_bytes(*.limit)
    )]
    Quota {
        /// Bytes that it would have.
        wanted: u64,
        /// Bytes that it may have.
        limit: u64,
    },
    /// The disk has no room but its reserve.
    #[error("the disk has no room for it{}", beside(*.reserve))]
    NoRoom {
        /// Bytes that are kept free.
        reserve: u64,
    },
    /// The file to take over is no plain one, or changed meanwhile.
    #[error("{} is no plain file, or has changed meanwhile", .0.display())]
    NotAFile(PathBuf),
    /// A part that does not begin where the upload ends.
    #[error("the part begins at byte {said}, and the upload has {received} bytes")]
    Offset {
        /// The place that was said.
        said: u64,
        /// Bytes that are there.
        received: u64,
    },
    /// An upload that another request writes to.
    #[error("another request writes to the upload, and did not stop in time")]
    Busy,
    /// More bytes than the upload was to have.
    #[error("the upload has {length} bytes, and more came")]
    TooLong {
        /// Bytes that it was to have.
        length: u64,
    },
    /// A length that contradicts what was said before, or what is there.
    #[error("the length of the upload is another one, or less than what is there")]
    Length,
    /// More unfinished uploads than a token may have.
    #[error("the token has {0} unfinished uploads, which is as many as it may have")]
    TooManyUploads(u32),
    /// A part with another checksum than was said.
    #[error("the part has another checksum than was said; nothing of it was kept")]
    Checksum,
    /// A folder's manifest is not valid.
    #[error(transparent)]
    Tree(#[from] TreeFault),
    /// A file or folder can't be used.
    #[error("{doing} failed: {source}")]
    Io {
        /// The action that failed.
        doing: &'static str,
        /// Cause.
        source: io::Error,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The program ends.
    #[error("the store of files is about to end")]
    Stopped,
}

fn first(digests: &[FileDigest]) -> String {
    digests.first().map(ToString::to_string).unwrap_or_default()
}

fn beside(reserve: u64) -> String {
    match reserve {
        0 => String::new(),
        reserve => format!(" beside the {} that are kept free", show_bytes(reserve)),
    }
}

impl FilesError {
    /// Error of an action, or that its disk is full.
    pub(crate) fn io(doing: &'static str) -> impl Fn(io::Error) -> Self {
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::NoRoom { reserve: 0 }
            }
            _ => Self::Io { doing, source },
        }
    }

    /// Advice for the user.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Missing(_) => Some("upload them again"),
            Self::Mismatch { .. } => {
                Some("the file changed, or was damaged on its way: send it again")
            }
            Self::Quota { .. } => {
                Some("remove files that are no longer needed, or let them expire sooner (`keep`)")
            }
            Self::NoRoom { .. } => Some(
                "free some space on the disk of GANTRY_FILES; files that nobody holds go by \
                 themselves after a day",
            ),
            Self::Store(error) => error.hint(),
            Self::Offset { .. } => Some("ask for the upload's offset, and go on from there"),
            Self::TooManyUploads(_) => Some("finish some of them, delete them, or let them expire"),
            Self::Checksum => Some("send it again"),
            Self::Busy
            | Self::TooLong { .. }
            | Self::Length
            | Self::NotAFile(_)
            | Self::Tree(_)
            | Self::Io { .. }
            | Self::Stopped => None,
        }
    }

    /// True if the disk or a quota is full.
    #[must_use]
    pub fn is_for_want_of_room(&self) -> bool {
        matches!(self, Self::Quota { .. } | Self::NoRoom { .. })
    }
}
