//! Requests and their answers, each bounded in size and time.

use std::fmt;
use std::fs::File;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, LOCATION, RETRY_AFTER,
};
use reqwest::{Method, Response};
use tokio_util::io::ReaderStream;

use super::address::ServerUrl;
use super::document::{Document, List};
use super::error::ClientError;
use super::fields::Fields;
use super::problem::Problem;
use super::token::Token;
use super::transport::explain;
use crate::domain::limits::MAX_OUTPUT_BYTES;
use crate::domain::sanitize::sanitize;

/// Longest time that a connection may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// Longest time without a byte of an answer that is not waited for on purpose.
/// A server with a locked database needs some ten seconds to say so.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// Bytes of a request's body for which an answer may take a second longer: a
/// slow line (1 Mbit/s) has to carry them first.
const BYTES_PER_SECOND: u64 = 128 * 1024;

/// Bytes of a file that are read at once.
const PIECE: usize = 256 * 1024;

/// A peer that disappears without closing is noticed after some of these.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// Largest list, in bytes (64 MiB), with 1 MiB for what surrounds it.
const MAX_LIST_BYTES: u64 = 65 * 1024 * 1024;

/// Largest answer that is one thing, in bytes: an execution with both logs, whose
/// bytes take up to six each (`\u0001`), and its output; and the largest input,
/// with 1 MiB for what surrounds it.
const MAX_OBJECT_BYTES: u64 = 13 * MAX_OUTPUT_BYTES + 65 * 1024 * 1024;

/// Largest refusal that is read, in bytes.
const MAX_PROBLEM_BYTES: u64 = 1024 * 1024;

/// Header with the number of rows that a list has in all.
const TOTAL: &str = "x-total-count";

/// A server, and the token for it.
#[derive(Clone)]
pub struct Client {
    inner: reqwest::Client,
    url: ServerUrl,
    token: Option<Token>,
}

impl fmt::Debug for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Client").field("url", &self.url).finish_non_exhaustive()
    }
}

/// Timeout of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// As long as answers take.
    Usual,
    /// The same, and as long as so many bytes take on a slow line.
    Sending(u64),
    /// As long as a script takes.
    Endless,
}

impl Client {
    /// Asks nothing yet.
    ///
    /// # Errors
    /// [`ClientError::Client`] when this machine's certificates can't be read.
    pub fn new(url: ServerUrl, token: Option<Token>) -> Result<Self, ClientError> {
        // Another part of the process may have chosen one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("gantry/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_WITHIN)
            .tcp_keepalive(KEEPALIVE);
        if url.is_loopback() {
            builder = builder.no_proxy();
        }
        if !url.is_encrypted() {
            // A machine without certificates can still use plain HTTP.
            builder = builder.tls_certs_only([]);
        }
        let inner = builder.build().map_err(|error| ClientError::Client(error.to_string()))?;
        Ok(Self { inner, url, token })
    }

    /// The server's address.
    #[must_use]
    pub fn url(&self) -> &ServerUrl {
        &self.url
    }

    pub(super) async fn get(
        &self,
        path: &[&str],
        query: &[(&str, String)],
    ) -> Result<Document, ClientError> {
        let request = self.request(Method::GET, path, query)?;
        self.document(self.send(request, Patience::Usual).await?, MAX_OBJECT_BYTES).await
    }

    pub(super) async fn list(
        &self,
        path: &[&str],
        query: &[(&str, String)],
    ) -> Result<List, ClientError> {
        let request = self.request(Method::GET, path, query)?;
        let response = self.send(request, Patience::Usual).await?;
        let total = response.headers().get(TOTAL).and_then(|it| it.to_str().ok()?.parse().ok());
        Ok(List { document: self.document(response, MAX_LIST_BYTES).await?, total })
    }

    pub(super) async fn delete(&self, path: &[&str]) -> Result<(), ClientError> {
        let request = self.request(Method::DELETE, path, &[])?;
        self.send(request, Patience::Usual).await.map(|_| ())
    }

