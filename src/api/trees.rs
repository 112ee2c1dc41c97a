//! Folders of files: making one of files that are there, and fetching it.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::files::{SentFileQuery, digest_of};
use crate::clock;
use crate::domain::fault::Fault;
use crate::domain::file::FileDigest;
use crate::domain::tree::{MAX_TREE_FILES, Tree, TreeEntry, TreeFault};
use crate::files::ArchiveKind;
use crate::http::auth::Identity;
use crate::http::extract::Json as JsonBody;
use crate::http::files::{SentLabel, find, holder, send_archive, send_file, viewer};
use crate::http::path::PathText;
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::state::AppState;

/// Largest body with a folder, in bytes (64 MiB).
const WITH_TREE: usize = 64 * 1024 * 1024;

/// Most faults of one folder that are told.
const MAX_FAULTS: usize = 20;

/// A folder to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewTree {
    /// Its files, in any order.
    #[schema(max_items = 100_000)]
    files: Vec<NewTreeFile>,
}

/// A file of a folder to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewTreeFile {
    /// Path below the folder.
    #[schema(example = "frames/0001.exr")]
    path: String,
    /// Digest of a file that is there.
    #[schema(value_type = String)]
    digest: FileDigest,
    /// True if it may be executed.
    #[serde(default)]
    executable: bool,
}

/// A folder that is kept.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StoredTree)]
pub(super) struct StoredTree {
    /// SHA-256 of its manifest. As an input of an execution, write `tree:` before it.
    #[schema(value_type = String)]
    digest: FileDigest,
    /// Number of its files.
    files: usize,
    /// Bytes of its files together.
    bytes: u64,
}

