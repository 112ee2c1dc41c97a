//! Reasons that files are no bundle.

use thiserror::Error;

use super::{MAX_BYTES, MAX_DEPTH, MAX_FILES};

/// Reason that files are no bundle. Texts name a file in one short line.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BundleFault {
    /// There is no file.
    #[error("it has no file")]
    Empty,
    /// There are more than [`MAX_FILES`].
    #[error("it has more than {MAX_FILES} files")]
    TooMany,
    /// All files together have more than [`MAX_BYTES`].
    #[error("its files have more than {MAX_BYTES} bytes (256 MiB) together")]
    TooLarge,
    /// A path leaves the folder, or can't be shown.
    #[error(
        "{0:?} can't be the path of a file: it is relative, has at most 255 bytes of UTF-8, and no \
         `\\`, control characters, `.`, `..` or empty parts"
    )]
    Path(String),
    /// A path is too deep.
    #[error("the path {0:?} has more than {MAX_DEPTH} parts")]
    TooDeep(String),
    /// A name that means something to the engine (OCI Image Layer Specification, "Whiteouts").
    #[error(
        "{0:?} has a name that begins with `.wh.`, which layers of images have for removed files"
    )]
    Whiteout(String),
    /// A path is there twice.
    #[error("{0:?} is there twice")]
    Twice(String),
    /// Two paths that other file systems take for one.
    #[error("{0:?} and {1:?} differ in case or in the form of their characters alone")]
    Twins(String, String),
    /// A path is that of a file and of a folder.
    #[error("{0:?} is a file and a folder")]
    FileAndFolder(String),
    /// Something that is no regular file.
    #[error("{path:?} is {kind}, not a regular file")]
    Kind {
        /// Path.
        path: String,
        /// Kind, with its article.
        kind: &'static str,
    },
    /// A file has set-id or sticky bits.
    #[error("{0:?} has set-id or sticky bits")]
    SpecialBits(String),
    /// No entry was named, and none is usual.
    #[error("none of its files is the one to run")]
    NoEntry,
    /// The named entry is not there.
    #[error("it has no file {0:?} to run")]
    EntryMissing(String),
    /// The named entry is a folder.
    #[error("{0:?} is a folder, and should be the file to run")]
    EntryIsFolder(String),
    /// A program that may not be executed.
    #[error("{0:?} is a program, and not executable in the bundle")]
    EntryNotExecutable(String),
    /// A shell script that no shell reads.
    #[error("{0:?} has the line ends of Windows, which no shell accepts")]
    EntryLineEnds(String),
}

impl BundleFault {
    /// Advice for the user.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::TooMany | Self::TooLarge => "mount large data, or leave out what is not needed",
            Self::Twins(..) => "rename one: the bundle has to be the same on every machine",
            Self::Kind { .. } => "put a copy of the file in its place (tar --dereference does)",
            Self::SpecialBits(_) => "take them away with chmod u-s,g-s,-t",
            Self::NoEntry => "name it with `entry`, such as main.py",
            Self::EntryMissing(_) => "name it as its path in the bundle",
            Self::EntryIsFolder(_) => "name a file in it, such as its __main__.py",
            Self::EntryNotExecutable(_) => "allow it with chmod +x",
            Self::EntryLineEnds(_) => "save it with Unix line ends",
            Self::Whiteout(_) | Self::TooDeep(_) => "rename it",
            Self::Empty | Self::Path(_) | Self::Twice(_) | Self::FileAndFolder(_) => return None,
        })
    }

    /// True for a fault of the file to run, not of the files.
    #[must_use]
    pub fn is_of_entry(&self) -> bool {
        matches!(
            self,
            Self::NoEntry
                | Self::EntryMissing(_)
                | Self::EntryIsFolder(_)
                | Self::EntryNotExecutable(_)
                | Self::EntryLineEnds(_)
        )
    }
}