    pub(super) async fn send_fields(
        &self,
        method: Method,
        path: &[&str],
        fields: &Fields,
        headers: HeaderMap,
        patience: Patience,
    ) -> Result<Document, ClientError> {
        let body = serde_json::to_vec(fields).map_err(ClientError::Request)?;
        let request = self.request(method, path, &[])?.headers(headers);
        let request = request.header(CONTENT_TYPE, "application/json").body(body);
        self.document(self.send(request, patience).await?, MAX_OBJECT_BYTES).await
    }

    /// Sends fields and a file with a bundle, which is read as it is sent.
    pub(super) async fn send_bundle(
        &self,
        method: Method,
        path: &[&str],
        fields: &Fields,
        bundle: File,
    ) -> Result<Document, ClientError> {
        let unread = |error: std::io::Error| ClientError::Client(format!("the bundle: {error}"));
        let bytes = bundle.metadata().map_err(unread)?.len();
        let body = serde_json::to_vec(fields).map_err(ClientError::Request)?;
        let boundary = uuid::Uuid::new_v4().simple().to_string();
        let (head, tail) = around(&boundary, &body);
        let length = head.len() as u64 + bytes + tail.len() as u64;
        let piece = |bytes: Vec<u8>| futures::stream::iter([Ok(Bytes::from(bytes))]);
        let content = ReaderStream::with_capacity(tokio::fs::File::from_std(bundle), PIECE);
        let stream = piece(head).chain(content).chain(piece(tail));
        let request = self.request(method, path, &[])?;
        let request = request
            .header(CONTENT_TYPE, format!("multipart/form-data; boundary={boundary}"))
            .header(CONTENT_LENGTH, length)
            .body(reqwest::Body::wrap_stream(stream));
        self.document(self.send(request, Patience::Sending(length)).await?, MAX_OBJECT_BYTES).await
    }

    /// Bytes as they come, at most `limit` of them.
    pub(super) async fn download(
        &self,
        path: &[&str],
        limit: u64,
    ) -> Result<Download, ClientError> {
        let request = self.request(Method::GET, path, &[])?.header(ACCEPT, "*/*");
        let response = self.send(request, Patience::Usual).await?;
        Ok(self.downloaded(response, limit))
    }

    /// Bytes of an answer as they come, at most `limit` of them.
    pub(super) fn downloaded(&self, response: Response, limit: u64) -> Download {
        Download { response, url: self.url.to_string(), limit, left: limit }
    }

    /// An answer that is one thing.
    pub(super) async fn read_document(&self, response: Response) -> Result<Document, ClientError> {
        self.document(response, MAX_OBJECT_BYTES).await
    }

