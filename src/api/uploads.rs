//! Uploads in parts: the tus protocol 1.0.

use axum::body::Body;
use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use uuid::Uuid;

use crate::files::{NewUpload, PartEnd};
use crate::http::auth::Identity;
use crate::http::digests::said_digest;
use crate::http::files::{check_encoding, refuse};
use crate::http::path::PathText;
use crate::http::problem::{Kind, Problem};
use crate::http::state::AppState;
use crate::http::uploads::{
    ALGORITHMS, Checksum, EXTENSIONS, Metadata, TUS_ALGORITHMS, TUS_EXTENSION, TUS_VERSION,
    UPLOAD_DEFER, UPLOAD_LENGTH, UPLOAD_METADATA, UPLOAD_OFFSET, VERSION, base_headers,
    check_version, completed, expires, is_part, number, receive_part, single,
};

/// Answer of the protocol, also where it is a refusal.
type Answer = Result<Response, (HeaderMap, Problem)>;

fn refused(problem: impl Into<Problem>) -> (HeaderMap, Problem) {
    let problem = problem.into();
    let mut headers = base_headers();
    if problem.status() == StatusCode::PRECONDITION_FAILED {
        headers.insert(TUS_VERSION, HeaderValue::from_static(VERSION));
    }
    (headers, problem)
}

fn id_of(path: &PathText) -> Result<Uuid, Problem> {
    Uuid::try_parse(path.get("id")).map_err(|_| missing())
}

fn missing() -> Problem {
    Problem::not_found("upload").hint("it may have expired: begin again")
}

/// Headers with the state of an upload.
fn headers_of(end: &PartEnd) -> HeaderMap {
    let mut headers = base_headers();
    headers.insert(UPLOAD_OFFSET, HeaderValue::from(end.received));
    expires(&mut headers, end.expires_at);
    if let Some(file) = &end.file {
        completed(&mut headers, file.digest);
    }
    headers
}

/// Tells what uploads can do
///
/// The version of the tus protocol, and its extensions.
#[utoipa::path(
    options, path = "/api/v1/uploads", tag = "files",
    responses((status = 204, description = "The headers say it"))
)]
pub(super) async fn describe_uploads() -> Response {
    let mut headers = base_headers();
    headers.insert(TUS_VERSION, HeaderValue::from_static(VERSION));
    headers.insert(TUS_EXTENSION, HeaderValue::from_static(EXTENSIONS));
    headers.insert(TUS_ALGORITHMS, HeaderValue::from_static(ALGORITHMS));
    (StatusCode::NO_CONTENT, headers).into_response()
}

/// Begins an upload
///
/// By the tus protocol 1.0, with which clients go on after a lost connection. `Upload-Metadata`
/// may have `filename`, `filetype`, `keep`, and the `digest` that the file must have. The body
/// may be the first part.
#[utoipa::path(
    post, path = "/api/v1/uploads", tag = "files",
    params(
        ("Tus-Resumable" = String, Header, description = "1.0.0"),
        ("Upload-Length" = Option<u64>, Header, description = "Bytes of the file"),
        ("Upload-Defer-Length" = Option<u64>, Header, description = "1 if a later part says it"),
        ("Upload-Metadata" = Option<String>, Header, description = "Keys, and values in base64"),
    ),
    responses(
        (status = 201, description = "The upload has begun",
            headers(("Location" = String, description = "URL of the upload"))),
        (status = 412, description = "Another version of the protocol"),
        (status = 413, description = "The part has more bytes than the upload was to have"),
        (status = 507, description = "The quota is used up, or the disk has no room"),
    )
)]
pub(super) async fn create_upload(
    State(state): State<AppState>,
    identity: Identity,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let new = match new_upload(&identity, &headers) {
        Ok(new) => new,
        Err(problem) => return Err(refused(refuse(&headers, body, problem).await)),
    };
    let is_empty = new.length == Some(0);
    let upload = match state.files.create_upload(new).await {
        Ok(upload) => upload,
        Err(error) => return Err(refused(refuse(&headers, body, error.into()).await)),
    };
    let mut answer = base_headers();
    answer.insert(UPLOAD_OFFSET, HeaderValue::from(0));
    expires(&mut answer, upload.expires_at);
    if is_part(&headers) || is_empty {
        let checksum = Checksum::read(&headers).map_err(refused)?;
        let part = state.files.resume_upload(upload.id, upload.token_id, 0, None).await;
        let part = part.map_err(refused)?.ok_or_else(|| refused(missing()))?;
        let body = if is_part(&headers) { body } else { Body::empty() };
        answer = headers_of(&receive_part(part, body, checksum).await.map_err(refused)?);
    }
    let location = format!("/api/v1/uploads/{}", upload.id);
    Ok((StatusCode::CREATED, [(LOCATION, location)], answer).into_response())
}

fn new_upload(identity: &Identity, headers: &HeaderMap) -> Result<NewUpload, Problem> {
    check_version(headers)?;
    check_encoding(headers)?;
    let length = number(headers, &UPLOAD_LENGTH)?;
    let is_deferred = single(headers, &UPLOAD_DEFER)? == Some("1");
    if length.is_some() == is_deferred {
        let detail = "either Upload-Length says how long it is, or `Upload-Defer-Length: 1` that \
                      a later part does";
        return Err(Problem::new(Kind::Malformed, detail));
    }
    let metadata = Metadata::read(headers)?;
    // The digest of a part is that of the whole only if the part is all of it.
    let said = said_digest(headers)?;
    Ok(NewUpload {
        token_id: identity.token_id(),
        length,
        digest: metadata.digest.or(said),
        label: metadata.sent.label,
        keep: metadata.sent.keep,
        metadata: metadata.text,
    })
}

