//! Parses and bounds a script's `requirements.txt` before anything is built, and writes it
//! for the installer in a normal form: the installer reads exactly the checked
//! requirements, and equal sets share one environment.
//!
//! The policy decides which lines are allowed: by default names, versions, markers and
//! hashes, and nothing that could point the installer elsewhere. Lines are split as pip
//! does; versions are PEP 440 by `pep440_rs`. The grammar around them (PEP 508) is our own:
//! `pep508_rs` 0.9 panics on hostile names, poisons a global lock on hostile markers, and
//! takes exponential time and memory to normalize them.

mod blame;
mod error;
mod lines;
mod marker;
mod option;
mod requirement;
mod url;

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

pub use error::{LineFault, RequirementsError};
pub use requirement::normalised_name;

use error::at;
use lines::{Line, logical_lines};
use requirement::Requirement;

/// Largest requirements file, in bytes (256 KiB).
pub const MAX_BYTES: usize = 256 * 1024;

/// Most requirements.
pub const MAX_REQUIREMENTS: usize = 1_000;

/// Longest line, in bytes (4 KiB).
pub const MAX_LINE_BYTES: usize = 4 * 1024;

/// Longest line after continuations are joined, in bytes (64 KiB): a package with a hash
/// for each of its wheels has a hundred continued lines.
pub const MAX_JOINED_BYTES: usize = 64 * 1024;

/// Parts of requirements that are allowed besides names, versions, markers and hashes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct RequirementsPolicy {
    /// `name @ https://…` and `name @ git+https://…`.
    pub allow_urls: bool,
    /// `--index-url`, `--extra-index-url`, `--find-links`, `--no-index`.
    pub allow_options: bool,
    /// Builds from source, which run the package's code; passed on to the installer.
    pub allow_sources: bool,
}

impl RequirementsPolicy {
    /// The same policy, with sources allowed if the script's own setting allows them.
    #[must_use]
    pub fn or_sources(self, is_chosen: bool) -> Self {
        Self { allow_sources: self.allow_sources || is_chosen, ..self }
    }
}

/// Requirements of one environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirements {
    /// Requirements in the order of the file.
    requirements: Vec<Requirement>,
    /// Index options in the order of the file, which is their priority.
    options: Vec<String>,
    policy: RequirementsPolicy,
}

/// Content of one line.
enum Entry {
    Requirement(Requirement),
    Option(String),
}

impl Requirements {
    /// Parses the text of a `requirements.txt`.
    ///
    /// # Errors
    /// [`RequirementsError`], which names the line and gives advice. Never panics.
    pub fn parse(text: &str, policy: RequirementsPolicy) -> Result<Self, RequirementsError> {
        if text.len() > MAX_BYTES {
            return Err(RequirementsError::TooLarge(text.len()));
        }
        let lines = logical_lines(text)?;
        let mut parsed = Self { requirements: Vec::new(), options: Vec::new(), policy };
        for line in &lines {
            match entry(&line.text, policy).map_err(|fault| at(line, fault))? {
                Entry::Requirement(requirement) => parsed.requirements.push(requirement),
                Entry::Option(option) => parsed.options.push(option),
            }
        }
        let count = parsed.requirements.len().max(parsed.options.len());
        if count > MAX_REQUIREMENTS {
            return Err(RequirementsError::TooMany(count));
        }
        Ok(parsed)
    }

    /// Text for the installer: index options unchanged, then each different requirement on
    /// its own line, sorted, with normalized name (PEP 503), extras, versions (PEP 440),
    /// marker and hashes. The same set in another order, case or spacing gives the same
    /// text. Contradictory requirements are kept, because the resolver explains them
    /// better.
    #[must_use]
    pub fn normalised(&self) -> String {
        let requirements: BTreeSet<&str> =
            self.requirements.iter().map(Requirement::normalised).collect();
        let options = self.options.iter().map(String::as_str);
        let mut text = String::new();
        for line in options.chain(requirements) {
            text.push_str(line);
            text.push('\n');
        }
        text
    }

    /// Lowercase hexadecimal SHA-256 of [`Requirements::normalised`] and of the part of the
    /// policy that changes the result but not the text (sources).
    #[must_use]
    pub fn hash(&self) -> String {
        let mut hasher = Sha256::new();
        hasher.update([u8::from(self.policy.allow_sources)]);
        hasher.update(self.normalised());
        hex::encode(hasher.finalize())
    }

    /// True if nothing is required.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.requirements.is_empty()
    }

    /// Normalized names (PEP 503), sorted, each once.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        let names: BTreeSet<&str> = self.requirements.iter().map(Requirement::name).collect();
        names.into_iter().collect()
    }

    /// Policy that they were parsed with.
    #[must_use]
    pub fn policy(&self) -> RequirementsPolicy {
        self.policy
    }

    /// Requirement, as written, that an installer's error is about: the first one that it
    /// names. Expects text without colours.
    #[must_use]
    pub fn failing_requirement(&self, installer_words: &str) -> Option<&str> {
        blame::first_named(&self.requirements, installer_words).map(Requirement::original)
    }
}

/// Parses one line that is neither empty nor a comment.
fn entry(text: &str, policy: RequirementsPolicy) -> Result<Entry, LineFault> {
    if text.starts_with('-') {
        return option::parse(text, policy).map(Entry::Option);
    }
    Requirement::parse(text, policy).map(Entry::Requirement)
}

#[cfg(test)]
mod tests;
