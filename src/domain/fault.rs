//! Faults of a request, field by field, so that its sender can fix all of them at once.

use serde::Serialize;

/// Fault in a request or a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Place: a JSON pointer (RFC 6901) into the document; empty for the whole.
    pub pointer: String,
    /// Description and advice; safe to show.
    pub detail: String,
}

impl Fault {
    /// Fault at a place.
    #[must_use]
    pub fn new(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), detail: detail.into() }
    }

    /// Fault in a larger document, of which this one is a part at the pointer `base`.
    #[must_use]
    pub fn below(self, base: &str) -> Self {
        Self { pointer: format!("{base}{}", self.pointer), detail: self.detail }
    }
}

/// Pointer with one more component (RFC 6901, section 3).
#[must_use]
pub fn pointer_to(base: &str, component: &str) -> String {
    format!("{base}/{}", component.replace('~', "~0").replace('/', "~1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_escapes_what_would_divide_it() {
        assert_eq!(pointer_to("/env", "a/b~c"), "/env/a~1b~0c");
        assert_eq!(Fault::new("/x", "bad").below("/input").pointer, "/input/x");
    }
}
