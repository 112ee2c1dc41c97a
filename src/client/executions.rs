//! Requests about executions.

use reqwest::Method;
use reqwest::header::{ACCEPT, HeaderMap, HeaderName, HeaderValue};

use super::connection::{Client, Download, Patience, described};
use super::document::{Document, List, Page};
use super::error::ClientError;
use super::fields::Fields;
use crate::domain::job::MAX_ARTIFACT_BYTES;

const EXECUTIONS: [&str; 3] = ["api", "v1", "executions"];

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Rows that a list has at most: more than the artifacts that one execution may
/// leave, with those that were not taken.
pub const MAX_LISTED: u32 = 1_000;

/// Filter of a list of executions.
#[derive(Debug, Clone, Default)]
pub struct ExecutionFilter {
    /// A script's name or id.
    pub script: Option<String>,
    /// `pending`, `running`, `completed`, `failed`, `timeout` or `cancelled`.
    pub status: Option<String>,
    /// The pipeline's job.
    pub job_id: Option<String>,
}

/// A path below the executions.
fn path<'a>(below: &[&'a str]) -> Vec<&'a str> {
    [EXECUTIONS.as_slice(), below].concat()
}

impl Client {
    /// Executions, newest first.
    ///
    /// # Errors
    /// [`ClientError`], here and in all others.
    pub async fn executions(
        &self,
        filter: &ExecutionFilter,
        page: Page,
    ) -> Result<List, ClientError> {
        let mut query = Vec::new();
        query.extend(filter.script.clone().map(|script| ("script", script)));
        query.extend(filter.status.clone().map(|status| ("status", status)));
        query.extend(filter.job_id.clone().map(|job| ("job_id", job)));
        page.add_to(&mut query);
        self.list(&path(&[]), &query).await
    }

    /// One execution, with its logs.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn execution(&self, id: &str) -> Result<Document, ClientError> {
        self.get(&path(&[id]), &[]).await
    }

    /// Submits an execution. The same key answers with the same execution.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn submit(
        &self,
        fields: &Fields,
        idempotency_key: Option<&str>,
    ) -> Result<Document, ClientError> {
        let mut headers = HeaderMap::new();
        if let Some(key) = idempotency_key {
            headers.insert(IDEMPOTENCY_KEY, header_value(key)?);
        }
        self.send_fields(Method::POST, &path(&[]), fields, headers, Patience::Usual).await
    }

    /// Cancels an execution.
    ///
    /// # Errors
    /// [`ClientError`]; 409 when it has already ended otherwise.
    pub async fn cancel(&self, id: &str) -> Result<Document, ClientError> {
        let (path, none) = (path(&[id, "cancel"]), HeaderMap::new());
        self.send_fields(Method::POST, &path, &Fields::default(), none, Patience::Usual).await
    }

    /// The files that an execution left.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn artifacts(&self, id: &str) -> Result<List, ClientError> {
        let page = Page { limit: Some(MAX_LISTED), offset: None };
        let mut query = Vec::new();
        page.add_to(&mut query);
        self.list(&path(&[id, "artifacts"]), &query).await
    }

    /// One of them.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn artifact(&self, id: &str, name: &str) -> Result<Download, ClientError> {
        self.download(&path(&[id, "artifacts", name]), MAX_ARTIFACT_BYTES).await
    }

    /// The stream of an execution's events, after the event with this id. `None`
    /// when there is nothing more to come.
    pub(super) async fn events(
        &self,
        id: &str,
        last_event_id: &str,
    ) -> Result<Option<reqwest::Response>, ClientError> {
        let mut request = self.request(Method::GET, &path(&[id, "events"]), &[])?;
        request = request.header(ACCEPT, "text/event-stream");
        if !last_event_id.is_empty() {
            request = request.header(LAST_EVENT_ID, header_value(last_event_id)?);
        }
        let response = self.send(request, Patience::Usual).await?;
        if response.status() == reqwest::StatusCode::NO_CONTENT {
            return Ok(None);
        }
        let kind = response.headers().get(reqwest::header::CONTENT_TYPE);
        if kind.is_none_or(|kind| !kind.as_bytes().starts_with(b"text/event-stream")) {
            let (url, seen) = (self.url().to_string(), described(&response));
            return Err(ClientError::NotGantry { url, seen });
        }
        Ok(Some(response))
    }
}

fn header_value(text: &str) -> Result<HeaderValue, ClientError> {
    HeaderValue::from_bytes(text.as_bytes())
        .map_err(|_| ClientError::Unnameable(crate::domain::sanitize::sanitize(text)))
}
