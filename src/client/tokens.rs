//! Requests about tokens.

use reqwest::Method;
use reqwest::header::HeaderMap;

use super::connection::{Client, Patience};
use super::document::{Document, List, Page};
use super::error::ClientError;
use super::fields::Fields;

const TOKENS: [&str; 4] = ["api", "v1", "admin", "tokens"];

impl Client {
    /// Tokens, without their secrets.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn tokens(&self, page: Page) -> Result<List, ClientError> {
        let mut query = Vec::new();
        page.add_to(&mut query);
        self.list(&TOKENS, &query).await
    }

    /// Makes a token; the answer holds its secret, this once.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn create_token(&self, fields: &Fields) -> Result<Document, ClientError> {
        let none = HeaderMap::new();
        self.send_fields(Method::POST, &TOKENS, fields, none, Patience::Usual).await
    }

    /// Revokes a token, by its id.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn revoke_token(&self, id: &str) -> Result<(), ClientError> {
        self.delete(&[TOKENS.as_slice(), &[id]].concat()).await
    }
}
