//! Scripts that a caller may see: their environments, and the sources of their versions.

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use tokio_util::io::ReaderStream;

use super::auth::Identity;
use super::content::disposition;
use super::memory::MemoryPermit;
use super::path::{NamedScript, PathText};
use super::problem::Problem;
use super::state::AppState;
use crate::bundles::Shelf;
use crate::domain::registry::{Definition, EnvironmentRecord, RegisteredScript, ScriptVersion};
use crate::domain::script::MAX_SCRIPT_BYTES;

/// Replacement for a value that the caller may not see.
pub(crate) const HIDDEN: &str = "***";

/// Longest source included with its script, in bytes (256 KiB); a longer one has its own route.
const MAX_SOURCE_BYTES: usize = 256 * 1024;

/// Bytes of a bundle that are read at once.
const PIECE: usize = 64 * 1024;

/// Loads the environment of a script's pending version.
pub(crate) async fn pending_environment_of(
    state: &AppState,
    script: &RegisteredScript,
) -> Result<Option<EnvironmentRecord>, Problem> {
    let Some(number) = script.pending_version else { return Ok(None) };
    let version = state.store.version(script.id, number).await?;
    match version.and_then(|it| it.environment_key) {
        None => Ok(None),
        Some(key) => Ok(state.store.environment(&key).await?),
    }
}

/// Loads the environment of a script's current version.
pub(crate) async fn environment_of(
    state: &AppState,
    script: &RegisteredScript,
) -> Result<Option<EnvironmentRecord>, Problem> {
    match &script.version.environment_key {
        None => Ok(None),
        Some(key) => Ok(state.store.environment(key).await?),
    }
}

/// Source of a script that was sent, if it can be shown.
pub(crate) async fn source_of(
    state: &AppState,
    script: &RegisteredScript,
) -> Result<Option<String>, Problem> {
    let definition = &script.version.definition;
    let is_alone = script.file_path.is_none() && definition.bundle.is_none();
    if !is_alone || !definition.script_type.is_text() {
        return Ok(None);
    }
    let code = state.store.code(&definition.digest).await?;
    let is_shown = code.len() <= MAX_SOURCE_BYTES;
    Ok(is_shown.then(|| String::from_utf8(code).ok()).flatten())
}

/// Loads the version of a script that a path names.
pub(crate) async fn version(
    state: &AppState,
    id: i64,
    path: &PathText,
) -> Result<ScriptVersion, Problem> {
    let number = path.number("version", "version")?;
    let version = state.store.version(id, number).await?;
    version.ok_or_else(|| Problem::not_found("version"))
}

/// Sends the source of a version, byte for byte as it was registered.
pub(crate) async fn send_source(
    State(state): State<AppState>,
    identity: Identity,
    NamedScript(script): NamedScript,
    path: PathText,
) -> Result<Response, Problem> {
    let version = version(&state, script.id, &path).await?;
    let held = room_for_source(&state, &identity, &version.definition).await?;
    let code = state.store.code(&version.definition.digest).await?;
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(CONTENT_DISPOSITION, disposition(&version.definition.file_name));
    Ok((headers, held.body(code)).into_response())
}

/// Sends the archive of a version that is a bundle, as it is read from the disk.
pub(crate) async fn send_bundle(
    State(state): State<AppState>,
    NamedScript(script): NamedScript,
    path: PathText,
) -> Result<Response, Problem> {
    let version = version(&state, script.id, &path).await?;
    let digest = version.definition.bundle.ok_or_else(|| Problem::not_found("bundle"))?;
    let unread = |error| Problem::internal(format!("bundle {digest} can't be read: {error}"));
    let place = Shelf::new(&state.data_dir).place(digest);
    let file = tokio::fs::File::open(place).await.map_err(unread)?;
    let bytes = file.metadata().await.map_err(unread)?.len();
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-tar"));
    headers.insert(CONTENT_LENGTH, bytes.into());
    let name = format!("{}-{}.tar", script.name, version.number);
    headers.insert(CONTENT_DISPOSITION, disposition(&name));
    let stream = ReaderStream::with_capacity(file, PIECE);
    Ok((headers, Body::from_stream(stream)).into_response())
}

/// Acquires memory for the source of a version: a binary's length is only known once it is loaded;
/// texts are short.
pub(crate) async fn room_for_source(
    state: &AppState,
    identity: &Identity,
    definition: &Definition,
) -> Result<MemoryPermit, Problem> {
    let at_most = if definition.script_type.is_text() { 0 } else { MAX_SCRIPT_BYTES };
    state.memory().hold(identity.taker(), at_most).await
}
