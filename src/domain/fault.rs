//! What is wrong with a request, field by field, so that whoever sent it can mend
//! all of it at once.

use serde::Serialize;
use utoipa::ToSchema;

/// One thing that is wrong with a request or a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Fault {
    /// Where: a JSON pointer (RFC 6901) into what was sent; empty for the whole.
    pub pointer: String,
    /// What is wrong there, and what to do; safe to show.
    pub detail: String,
}

impl Fault {
    /// Something that is wrong at a place.
    #[must_use]
    pub fn new(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), detail: detail.into() }
    }

    /// The same, in a document that is itself a part of something: `base` is the
    /// pointer to it.
    #[must_use]
    pub fn below(self, base: &str) -> Self {
        Self { pointer: format!("{base}{}", self.pointer), detail: self.detail }
    }
}

/// A pointer with one more component (RFC 6901, 3).
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