    pub(super) fn request(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, String)],
    ) -> Result<reqwest::RequestBuilder, ClientError> {
        let mut request = self.inner.request(method, self.url.resource(path, query)?);
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, token.header());
        }
        Ok(request)
    }

    /// Sends a request; an answer that is no success is an error.
    pub(super) async fn send(
        &self,
        request: reqwest::RequestBuilder,
        patience: Patience,
    ) -> Result<Response, ClientError> {
        let request = request.build().map_err(|error| ClientError::Client(error.to_string()))?;
        let bytes = request.body().and_then(|body| body.as_bytes()).map_or(0, <[u8]>::len) as u64;
        let bytes = if let Patience::Sending(bytes) = patience { bytes } else { bytes };
        let within = ANSWER_WITHIN + Duration::from_secs(bytes / BYTES_PER_SECOND);
        let answer = self.inner.execute(request);
        let answer = match patience {
            Patience::Endless => answer.await,
            Patience::Usual | Patience::Sending(_) => tokio::time::timeout(within, answer)
                .await
                .map_err(|_| ClientError::Slow { url: self.url.to_string(), within })?,
        };
        let response = answer.map_err(|error| explain(self.url.to_string(), &error))?;
        if response.status().is_success() {
            Ok(response)
        } else {
            Err(self.refusal(response).await)
        }
    }

    async fn document(&self, response: Response, limit: u64) -> Result<Document, ClientError> {
        let seen = described(&response);
        let url = self.url.to_string();
        if !is_json(&response) {
            return Err(ClientError::NotGantry { url, seen });
        }
        let bytes = self.bytes(response, limit).await?;
        let seen = format!("{seen} that is not JSON");
        Document::new(bytes).ok_or(ClientError::NotGantry { url, seen })
    }

    async fn bytes(&self, response: Response, limit: u64) -> Result<Vec<u8>, ClientError> {
        let url = self.url.to_string();
        let mut download = Download { response, url, limit, left: limit };
        let mut bytes = Vec::new();
        while let Some(piece) = download.next().await? {
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    }

    /// Returns the error that an unsuccessful answer stands for.
    async fn refusal(&self, response: Response) -> ClientError {
        let (status, url) = (response.status(), self.url.to_string());
        let seen = described(&response);
        if status.is_redirection() {
            let to =
                response.headers().get(LOCATION).map(|to| String::from_utf8_lossy(to.as_bytes()));
            return ClientError::Redirect { url, to: sanitize(&to.unwrap_or_default()) };
        }
        let retry_after = response.headers().get(RETRY_AFTER);
        let retry_after =
            retry_after.and_then(|it| it.to_str().ok()?.parse().ok()).map(Duration::from_secs);
        if !is_json(&response) {
            return ClientError::NotGantry { url, seen };
        }
        let body = match self.bytes(response, MAX_PROBLEM_BYTES).await {
            Ok(body) => String::from_utf8_lossy(&body).into_owned(),
            Err(error) => return error,
        };
        match Problem::parse(status.as_u16(), &body, retry_after) {
            Some(problem) => ClientError::Refused { problem, had_token: self.token.is_some() },
            None => ClientError::NotGantry { url, seen },
        }
    }
}

/// Bytes before and after a bundle in a body of parts (RFC 7578), whose first part has the
/// fields.
fn around(boundary: &str, fields: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let script = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"script\"\r\n\
         Content-Type: application/json\r\n\r\n"
    );
    let bundle = format!(
        "\r\n--{boundary}\r\nContent-Disposition: form-data; name=\"bundle\"; \
         filename=\"bundle.tar\"\r\nContent-Type: application/x-tar\r\n\r\n"
    );
    let head = [script.as_bytes(), fields, bundle.as_bytes()].concat();
    (head, format!("\r\n--{boundary}--\r\n").into_bytes())
}

/// An answer that is taken in pieces.
#[derive(Debug)]
pub struct Download {
    response: Response,
    url: String,
    limit: u64,
    left: u64,
}

impl Download {
    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// [`ClientError::TooLarge`], [`ClientError::Slow`] and [`ClientError::Cut`].
    pub async fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        let piece = next_piece(&mut self.response, &self.url, ANSWER_WITHIN).await?;
        let length = piece.as_ref().map_or(0, |piece| piece.len() as u64);
        self.left = self.left.checked_sub(length).ok_or(ClientError::TooLarge(self.limit))?;
        Ok(piece)
    }
}

/// The next piece of an answer, if it comes in time.
pub(super) async fn next_piece(
    response: &mut Response,
    url: &str,
    within: Duration,
) -> Result<Option<Bytes>, ClientError> {
    let piece = tokio::time::timeout(within, response.chunk()).await;
    let piece = piece.map_err(|_| ClientError::Slow { url: url.to_owned(), within })?;
    piece.map_err(|error| explain(url.to_owned(), &error))
}

fn content_type(response: &Response) -> &str {
    response.headers().get(CONTENT_TYPE).and_then(|it| it.to_str().ok()).unwrap_or_default()
}

/// True for `application/json`, `application/problem+json` and the like.
fn is_json(response: &Response) -> bool {
    let kind = content_type(response).split(';').next().unwrap_or_default().trim();
    let kind = kind.to_ascii_lowercase();
    kind.ends_with("/json") || kind.ends_with("+json")
}

/// Describes an answer briefly.
pub(super) fn described(response: &Response) -> String {
    let kind = match content_type(response) {
        "" => "nothing".to_owned(),
        kind => sanitize(kind),
    };
    format!("it answered {} with {kind}", response.status().as_u16())
}
