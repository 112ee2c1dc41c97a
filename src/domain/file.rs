//! Files by their content: digests, and the references by which an execution names its
//! inputs.

mod holder;
mod keep;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use thiserror::Error;
use uuid::Uuid;

use super::sanitize::sanitize;

pub use holder::Holder;
pub use keep::{UploadKeep, UploadKeepFault};

/// Prefix of a digest in text: the only algorithm so far.
const SHA_256: &str = "sha256:";

/// SHA-256 of a file's bytes, written `sha256:` and 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileDigest([u8; 32]);

/// Text that is no digest of a file.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is not `sha256:` and 64 lowercase hexadecimal digits")]
pub struct DigestFault(String);

/// Source of an input file or folder.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum InputRef {
    /// File with this digest.
    File(FileDigest),
    /// Folder whose manifest has this digest.
    Tree(FileDigest),
    /// File or folder that an execution left; an empty path means all of them.
    Output {
        /// Execution id.
        execution: Uuid,
        /// Path below its `/work/out`.
        path: String,
    },
    /// File or folder of a share that the operator has opened.
    Share {
        /// Name of the share.
        share: String,
        /// Path below its root; empty means the root.
        path: String,
    },
}

/// Text that refers to no input.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InputRefFault {
    /// None of the known forms.
    #[error(
        "{0:?} is not `sha256:HEX`, `tree:sha256:HEX`, `execution:ID/PATH` or `share:NAME/PATH`"
    )]
    Form(String),
    /// A path that leaves its folder, or can't be shown.
    #[error("the path {0:?} is not relative, or has `.`, `..`, `\\` or control characters")]
    Path(String),
}

impl FileDigest {
    /// Digest of these 32 bytes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Digest of these bytes, if they are 32.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Digest of a content.
    #[must_use]
    pub fn of(content: &[u8]) -> Self {
        Self(Sha256::digest(content).into())
    }

    /// The 64 hexadecimal digits.
    #[must_use]
    pub fn hex(&self) -> String {
        hex::encode(self.0)
    }

    /// Reads 64 lowercase hexadecimal digits.
    ///
    /// # Errors
    /// [`DigestFault`].
    pub fn from_hex(text: &str) -> Result<Self, DigestFault> {
        let fault = || DigestFault(sanitize(text));
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(fault());
        }
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| fault())?;
        Ok(Self(bytes))
    }
}

impl fmt::Display for FileDigest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{SHA_256}{}", self.hex())
    }
}

impl fmt::Debug for FileDigest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl FromStr for FileDigest {
    type Err = DigestFault;

    fn from_str(text: &str) -> Result<Self, DigestFault> {
        let digits = text.strip_prefix(SHA_256).ok_or_else(|| DigestFault(sanitize(text)))?;
        Self::from_hex(digits).map_err(|_| DigestFault(sanitize(text)))
    }
}

impl Serialize for FileDigest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for FileDigest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for InputRef {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(digest) => write!(formatter, "{digest}"),
            Self::Tree(digest) => write!(formatter, "tree:{digest}"),
            Self::Output { execution, path } => write!(formatter, "execution:{execution}/{path}"),
            Self::Share { share, path } => write!(formatter, "share:{share}/{path}"),
        }
    }
}

impl FromStr for InputRef {
    type Err = InputRefFault;

    fn from_str(text: &str) -> Result<Self, InputRefFault> {
        let form = || InputRefFault::Form(sanitize(text));
        if text.starts_with(SHA_256) {
            return text.parse().map(Self::File).map_err(|_| form());
        }
        let (kind, rest) = text.split_once(':').ok_or_else(form)?;
        match kind {
            "tree" => rest.parse().map(Self::Tree).map_err(|_| form()),
            "execution" => {
                let (id, path) = rest.split_once('/').unwrap_or((rest, ""));
                let execution = id.parse().map_err(|_| form())?;
                Ok(Self::Output { execution, path: relative(path)? })
            }
            "share" => {
                let (share, path) = rest.split_once('/').unwrap_or((rest, ""));
                if share.is_empty() {
                    return Err(form());
                }
                Ok(Self::Share { share: share.to_owned(), path: relative(path)? })
            }
            _ => Err(form()),
        }
    }
}

/// A path that stays below its folder; empty means the folder itself.
fn relative(path: &str) -> Result<String, InputRefFault> {
    let path = path.strip_suffix('/').unwrap_or(path);
    if path.is_empty() || is_below_folder(path) {
        return Ok(path.to_owned());
    }
    Err(InputRefFault::Path(sanitize(path)))
}

/// True if a path names something below its folder, whatever the folder is: it has neither
/// empty components nor `.`, `..`, `\\` or control characters.
pub(super) fn is_below_folder(path: &str) -> bool {
    gantry_init::artifact_name::is_allowed(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn a_digest_is_written_as_it_is_read() {
        let text = format!("sha256:{HEX}");
        let digest: FileDigest = text.parse().unwrap();
        assert_eq!((digest.to_string(), digest.hex()), (text, HEX.to_owned()));
        let json = serde_json::to_string(&digest).unwrap();
        assert_eq!(serde_json::from_str::<FileDigest>(&json).unwrap(), digest);
        for bad in
            ["", "sha256:", HEX, "sha256:xyz", "md5:00", &format!("sha256:{}", HEX.to_uppercase())]
        {
            assert!(bad.parse::<FileDigest>().is_err(), "{bad}");
        }
    }

    #[test]
    fn each_reference_is_written_as_it_is_read() {
        let id = Uuid::nil();
        for text in [
            format!("sha256:{HEX}"),
            format!("tree:sha256:{HEX}"),
            format!("execution:{id}/a/b.mov"),
            "share:media/film3/17.mov".to_owned(),
        ] {
            assert_eq!(text.parse::<InputRef>().unwrap().to_string(), text);
        }
        for whole in [format!("execution:{id}"), format!("execution:{id}/")] {
            let all = InputRef::Output { execution: id, path: String::new() };
            assert_eq!(whole.parse(), Ok(all));
        }
    }

    #[test]
    fn what_leads_elsewhere_is_refused() {
        let id = Uuid::nil();
        for bad in
            ["", "a.mov", "sha256:1", "tree:1", "execution:1/a", "share:", "share:/a", "file:/etc"]
        {
            assert!(matches!(bad.parse::<InputRef>(), Err(InputRefFault::Form(_))), "{bad}");
        }
        for path in ["../a", "a/../b", "/etc", "a//b", "a\\b", "a\nb", "./a"] {
            for text in [format!("execution:{id}/{path}"), format!("share:m/{path}")] {
                assert!(matches!(text.parse::<InputRef>(), Err(InputRefFault::Path(_))), "{text}");
            }
        }
    }
}
