//! Holders of files.

use std::fmt;

use uuid::Uuid;

use super::FileDigest;

/// Holder of a file: as long as it holds the file, the file is not collected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Holder {
    /// Token, by its id, that uploaded the file.
    Token(i64),
    /// Execution that took the file, or left it.
    Execution(Uuid),
    /// Folder that the file is in, by the digest of its manifest.
    Tree(FileDigest),
}

/// The holder as the database has it.
impl fmt::Display for Holder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(id) => write!(formatter, "token:{id}"),
            Self::Execution(id) => write!(formatter, "execution:{id}"),
            Self::Tree(digest) => write!(formatter, "tree:{}", digest.hex()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holders_have_distinct_names() {
        let names = [
            Holder::Token(3).to_string(),
            Holder::Execution(Uuid::nil()).to_string(),
            Holder::Tree(FileDigest::new([0xab; 32])).to_string(),
        ];
        assert_eq!(names[0], "token:3");
        assert_eq!(names[1], "execution:00000000-0000-0000-0000-000000000000");
        assert_eq!(names[2], format!("tree:{}", "ab".repeat(32)));
    }
}