/// Makes a folder
///
/// Of files that the token sent and that are there. Two folders with the same files have the same
/// digest, in whatever order they are sent. The folder holds its files.
#[utoipa::path(
    post, path = "/api/v1/trees", tag = "files",
    params(SentFileQuery),
    request_body(content = NewTree, example = json!({"files": [{
        "path": "frames/0001.exr",
        "digest": "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    }]})),
    responses(
        (status = 201, description = "The folder is kept", body = StoredTree,
            headers(("Location" = String, description = "URL of the folder"))),
        (status = 507, description = "The quota is used up, or the disk has no room"),
    )
)]
pub(super) async fn create_tree(
    State(state): State<AppState>,
    identity: Identity,
    mut query: Query,
    JsonBody(new, _held): JsonBody<NewTree, WITH_TREE>,
) -> Result<Response, Problem> {
    let sent = SentLabel::read(&mut query, &HeaderMap::new())?;
    query.finish()?;
    let tree = checked(&state, &identity, new.files).await?;
    let (files, bytes) = (tree.entries().len(), tree.bytes());
    let until = sent.keep.until(clock::now(), state.files.grace());
    let _room = state.files.room(identity.token_id(), bytes).await?;
    let stored = state.files.keep_tree(tree, &holder(&identity), sent.label, until).await?;
    let location = [(LOCATION, format!("/api/v1/trees/{}", stored.digest))];
    let view = StoredTree { digest: stored.digest, files, bytes };
    Ok((StatusCode::CREATED, location, Json(view)).into_response())
}

/// Folder of these files, all of which the caller sees.
async fn checked(
    state: &AppState,
    identity: &Identity,
    files: Vec<NewTreeFile>,
) -> Result<Tree, Problem> {
    if files.len() > MAX_TREE_FILES {
        let detail = TreeFault::TooMany(files.len()).to_string();
        return Err(Problem::invalid(vec![Fault::new("/files", detail)]));
    }
    let digests: BTreeSet<_> = files.iter().map(|it| it.digest).collect();
    let digests: Vec<_> = digests.into_iter().collect();
    let sizes = state.store.usable_files(&digests, &viewer(identity), clock::now()).await?;
    let (mut entries, mut faults) = (Vec::with_capacity(files.len()), Vec::new());
    for (index, NewTreeFile { path, digest, executable }) in files.into_iter().enumerate() {
        match sizes.get(&digest) {
            Some(bytes) => entries.push(TreeEntry { path, digest, bytes: *bytes, executable }),
            None if faults.len() < MAX_FAULTS => {
                let pointer = format!("/files/{index}/digest");
                faults.push(Fault::new(pointer, format!("{digest} is not there: send it first")));
            }
            None => {}
        }
    }
    if !faults.is_empty() {
        return Err(Problem::invalid(faults));
    }
    Tree::new(entries).map_err(|(index, fault)| {
        let pointer = index.map_or_else(|| "/files".to_owned(), |it| format!("/files/{it}/path"));
        Problem::invalid(vec![Fault::new(pointer, fault.to_string())])
    })
}

/// Form in which a folder is wanted.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "read one by one")]
pub(super) struct TreeQuery {
    /// All files as an archive: `zip` or `tar`.
    #[param(value_type = Option<String>, example = "zip")]
    archive: Option<String>,
}

/// Fetches a folder
///
/// Its manifest, or with `archive` all files of it in one.
#[utoipa::path(
    get, path = "/api/v1/trees/{digest}", tag = "files",
    params(("digest" = String, Path, description = "`sha256:` and 64 hexadecimal digits"), TreeQuery),
    responses((status = 200, description = "The manifest, in JSON, or the archive",
        body = Vec<u8>, content_type = "application/octet-stream"))
)]
pub(super) async fn get_tree(
    State(state): State<AppState>,
    identity: Identity,
    path: PathText,
    mut query: Query,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let kind: Option<ArchiveKind> = query.parsed("archive")?;
    query.finish()?;
    let (digest, name) = own_tree(&state, &identity, &path).await?;
    match kind {
        Some(kind) => send_archive(&state, &method, tree(&state, digest).await?, &name, kind),
        None => {
            let name = format!("{name}.json");
            send_file(&state, (&method, &headers), digest, &name).await
        }
    }
}

/// Fetches a file of a folder
///
/// Or with `archive` a folder below it, in one.
#[utoipa::path(
    get, path = "/api/v1/trees/{digest}/{*path}", tag = "files",
    params(
        ("digest" = String, Path, description = "`sha256:` and 64 hexadecimal digits"),
        ("path" = String, Path, description = "Path below the folder"),
        TreeQuery,
    ),
    responses((status = 200, description = "The file, or the archive", body = Vec<u8>,
        content_type = "application/octet-stream"))
)]
pub(super) async fn get_tree_file(
    State(state): State<AppState>,
    identity: Identity,
    path: PathText,
    mut query: Query,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let kind: Option<ArchiveKind> = query.parsed("archive")?;
    query.finish()?;
    let (digest, _) = own_tree(&state, &identity, &path).await?;
    let tree = tree(&state, digest).await?;
    let below = path.get("path").trim_end_matches('/');
    match kind {
        Some(kind) => send_archive(&state, &method, subfolder(&tree, below)?, below, kind),
        None => {
            let entry = tree.get(below).ok_or_else(|| Problem::not_found("file"))?;
            send_file(&state, (&method, &headers), entry.digest, below).await
        }
    }
}

/// Digest and name of a folder that the caller sees.
async fn own_tree(
    state: &AppState,
    identity: &Identity,
    path: &PathText,
) -> Result<(FileDigest, String), Problem> {
    let missing = || Problem::not_found("folder");
    let digest = digest_of(path).map_err(|_| missing())?;
    let seen = find(state, identity, digest).await.map_err(|problem| {
        if problem.status() == StatusCode::NOT_FOUND { missing() } else { problem }
    })?;
    match seen.is_tree && state.store.is_tree(digest).await? {
        true => Ok((digest, seen.name.unwrap_or_else(|| digest.hex()))),
        false => Err(missing()),
    }
}

async fn tree(state: &AppState, digest: FileDigest) -> Result<Tree, Problem> {
    state.files.tree(digest).await?.ok_or_else(|| Problem::not_found("folder"))
}

fn subfolder(tree: &Tree, below: &str) -> Result<Tree, Problem> {
    let entries = tree.entries().iter().filter_map(|entry| {
        let path = entry.path.strip_prefix(below)?.strip_prefix('/')?;
        Some(TreeEntry { path: path.to_owned(), ..entry.clone() })
    });
    let entries: Vec<_> = entries.collect();
    if entries.is_empty() {
        return Err(Problem::not_found("folder"));
    }
    Tree::new(entries).map_err(|(_, fault)| Problem::internal(fault.to_string()))
}