/// Tells how far an upload has come
///
/// `Upload-Offset` is the number of bytes that the server has, whatever happens to it. A request
/// that still sends to the upload is ended. The last answer names the file.
#[utoipa::path(
    head, path = "/api/v1/uploads/{id}", tag = "files",
    params(("id" = String, Path, description = "The upload's id", format = "uuid"),
        ("Tus-Resumable" = String, Header, description = "1.0.0")),
    responses((status = 200, description = "The headers say it",
        headers(("Upload-Offset" = u64, description = "Bytes that the server has"))))
)]
pub(super) async fn get_upload(
    State(state): State<AppState>,
    identity: Identity,
    path: PathText,
    headers: HeaderMap,
) -> Answer {
    check_version(&headers).map_err(refused)?;
    let id = id_of(&path).map_err(refused)?;
    let upload = state.files.upload(id, identity.token_id()).await.map_err(refused)?;
    let upload = upload.ok_or_else(|| refused(missing()))?;
    let mut answer = base_headers();
    answer.insert(UPLOAD_OFFSET, HeaderValue::from(upload.received));
    match upload.length {
        Some(length) => answer.insert(UPLOAD_LENGTH, HeaderValue::from(length)),
        None => answer.insert(UPLOAD_DEFER, HeaderValue::from(1)),
    };
    if let Ok(metadata) = HeaderValue::from_str(&upload.metadata)
        && !upload.metadata.is_empty()
    {
        answer.insert(UPLOAD_METADATA, metadata);
    }
    expires(&mut answer, upload.expires_at);
    if let Some(digest) = upload.digest.filter(|_| upload.completed_at.is_some()) {
        completed(&mut answer, digest);
    }
    Ok((StatusCode::OK, answer).into_response())
}

/// Sends a part of an upload
///
/// The body is the part that begins at `Upload-Offset`. What came counts, even if the connection
/// is lost; with an `Upload-Checksum`, all of the part or nothing. The answer to the last part
/// names the file: `Gantry-File: sha256:…`.
#[utoipa::path(
    patch, path = "/api/v1/uploads/{id}", tag = "files",
    params(
        ("id" = String, Path, description = "The upload's id", format = "uuid"),
        ("Tus-Resumable" = String, Header, description = "1.0.0"),
        ("Upload-Offset" = u64, Header, description = "Place of the part"),
        ("Upload-Length" = Option<u64>, Header, description = "Bytes of the file, if nobody said it yet"),
        ("Upload-Checksum" = Option<String>, Header, description = "sha1 or sha256, and the checksum in base64"),
    ),
    request_body(content = Vec<u8>, content_type = "application/offset+octet-stream"),
    responses(
        (status = 204, description = "The part is kept",
            headers(("Upload-Offset" = u64, description = "Bytes that the server has"))),
        (status = 409, description = "The upload ends elsewhere"),
        (status = 412, description = "Another version of the protocol"),
        (status = 423, description = "Another request sends to the upload"),
        (status = 507, description = "The quota is used up, or the disk has no room"),
    )
)]
pub(super) async fn append_upload(
    State(state): State<AppState>,
    identity: Identity,
    path: PathText,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let reading = || {
        check_version(&headers)?;
        check_encoding(&headers)?;
        if !is_part(&headers) {
            return Err(Problem::new(Kind::MediaType, "the body is no part of an upload")
                .hint("send `Content-Type: application/offset+octet-stream`"));
        }
        let missing = || Problem::new(Kind::Malformed, "there is no Upload-Offset");
        let offset = number(&headers, &UPLOAD_OFFSET)?.ok_or_else(missing)?;
        let length = number(&headers, &UPLOAD_LENGTH)?;
        Ok((id_of(&path)?, offset, length, Checksum::read(&headers)?))
    };
    let (id, offset, length, checksum) = match reading() {
        Ok(read) => read,
        Err(problem) => return Err(refused(refuse(&headers, body, problem).await)),
    };
    let part = match state.files.resume_upload(id, identity.token_id(), offset, length).await {
        Ok(Some(part)) => part,
        Ok(None) => return Err(refused(refuse(&headers, body, missing()).await)),
        Err(error) => return Err(refused(refuse(&headers, body, error.into()).await)),
    };
    let end = receive_part(part, body, checksum).await.map_err(refused)?;
    Ok((StatusCode::NO_CONTENT, headers_of(&end)).into_response())
}

/// Gives an upload up
///
/// The bytes that it had received are removed.
#[utoipa::path(
    delete, path = "/api/v1/uploads/{id}", tag = "files",
    params(("id" = String, Path, description = "The upload's id", format = "uuid"),
        ("Tus-Resumable" = String, Header, description = "1.0.0")),
    responses((status = 204, description = "The upload is gone"))
)]
pub(super) async fn remove_upload(
    State(state): State<AppState>,
    identity: Identity,
    path: PathText,
    headers: HeaderMap,
) -> Answer {
    check_version(&headers).map_err(refused)?;
    let id = id_of(&path).map_err(refused)?;
    match state.files.remove_upload(id, identity.token_id()).await.map_err(refused)? {
        true => Ok((StatusCode::NO_CONTENT, base_headers()).into_response()),
        false => Err(refused(missing())),
    }
}
