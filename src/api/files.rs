//! Files by their content: sending, fetching, listing and removing them.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::clock;
use crate::domain::fault::Fault;
use crate::domain::file::FileDigest;
use crate::files::StoredFile;
use crate::http::auth::Identity;
use crate::http::digests::said_digest;
use crate::http::extract::Json as JsonBody;
use crate::http::files::{SentLabel, find, holder, receive, refuse, send_file};
use crate::http::page::{Listed, PageQuery};
use crate::http::path::PathText;
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::state::AppState;
use crate::store::{FileRef, Page};

/// Most digests of one question.
const MAX_ASKED: usize = 10_000;

/// Largest body with digests, in bytes (2 MiB).
const WITH_DIGESTS: usize = 2 * 1024 * 1024;

/// Words about a file that is sent.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "read one by one")]
pub(crate) struct SentFileQuery {
    /// Name of the file.
    #[param(value_type = Option<String>, max_length = 255, example = "plate.mov")]
    name: Option<String>,
    /// Time for which it is kept: a time such as `7d`, `none` (as long as files stay that nobody
    /// holds), or `forever`. Executions that take it hold it as well.
    #[param(value_type = Option<String>, default = "7d", example = "30d")]
    keep: Option<String>,
}

/// A file that is kept.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StoredFile)]
pub(crate) struct StoredFileView {
    /// SHA-256 of its bytes.
    #[schema(value_type = String, example = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824")]
    pub(super) digest: FileDigest,
    /// Its size in bytes.
    pub(super) bytes: u64,
}

impl From<StoredFile> for StoredFileView {
    fn from(stored: StoredFile) -> Self {
        Self { digest: stored.digest, bytes: stored.bytes }
    }
}

/// A file in a list.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = File)]
pub(super) struct FileView {
    /// SHA-256 of its bytes.
    #[schema(value_type = String)]
    digest: FileDigest,
    /// Its size in bytes; for the manifest of a folder, that of its files as well.
    bytes: u64,
    /// Name that was given to it.
    name: Option<String>,
    /// Media type that was given to it.
    media_type: Option<String>,
    /// True for the manifest of a folder.
    is_tree: bool,
    /// Time at which it was sent first.
    #[schema(value_type = String, format = "date-time")]
    created_at: DateTime<Utc>,
    /// Time until which it is kept; null for ever.
    #[schema(value_type = Option<String>, format = "date-time")]
    expires_at: Option<DateTime<Utc>>,
}

impl From<FileRef> for FileView {
    fn from(file: FileRef) -> Self {
        Self {
            digest: file.digest,
            bytes: file.bytes,
            name: file.name,
            media_type: file.media_type,
            is_tree: file.is_tree,
            created_at: file.created_at,
            expires_at: file.expires_at,
        }
    }
}

/// Digests to ask for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    /// Digests of files.
    #[schema(value_type = Vec<String>, max_items = 10_000)]
    digests: Vec<String>,
}

/// Digests that are not there.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MissingFiles {
    /// Those of the question, in its order, that have to be sent.
    #[schema(value_type = Vec<String>)]
    missing: Vec<FileDigest>,
}

/// URL of a file.
pub(super) fn location(digest: FileDigest) -> String {
    format!("/api/v1/files/{digest}")
}

/// Digest in a path.
pub(super) fn digest_of(path: &PathText) -> Result<FileDigest, Problem> {
    path.get("digest").parse().map_err(|_| Problem::not_found("file"))
}

/// Sends a file
///
/// The body is the file, of any size, as it is. A `Repr-Digest` with `sha-256` (RFC 9530) is
/// compared with what came. A file that is there already is kept once. Files that can't be sent
/// in one go: see `POST /api/v1/uploads`.
#[utoipa::path(
    post, path = "/api/v1/files", tag = "files",
    params(SentFileQuery, ("Repr-Digest" = Option<String>, Header,
        description = "SHA-256 that the content must have", example = "sha-256=:LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=:")),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses(
        (status = 201, description = "The file is kept", body = StoredFileView,
            headers(("Location" = String, description = "URL of the file"))),
        (status = 507, description = "The quota is used up, or the disk has no room"),
    )
)]
pub(super) async fn upload_file(
    State(state): State<AppState>,
    identity: Identity,
    mut query: Query,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let reading = || {
        let sent = SentLabel::read(&mut query, &headers)?;
        query.finish()?;
        Ok((said_digest(&headers)?, sent))
    };
    let said = match reading() {
        Ok(said) => said,
        Err(problem) => return Err(refuse(&headers, body, problem).await),
    };
    let stored = receive(&state, &identity, &headers, body, said).await?;
    Ok(created(StatusCode::CREATED, stored))
}

/// Answer with a file that is kept.
pub(super) fn created(status: StatusCode, stored: StoredFile) -> Response {
    let location = [(LOCATION, location(stored.digest))];
    (status, location, Json(StoredFileView::from(stored))).into_response()
}

/// Sends a file whose digest is known
///
/// The body is the file, and must have the digest of the path. Sending it again renews the time
/// for which it is kept.
#[utoipa::path(
    put, path = "/api/v1/files/{digest}", tag = "files",
    params(("digest" = String, Path, description = "`sha256:` and 64 hexadecimal digits"), SentFileQuery),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses(
        (status = 200, description = "The token had this file already", body = StoredFileView),
        (status = 201, description = "The file is kept", body = StoredFileView,
            headers(("Location" = String, description = "URL of the file"))),
        (status = 507, description = "The quota is used up, or the disk has no room"),
    )
)]
pub(super) async fn put_file(
    State(state): State<AppState>,
    identity: Identity,
    path: PathText,
    mut query: Query,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let reading = || {
        let sent = SentLabel::read(&mut query, &headers)?;
        query.finish()?;
        let digest = digest_of(&path)?;
        match said_digest(&headers)? {
            Some(said) if said != digest => {
                Err(Problem::parameter("Repr-Digest", "it differs from the digest of the path"))
            }
            _ => Ok((digest, sent)),
        }
    };
    let (digest, sent) = match reading() {
        Ok(said) => said,
        Err(problem) => return Err(refuse(&headers, body, problem).await),
    };
    let own = state.store.file_ref(digest, &holder(&identity), clock::now()).await?;
    let stored = receive(&state, &identity, &headers, body, (Some(digest), sent)).await?;
    Ok(created(if own.is_some() { StatusCode::OK } else { StatusCode::CREATED }, stored))
}

