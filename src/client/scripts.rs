//! Requests about scripts, their versions and environments.

use std::fs::File;

use reqwest::Method;
use reqwest::header::HeaderMap;

use super::connection::{Client, Download, Patience};
use super::document::{Document, List, Page};
use super::error::ClientError;
use super::fields::Fields;
use crate::bundles::MAX_ARCHIVE_BYTES;
use crate::domain::script::MAX_SCRIPT_BYTES;

const SCRIPTS: [&str; 4] = ["api", "v1", "admin", "scripts"];

/// A path below the scripts.
fn path<'a>(below: &[&'a str]) -> Vec<&'a str> {
    [SCRIPTS.as_slice(), below].concat()
}

/// A script is named by its id or its name everywhere.
impl Client {
    /// Scripts, in the server's order. `query` has the filters.
    ///
    /// # Errors
    /// [`ClientError`], here and in all others.
    pub async fn scripts(
        &self,
        mut query: Vec<(&'static str, String)>,
        page: Page,
    ) -> Result<List, ClientError> {
        page.add_to(&mut query);
        self.list(&path(&[]), &query).await
    }

    /// One script.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn script(&self, script: &str) -> Result<Document, ClientError> {
        self.get(&path(&[script]), &[]).await
    }

    /// Registers a script.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn register_script(&self, fields: &Fields) -> Result<Document, ClientError> {
        self.fields(Method::POST, &path(&[]), fields).await
    }

    /// Changes a script; what is not among the fields stays as it is.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn update_script(
        &self,
        script: &str,
        fields: &Fields,
    ) -> Result<Document, ClientError> {
        self.fields(Method::PUT, &path(&[script]), fields).await
    }

    /// Registers a bundle, which is a tar.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn register_bundle(
        &self,
        fields: &Fields,
        bundle: File,
    ) -> Result<Document, ClientError> {
        self.send_bundle(Method::POST, &path(&[]), fields, bundle).await
    }

    /// Changes a script that is a bundle, or becomes one.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn update_bundle(
        &self,
        script: &str,
        fields: &Fields,
        bundle: File,
    ) -> Result<Document, ClientError> {
        self.send_bundle(Method::PUT, &path(&[script]), fields, bundle).await
    }

    /// A version's files, as a tar.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn bundle(&self, script: &str, version: &str) -> Result<Download, ClientError> {
        self.download(&path(&[script, "versions", version, "bundle"]), MAX_ARCHIVE_BYTES).await
    }

    /// Deactivates a script; it stays with its history.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn deactivate_script(&self, script: &str) -> Result<(), ClientError> {
        self.delete(&path(&[script])).await
    }

    /// Runs a script now; the answer comes when it has ended.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn test_script(
        &self,
        script: &str,
        fields: &Fields,
    ) -> Result<Document, ClientError> {
        let path = path(&[script, "test"]);
        let none = HeaderMap::new();
        self.send_fields(Method::POST, &path, fields, none, Patience::Endless).await
    }

    /// A script's versions.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn versions(&self, script: &str, page: Page) -> Result<List, ClientError> {
        let mut query = Vec::new();
        page.add_to(&mut query);
        self.list(&path(&[script, "versions"]), &query).await
    }

    /// Makes a version the current one.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn activate(&self, script: &str, version: &str) -> Result<Document, ClientError> {
        let path = path(&[script, "versions", version, "activate"]);
        self.fields(Method::POST, &path, &Fields::default()).await
    }

    /// A version's bytes.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn source(&self, script: &str, version: &str) -> Result<Download, ClientError> {
        self.download(&path(&[script, "versions", version, "source"]), MAX_SCRIPT_BYTES).await
    }

    /// An environment with its build log.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn environment(&self, key: &str) -> Result<Document, ClientError> {
        self.get(&["api", "v1", "admin", "environments", key], &[]).await
    }

    async fn fields(
        &self,
        method: Method,
        path: &[&str],
        fields: &Fields,
    ) -> Result<Document, ClientError> {
        self.send_fields(method, path, fields, HeaderMap::new(), Patience::Usual).await
    }
}
