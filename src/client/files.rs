//! Requests about files.

use bytes::Bytes;
use reqwest::header::{
    ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, IF_RANGE, LOCATION, RANGE,
};
use reqwest::{Method, StatusCode};

use super::connection::{Client, Download, Patience, described};
use super::document::{Document, List, Page};
use super::error::ClientError;
use super::fields::Fields;
use crate::domain::file::FileDigest;
use crate::domain::sanitize::sanitize;

const FILES: [&str; 3] = ["api", "v1", "files"];
const UPLOADS: [&str; 3] = ["api", "v1", "uploads"];
const TREES: [&str; 3] = ["api", "v1", "trees"];

const TUS_RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");
const UPLOAD_LENGTH: HeaderName = HeaderName::from_static("upload-length");
const UPLOAD_METADATA: HeaderName = HeaderName::from_static("upload-metadata");
const UPLOAD_OFFSET: HeaderName = HeaderName::from_static("upload-offset");

/// Version of the tus protocol.
const TUS_VERSION: &str = "1.0.0";

/// Part of a file that arrives.
#[derive(Debug)]
pub struct FileDownload {
    /// Place of its first byte.
    pub from: u64,
    /// The bytes.
    pub download: Download,
}

fn below<'a>(resource: [&'a str; 3], more: &[&'a str]) -> Vec<&'a str> {
    [resource.as_slice(), more].concat()
}

impl Client {
    /// Files that are kept for the token.
    ///
    /// # Errors
    /// [`ClientError`], here and in all others.
    pub async fn files(&self, page: Page) -> Result<List, ClientError> {
        let mut query = Vec::new();
        page.add_to(&mut query);
        self.list(&FILES, &query).await
    }

    /// Lets go of a file.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn release_file(&self, digest: FileDigest) -> Result<(), ClientError> {
        self.delete(&below(FILES, &[&digest.to_string()])).await
    }

    /// Those of these files that have to be sent.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn missing_files(&self, fields: &Fields) -> Result<Document, ClientError> {
        let (path, none) = (below(FILES, &["missing"]), HeaderMap::new());
        self.send_fields(Method::POST, &path, fields, none, Patience::Usual).await
    }

    /// Sends a small file whole.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn put_file(
        &self,
        digest: FileDigest,
        query: &[(&str, String)],
        content: Bytes,
    ) -> Result<(), ClientError> {
        let digest_text = digest.to_string();
        let path = below(FILES, &[&digest_text]);
        let request = self.request(Method::PUT, &path, query)?;
        let request = request.header(CONTENT_TYPE, "application/octet-stream").body(content);
        self.send(request, Patience::Usual).await.map(|_| ())
    }

    /// Begins an upload in parts. Returns its id.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn begin_upload(&self, bytes: u64, metadata: &str) -> Result<String, ClientError> {
        let request = self.request(Method::POST, &UPLOADS, &[])?;
        let request = request
            .header(TUS_RESUMABLE, TUS_VERSION)
            .header(UPLOAD_LENGTH, bytes)
            .header(UPLOAD_METADATA, metadata);
        let response = self.send(request, Patience::Usual).await?;
        let location = response.headers().get(LOCATION).and_then(|it| it.to_str().ok());
        let id = location.and_then(|it| it.rsplit('/').next()).filter(|it| !it.is_empty());
        id.map(str::to_owned).ok_or_else(|| ClientError::NotGantry {
            url: self.url().to_string(),
            seen: described(&response),
        })
    }

    /// Bytes of an upload that the server has.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn upload_offset(&self, id: &str) -> Result<u64, ClientError> {
        let request = self.request(Method::HEAD, &below(UPLOADS, &[id]), &[])?;
        let request = request.header(TUS_RESUMABLE, TUS_VERSION);
        self.offset_of(request).await
    }

    /// Sends a part of an upload. Returns how many bytes the server has then.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn append_upload(
        &self,
        id: &str,
        offset: u64,
        part: Bytes,
    ) -> Result<u64, ClientError> {
        let request = self.request(Method::PATCH, &below(UPLOADS, &[id]), &[])?;
        let request = request
            .header(TUS_RESUMABLE, TUS_VERSION)
            .header(CONTENT_TYPE, "application/offset+octet-stream")
            .header(UPLOAD_OFFSET, offset)
            .body(part);
        self.offset_of(request).await
    }

    async fn offset_of(&self, request: reqwest::RequestBuilder) -> Result<u64, ClientError> {
        let response = self.send(request, Patience::Usual).await?;
        let offset = response.headers().get(UPLOAD_OFFSET).and_then(|it| it.to_str().ok());
        offset.and_then(|it| it.parse().ok()).ok_or_else(|| ClientError::NotGantry {
            url: self.url().to_string(),
            seen: described(&response),
        })
    }

    /// Makes a folder of files that are there.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn create_tree(
        &self,
        fields: &Fields,
        query: &[(&str, String)],
    ) -> Result<Document, ClientError> {
        let body = serde_json::to_vec(fields).map_err(ClientError::Request)?;
        let request = self.request(Method::POST, &TREES, query)?;
        let request = request.header(CONTENT_TYPE, "application/json").body(body);
        self.read_document(self.send(request, Patience::Usual).await?).await
    }

    /// A file, from this byte on, or from its beginning if the server sends all of it.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn file(&self, digest: FileDigest, from: u64) -> Result<FileDownload, ClientError> {
        let digest_text = digest.to_string();
        let path = below(FILES, &[&digest_text]);
        let mut request = self.request(Method::GET, &path, &[])?.header(ACCEPT, "*/*");
        if from > 0 {
            let tag = HeaderValue::from_str(&format!("\"{}\"", digest.hex()));
            let tag = tag.map_err(|_| ClientError::Unnameable(sanitize(&digest.hex())))?;
            request = request.header(RANGE, format!("bytes={from}-")).header(IF_RANGE, tag);
        }
        let response = self.send(request, Patience::Usual).await?;
        let is_part = response.status() == StatusCode::PARTIAL_CONTENT;
        let download = self.downloaded(response, u64::MAX);
        Ok(FileDownload { from: if is_part { from } else { 0 }, download })
    }

    /// Manifest of a folder, at most so many bytes of it.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn tree(&self, digest: FileDigest, limit: u64) -> Result<Download, ClientError> {
        self.download(&below(TREES, &[&digest.to_string()]), limit).await
    }

    /// A file of a folder.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn tree_file(&self, tree: FileDigest, path: &str) -> Result<Download, ClientError> {
        let digest = tree.to_string();
        let mut segments = below(TREES, &[&digest]);
        segments.extend(path.split('/'));
        self.download(&segments, u64::MAX).await
    }
}