/// Fetches a file
///
/// Whole, or one range of it; of several ranges in one request the whole is sent. A token sees
/// the files that it sent; roles that see everything see all.
#[utoipa::path(
    get, path = "/api/v1/files/{digest}", tag = "files",
    params(
        ("digest" = String, Path, description = "`sha256:` and 64 hexadecimal digits"),
        ("Range" = Option<String>, Header, description = "Part of the file", example = "bytes=0-1023"),
        ("If-Range" = Option<String>, Header, description = "Entity tag that the range is of"),
        ("If-None-Match" = Option<String>, Header, description = "Entity tags that the caller has"),
    ),
    responses(
        (status = 200, description = "The file", body = Vec<u8>,
            content_type = "application/octet-stream",
            headers(
                ("ETag" = String, description = "Entity tag: the digest"),
                ("Repr-Digest" = String, description = "SHA-256 of the whole file (RFC 9530)"),
            )),
        (status = 206, description = "The part of the file", body = Vec<u8>,
            content_type = "application/octet-stream",
            headers(("Content-Range" = String, description = "Which part"))),
        (status = 304, description = "The caller has it"),
        (status = 412, description = "The file has none of the entity tags of If-Match"),
        (status = 416, description = "The range begins behind the end"),
    )
)]
pub(super) async fn download_file(
    State(state): State<AppState>,
    identity: Identity,
    path: PathText,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let digest = digest_of(&path)?;
    let seen = find(&state, &identity, digest).await?;
    let name = seen.name.unwrap_or_else(|| digest.hex());
    send_file(&state, (&method, &headers), digest, &name).await
}

/// Lists the files of the token
///
/// Those that it sent and that are kept for it, the latest first.
#[utoipa::path(
    get, path = "/api/v1/files", tag = "files",
    params(PageQuery),
    responses((status = 200, description = "A page of the list", body = [FileView],
        headers(("X-Total-Count" = u64, description = "Total number of entries"))))
)]
pub(super) async fn list_files(
    State(state): State<AppState>,
    identity: Identity,
    mut query: Query,
) -> Result<Response, Problem> {
    let page = query.page()?;
    query.finish()?;
    let (holder, now) = (holder(&identity), clock::now());
    let page = Page { limit: page.limit, offset: page.offset };
    let entries = state.store.files_of(&holder, page, now).await?;
    let total = state.store.sum_of_files(&holder, now).await?.files;
    let entries: Vec<_> = entries.into_iter().map(FileView::from).collect();
    Ok(Listed { entries, total }.into_response())
}

/// Lets go of a file
///
/// It is no longer kept for this token. It goes when nobody else holds it, such as an execution
/// that took it.
#[utoipa::path(
    delete, path = "/api/v1/files/{digest}", tag = "files",
    params(("digest" = String, Path, description = "`sha256:` and 64 hexadecimal digits")),
    responses((status = 204, description = "The file is no longer kept for this token"))
)]
pub(super) async fn release_file(
    State(state): State<AppState>,
    identity: Identity,
    path: PathText,
) -> Result<StatusCode, Problem> {
    let digest = digest_of(&path)?;
    let is_released = state.store.release_file(digest, &holder(&identity), clock::now()).await?;
    if is_released { Ok(StatusCode::NO_CONTENT) } else { Err(Problem::not_found("file")) }
}

/// Tells which files are missing
///
/// Those that the token has to send before they can be used. The others are kept for at least as
/// long as files stay that nobody holds.
#[utoipa::path(
    post, path = "/api/v1/files/missing", tag = "files",
    request_body(content = Asked, example = json!({
        "digests": ["sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"]
    })),
    responses((status = 200, description = "The missing ones", body = MissingFiles))
)]
pub(super) async fn list_missing_files(
    State(state): State<AppState>,
    identity: Identity,
    JsonBody(asked, _held): JsonBody<Asked, WITH_DIGESTS>,
) -> Result<Json<MissingFiles>, Problem> {
    if asked.digests.len() > MAX_ASKED {
        let detail = format!("{} digests, at most {MAX_ASKED} are possible", asked.digests.len());
        return Err(Problem::invalid(vec![Fault::new("/digests", detail)]));
    }
    let digests = parsed(&asked.digests)?;
    let now = clock::now();
    let grace = TimeDelta::from_std(state.files.grace()).unwrap_or(TimeDelta::MAX);
    let until = now.checked_add_signed(grace).unwrap_or(DateTime::<Utc>::MAX_UTC);
    let missing = state.store.renew_files(&digests, &holder(&identity), until, now).await?;
    Ok(Json(MissingFiles { missing }))
}

fn parsed(digests: &[String]) -> Result<Vec<FileDigest>, Problem> {
    let parsed = digests.iter().enumerate().map(|(index, text)| {
        let fault = |error: crate::domain::file::DigestFault| {
            Problem::invalid(vec![Fault::new(format!("/digests/{index}"), error.to_string())])
        };
        text.parse().map_err(fault)
    });
    parsed.collect()
}
