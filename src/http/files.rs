//! Files of callers: who may see one, and how one comes in and goes out.

use axum::body::Body;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE, EXPECT};
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::response::{IntoResponse, Response};

use super::arriving::Arriving;
use super::auth::Identity;
use super::content::{Content, disposition, send};
use super::extract::drain;
use super::problem::{Kind, Problem};
use super::query::Query;
use super::roles::SEEING;
use super::state::AppState;
use crate::clock;
use crate::domain::file::{FileDigest, Holder, UploadKeep};
use crate::domain::sanitize::is_invisible;
use crate::domain::tree::Tree;
use crate::files::{ArchiveKind, FileLabel, StoredFile};
use crate::store::FileViewer;

/// Longest name and media type of a file, in bytes.
const MAX_LABEL_BYTES: usize = 255;

/// Words of a caller about a file that it sends.
#[derive(Debug, Clone, Default)]
pub(crate) struct SentLabel {
    /// Name and media type.
    pub(crate) label: FileLabel,
    /// Time for which it is kept.
    pub(crate) keep: UploadKeep,
}

impl SentLabel {
    /// Reads the parameters `name` and `keep`, and the media type.
    pub(crate) fn read(query: &mut Query, headers: &HeaderMap) -> Result<Self, Problem> {
        let name = query.text("name")?;
        let keep = query.parsed("keep")?.unwrap_or_default();
        let media_type = headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok());
        Self::new(name, media_type.map(str::to_owned), keep)
    }

    /// Checks a name and a media type.
    pub(crate) fn new(
        name: Option<String>,
        media_type: Option<String>,
        keep: UploadKeep,
    ) -> Result<Self, Problem> {
        if name.as_deref().is_some_and(|it| !is_label(it)) {
            let detail = format!(
                "name is empty, has invisible characters, or has more than {MAX_LABEL_BYTES} bytes"
            );
            return Err(Problem::parameter("name", detail));
        }
        let media_type = media_type.filter(|it| is_label(it));
        Ok(Self { label: FileLabel { name, media_type }, keep })
    }
}

fn is_label(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_LABEL_BYTES && !text.chars().any(is_invisible)
}

/// True if the caller sees all files, whoever they belong to.
pub(crate) fn sees_all(identity: &Identity) -> bool {
    SEEING.contains(&identity.role())
}

/// Caller as a holder of files.
pub(crate) fn holder(identity: &Identity) -> Holder {
    Holder::Token(identity.token_id())
}

/// Caller as one who looks at files.
pub(crate) fn viewer(identity: &Identity) -> FileViewer {
    match sees_all(identity) {
        true => FileViewer::Everything,
        false => FileViewer::Token { id: identity.token_id(), scope: identity.scope().cloned() },
    }
}

/// File that a caller sees.
#[derive(Debug, Clone)]
pub(crate) struct SeenFile {
    /// Name that the caller gave to it.
    pub(crate) name: Option<String>,
    /// The caller sees the files of the folder whose manifest it is.
    pub(crate) is_tree: bool,
}

/// Finds a file that the caller may see: one that it uploaded, one that an execution left
/// whose script it may see, or any, by its role.
pub(crate) async fn find(
    state: &AppState,
    identity: &Identity,
    digest: FileDigest,
) -> Result<SeenFile, Problem> {
    let own = state.store.file_ref(digest, &holder(identity), clock::now()).await?;
    if let Some(own) = own {
        return Ok(SeenFile { name: own.name, is_tree: own.is_tree || sees_all(identity) });
    }
    let usable = state.store.usable_files(&[digest], &viewer(identity), clock::now()).await?;
    match usable.is_empty() {
        false => Ok(SeenFile { name: None, is_tree: sees_all(identity) }),
        true => Err(Problem::not_found("file")),
    }
}

/// Sends a file, or the part of it that the headers ask for.
pub(crate) async fn send_file(
    state: &AppState,
    (method, headers): (&Method, &HeaderMap),
    digest: FileDigest,
    name: &str,
) -> Result<Response, Problem> {
    let open = state.files.open(digest).await?;
    let open = open.ok_or_else(|| Problem::not_found("file"))?;
    send(method, headers, Content { file: open.file, bytes: open.bytes, digest, name }).await
}

/// Sends a folder as an archive.
pub(crate) fn send_archive(
    state: &AppState,
    method: &Method,
    tree: Tree,
    name: &str,
    kind: ArchiveKind,
) -> Result<Response, Problem> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind.media_type()));
    let name = format!("{name}.{}", kind.extension());
    headers.insert(CONTENT_DISPOSITION, disposition(&name));
    if method == Method::HEAD {
        return Ok(headers.into_response());
    }
    let archive = state.files.archive(tree, kind).ok_or_else(|| {
        Problem::new(Kind::TooManyStreams, "too many archives are being sent")
            .after(std::time::Duration::from_secs(5))
            .hint("try again in a moment, or fetch the files one by one")
    })?;
    let pieces = futures::stream::unfold(archive, |mut archive| async move {
        archive.next().await.map(|piece| (piece, archive))
    });
    Ok((headers, Body::from_stream(pieces)).into_response())
}

/// Receives a file whole, and keeps it for the caller.
pub(crate) async fn receive(
    state: &AppState,
    identity: &Identity,
    headers: &HeaderMap,
    body: Body,
    (expected, sent): (Option<FileDigest>, SentLabel),
) -> Result<StoredFile, Problem> {
    let announced = headers.get(CONTENT_LENGTH).and_then(|it| it.to_str().ok()?.parse().ok());
    let beginning = async {
        check_encoding(headers)?;
        let room = state.files.room(identity.token_id(), announced.unwrap_or_default()).await?;
        Ok((room, state.files.begin().await?))
    };
    let (mut room, mut incoming) = match beginning.await {
        Ok(begun) => begun,
        Err(problem) => return Err(refuse(headers, body, problem).await),
    };
    let mut arriving = Arriving::new(body);
    let receiving = async {
        while let Some(piece) = arriving.next().await? {
            if announced.is_none() {
                room.grow_to(incoming.bytes() + piece.len() as u64)?;
            }
            incoming.write(piece).await?;
        }
        Ok::<_, Problem>(())
    };
    if let Err(problem) = receiving.await {
        arriving.discard().await;
        return Err(problem);
    }
    let until = sent.keep.until(clock::now(), state.files.grace());
    let holder = holder(identity);
    Ok(state.files.keep(incoming, expected, &holder, sent.label, until).await?)
}

/// Refuses a body. A client that reads no answer before it has sent everything would otherwise see
/// a broken connection; one that waits for `100 Continue` has sent nothing.
pub(crate) async fn refuse(headers: &HeaderMap, body: Body, problem: Problem) -> Problem {
    if !headers.contains_key(EXPECT) {
        drain(body.into_data_stream()).await;
    }
    problem
}

/// Refuses compressed bodies: the digest would be that of other bytes.
pub(crate) fn check_encoding(headers: &HeaderMap) -> Result<(), Problem> {
    let is_plain = |value: &[u8]| value.is_empty() || value.eq_ignore_ascii_case(b"identity");
    let mut all = headers.get_all(axum::http::header::CONTENT_ENCODING).iter();
    match all.all(|value| is_plain(value.as_bytes())) {
        true => Ok(()),
        false => Err(Problem::new(Kind::MediaType, "the body has a Content-Encoding")
            .hint("send the file as it is")),
    }
}
