//! Artifacts of executions. Their content is hostile: it is sent as [`super::content`] sends it,
//! streamed, and in parts to whoever asks for them.

use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::response::{IntoResponse, Response};
use uuid::Uuid;

use super::auth::Identity;
use super::content::{disposition, media_type};
use super::executions::find;
use super::files::{send_archive, send_file};
use super::path::{ExecutionId, PathText};
use super::problem::{Kind, Problem};
use super::state::AppState;
use crate::domain::error_chain::chain;
use crate::domain::execution::Artifact;
use crate::domain::tree::{Tree, TreeEntry};
use crate::files::ArchiveKind;

/// Sends an artifact, found by its name, which may contain `/`, or else by its index in the list.
pub(crate) async fn send_artifact(
    State(state): State<AppState>,
    identity: Identity,
    ExecutionId(id): ExecutionId,
    path: PathText,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    find(&state, &identity, id).await?;
    let name = path.get("name");
    let found = state.store.artifact(id, name, name.parse().ok()).await?;
    let found = found.filter(|(_, artifact)| artifact.skipped.is_none());
    let (position, artifact) = found.ok_or_else(|| Problem::not_found("artifact"))?;
    let Some(digest) = artifact.digest else {
        return send_from_before(&state, &identity, id, (position, &artifact)).await;
    };
    if state.store.file_bytes(digest).await?.is_none() {
        let detail = "the content of the artifact is no longer kept";
        return Err(Problem::new(Kind::NotFound, detail)
            .hint("its execution was to keep it for a time that is over (`keep`)"));
    }
    send_file(&state, (&method, &headers), digest, &artifact.name).await
}

/// Sends an artifact from before there was a store of files.
async fn send_from_before(
    state: &AppState,
    identity: &Identity,
    id: Uuid,
    (position, artifact): (usize, &Artifact),
) -> Result<Response, Problem> {
    let held = state.memory().hold(identity.taker(), artifact.bytes).await?;
    let content = state.executions.artifact(id, position).await.map_err(|error| {
        Problem::internal(format!("an artifact can't be read: {}", chain(&error)))
    })?;
    let content = content.ok_or_else(|| Problem::not_found("artifact"))?;
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type(&content)));
    headers.insert(CONTENT_DISPOSITION, disposition(&artifact.name));
    let policy = HeaderValue::from_static("default-src 'none'; sandbox");
    headers.insert(CONTENT_SECURITY_POLICY, policy);
    Ok((headers, held.body(content)).into_response())
}

/// Sends what an execution left below a folder as an archive; all of it for an empty path.
pub(crate) async fn send_artifacts(
    state: &AppState,
    method: &Method,
    id: Uuid,
    folder: &str,
    kind: ArchiveKind,
) -> Result<Response, Problem> {
    let folder = folder.trim_end_matches('/');
    let entry = |artifact: Artifact| {
        let below = match folder {
            "" => artifact.name.as_str(),
            folder => artifact.name.strip_prefix(folder)?.strip_prefix('/')?,
        };
        Some(TreeEntry {
            path: below.to_owned(),
            digest: artifact.digest?,
            bytes: artifact.bytes,
            executable: artifact.executable,
        })
    };
    let entries: Vec<_> = state.store.artifacts(id).await?.into_iter().filter_map(entry).collect();
    if entries.is_empty() {
        return Err(Problem::not_found("folder"));
    }
    let tree = Tree::new(entries).map_err(|(_, fault)| Problem::internal(fault.to_string()))?;
    let name = folder.rsplit('/').next().filter(|name| !name.is_empty());
    let name = name.map_or_else(|| id.to_string(), str::to_owned);
    send_archive(state, method, tree, &name, kind)
}
