//! JSON as a server sent it: kept word for word for callers that want JSON, and read in
//! parts by others.

use serde::de::{DeserializeOwned, IgnoredAny};

use super::error::ClientError;

/// One JSON document.
#[derive(Debug, Clone)]
pub struct Document(String);

impl Document {
    /// `None` when it is not JSON.
    pub(super) fn new(bytes: Vec<u8>) -> Option<Self> {
        let text = String::from_utf8(bytes).ok()?;
        serde_json::from_str::<IgnoredAny>(&text).ok()?;
        Some(Self(text))
    }

    /// The document as it came.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Reads the known fields.
    ///
    /// # Errors
    /// [`ClientError::Form`] when it has another form.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, ClientError> {
        serde_json::from_str(&self.0).map_err(|error| ClientError::Form(error.to_string()))
    }
}

/// A part of a list.
#[derive(Debug, Clone)]
pub struct List {
    /// The array.
    pub document: Document,
    /// Number of rows in all, where the server sent it.
    pub total: Option<u64>,
}

/// Part of a list; the server's default for each field that is `None`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Page {
    /// Most rows.
    pub limit: Option<u32>,
    /// Rows before the first one.
    pub offset: Option<u64>,
}

impl Page {
    /// Adds the page to a query.
    pub(super) fn add_to(self, query: &mut Vec<(&'static str, String)>) {
        query.extend(self.limit.map(|limit| ("limit", limit.to_string())));
        query.extend(self.offset.map(|offset| ("offset", offset.to_string())));
    }
}
