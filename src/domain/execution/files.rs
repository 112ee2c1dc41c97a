//! Files of an execution, fixed when it is accepted.

use std::ops::Not;

use serde::{Deserialize, Serialize};

use crate::domain::file::InputRef;
use crate::domain::input_files::InputFile;
use crate::domain::keep::Keep;

/// Files that an execution takes, and the time for which those that it leaves are kept.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilesSnapshot {
    /// Input files, with those of its folders.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<InputFile>,
    /// Files and folders of shares.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shares: Vec<SharedInput>,
    /// Texts of the input that stand for files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FileField>,
    /// Time for which its files are kept; `None` is as long as the execution.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<Keep>,
}

/// File or folder of a share that an execution reads where it lies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SharedInput {
    /// Path below `/work/in`, with `/` between components.
    pub name: String,
    /// Name of the share.
    pub share: String,
    /// Path below its root; empty for the root.
    pub path: String,
    /// Size in bytes when the execution was accepted; `None` for a folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

impl SharedInput {
    /// The reference that named it.
    #[must_use]
    pub fn reference(&self) -> InputRef {
        InputRef::Share { share: self.share.clone(), path: self.path.clone() }
    }
}

/// Text of an input that the script reads as a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileField {
    /// Offset of its opening quote in the input, in bytes.
    pub start: usize,
    /// Offset behind its closing quote.
    pub end: usize,
    /// Name below `/work/in`.
    pub name: String,
    /// True if the text is a reference, and its files are there only for it.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub is_reference: bool,
}

impl FilesSnapshot {
    /// Files that the request named beside its input.
    pub fn named(&self) -> impl Iterator<Item = &InputFile> {
        let is_of = |file: &InputFile, field: &FileField| {
            let rest = file.name.strip_prefix(&field.name);
            field.is_reference && rest.is_some_and(|it| it.is_empty() || it.starts_with('/'))
        };
        self.inputs.iter().filter(move |file| !self.fields.iter().any(|it| is_of(file, it)))
    }

    /// Shared files that the request named beside its input.
    pub fn named_shares(&self) -> impl Iterator<Item = &SharedInput> {
        let is_of =
            |it: &SharedInput, field: &FileField| field.is_reference && it.name == field.name;
        self.shares.iter().filter(move |it| !self.fields.iter().any(|field| is_of(it, field)))
    }

    /// True for an execution that takes no files and keeps those that it leaves as usual.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.inputs.is_empty()
            && self.shares.is_empty()
            && self.fields.is_empty()
            && self.keep.is_none()
    }
}
