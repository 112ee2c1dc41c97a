//! The token that identifies the caller to the server. It is never shown.

use std::fmt;

use reqwest::header::HeaderValue;
use thiserror::Error;

/// A token that can be sent.
#[derive(Clone)]
pub struct Token(HeaderValue);

/// A text that no token can be; it is not shown, for it may be part of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the token is empty, or has characters that no token has")]
pub struct TokenError;

impl TokenError {
    /// Advice about what to do.
    #[must_use]
    pub fn hint(&self) -> String {
        "it is one word, as `gantry token create` has printed it".to_owned()
    }
}

impl Token {
    /// Checks a token; white space around it is not part of it.
    ///
    /// # Errors
    /// [`TokenError`] when it can't be sent.
    pub fn new(text: &str) -> Result<Self, TokenError> {
        let text = text.trim();
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(TokenError);
        }
        let mut header = HeaderValue::try_from(format!("Bearer {text}")).map_err(|_| TokenError)?;
        header.set_sensitive(true);
        Ok(Self(header))
    }

    pub(super) fn header(&self) -> HeaderValue {
        self.0.clone()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Token(****)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_one_word_and_never_shown() {
        let token = Token::new(" secret\n").unwrap();
        assert_eq!(token.header().as_bytes(), b"Bearer secret");
        assert!(!format!("{token:?}{:?}", token.header()).contains("secret"));
        for text in ["", " \n", "two words", "a\nb", "é", "a\0"] {
            assert_eq!(Token::new(text).unwrap_err(), TokenError, "{text:?}");
        }
    }
}
