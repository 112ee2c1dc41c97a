//! Errors of requirements, with advice.

use thiserror::Error;

use super::{Line, MAX_BYTES, MAX_JOINED_BYTES, MAX_LINE_BYTES, MAX_REQUIREMENTS};
use crate::domain::sanitize::sanitize;

/// Reason why requirements are refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RequirementsError {
    /// The text has more than [`MAX_BYTES`].
    #[error("requirements have {0} bytes, at most {MAX_BYTES} (256 KiB) are allowed")]
    TooLarge(usize),
    /// There are more than [`MAX_REQUIREMENTS`].
    #[error("{0} requirements, at most {MAX_REQUIREMENTS} are allowed")]
    TooMany(usize),
    /// A line is refused.
    #[error("requirements line {line}: {fault}: {excerpt}")]
    Line {
        /// Number of the line, from 1; for a continued line, of its first part.
        line: usize,
        /// Sanitized text of the line.
        excerpt: String,
        /// Fault of the line.
        fault: LineFault,
    },
}

/// Reason why a line is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LineFault {
    /// The line is longer than [`MAX_LINE_BYTES`].
    #[error("{0} bytes long, at most {MAX_LINE_BYTES} are allowed")]
    TooLong(usize),
    /// The line is longer than [`MAX_JOINED_BYTES`] after continuations are joined.
    #[error("{0} bytes long with its continuations, at most {MAX_JOINED_BYTES} are allowed")]
    JoinedTooLong(usize),
    /// The line is not a requirement by PEP 508.
    #[error("not a valid requirement ({0})")]
    Syntax(String),
    /// The policy does not allow index options.
    #[error("option {0} is not allowed")]
    Option(String),
    /// The option is never accepted.
    #[error("option {0} is not supported")]
    UnsupportedOption(String),
    /// The option is `-r`, `-c` or `-e`.
    #[error("option {0} needs files, and there are none beside the requirements")]
    Files(String),
    /// The policy does not allow direct URLs.
    #[error("direct URLs are not allowed")]
    Url,
    /// A direct URL that is refused even if the policy allows URLs.
    #[error("direct URLs are not allowed, and this one never is ({0})")]
    UselessUrl(&'static str),
    /// An index option that is refused even if the policy allows them.
    #[error("option {0} is not allowed")]
    UselessOption(String),
    /// A URL without a package name.
    #[error("URL without a package name")]
    UnnamedUrl,
    /// A URL that is refused although the policy allows URLs.
    #[error("URL is not accepted ({0})")]
    UnusableUrl(&'static str),
    /// A path on a disk that the installer does not see.
    #[error("local paths are not supported")]
    LocalPath,
}

/// Common options, and their replacements.
const INSTEAD: [(&str, &str); 5] = [
    ("--pre", "name the pre-release where you need it: name==2.0rc1"),
    ("--no-binary", "remove it; the server decides whether packages are built from source"),
    ("--only-binary", "remove it; the server decides whether packages are built from source"),
    ("--require-hashes", "remove it; hashes are checked wherever they are given"),
    ("--trusted-host", "remove it; certificates are set up on the server"),
];

impl RequirementsError {
    /// Advice for the user.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::TooLarge(_) | Self::TooMany(_) => Some(
                "list only the packages that the script imports, not their dependencies".to_owned(),
            ),
            Self::Line { fault, .. } => fault.hint(),
        }
    }
}

impl LineFault {
    /// Advice for the user.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::TooLong(_) => "continue the line with a \\ at its end",
            Self::JoinedTooLong(_) => return None,
            Self::Syntax(_) => "for example: numpy, numpy==2.1.0, requests[socks]>=2.31,<3",
            Self::Option(_) => {
                "remove it; the index is set on the server, where index options can be allowed as well"
            }
            Self::UnsupportedOption(option) => {
                let instead = INSTEAD.iter().find(|(name, _)| name == option);
                instead.map_or("remove it", |(_, instead)| instead)
            }
            Self::Files(_) => "write the requirements themselves into this file",
            Self::Url => "name a version from the index (name==1.2.3), or allow URLs on the server",
            Self::UselessUrl(_) => "name a version from the index: name==1.2.3",
            Self::UselessOption(_) => "remove it; the index is set on the server",
            Self::UnnamedUrl => "write name @ URL",
            Self::UnusableUrl(_) => {
                "use https:// or git+https://, without user, password or variables"
            }
            Self::LocalPath => {
                "name a version from the index: name==1.2.3; `pip list --format=freeze` writes \
                 those of an environment, conda's included"
            }
        };
        Some(hint.to_owned())
    }
}

/// Error for a fault on a line.
pub(super) fn at(line: &Line, fault: LineFault) -> RequirementsError {
    let text = match line.text.split_once("://") {
        // URLs of indexes can hold tokens.
        Some((before, url)) if line.text.starts_with('-') => {
            format!("{before}://{}/****", url.split(['/', '?', '#']).next().unwrap_or_default())
        }
        _ => line.text.clone(),
    };
    RequirementsError::Line { line: line.number, excerpt: sanitize(&text), fault }
}
