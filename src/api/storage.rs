//! Room that files take.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::clock;
use crate::http::auth::Identity;
use crate::http::files::{holder, sees_all};
use crate::http::problem::Problem;
use crate::http::state::AppState;
use crate::store::TokenFiles;

/// Most tokens of one answer.
const MAX_TOKENS: u32 = 1_000;

/// Room that files take, and what there is.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Storage {
    /// Files that are kept for the token.
    own: OwnFiles,
    /// All files, each once; null for tokens that see their own only.
    #[schema(value_type = Option<FileSumView>)]
    all: Option<FileSumView>,
    /// The disk of the files; null for tokens that see their own only.
    #[schema(value_type = Option<Disk>)]
    disk: Option<Disk>,
    /// Files by token, the greatest first; empty for tokens that see their own only.
    tokens: Vec<TokenFilesView>,
}

/// Files that are kept for a token.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct OwnFiles {
    /// Number of its files.
    files: i64,
    /// Their bytes. Each file counts whole, also if others have it.
    bytes: i64,
    /// Bytes of unfinished uploads, as long as they are to be.
    uploading_bytes: i64,
    /// Most bytes that files and uploads may have together.
    quota_bytes: u64,
}

/// Files and bytes.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FileSum)]
pub(super) struct FileSumView {
    /// Number of files.
    files: i64,
    /// Their bytes.
    bytes: i64,
}

/// A disk.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Disk {
    /// Its size in bytes.
    total_bytes: u64,
    /// Free bytes.
    free_bytes: u64,
    /// Free bytes that no file may take.
    reserve_bytes: u64,
}

/// Files of a token.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TokenFiles)]
pub(super) struct TokenFilesView {
    /// Id of the token.
    token_id: i64,
    /// Name of the token.
    name: String,
    /// Number of its files.
    files: i64,
    /// Their bytes.
    bytes: i64,
}

impl From<TokenFiles> for TokenFilesView {
    fn from(token: TokenFiles) -> Self {
        let TokenFiles { token_id, name, files, bytes } = token;
        Self { token_id, name, files, bytes }
    }
}

/// Tells how much room files take
///
/// Those of the token, and what it may have; for roles that see everything also all files, the
/// disk, and the files by token.
#[utoipa::path(
    get, path = "/api/v1/storage", tag = "files",
    responses((status = 200, description = "The room", body = Storage))
)]
pub(super) async fn get_storage(
    State(state): State<AppState>,
    identity: Identity,
) -> Result<Json<Storage>, Problem> {
    let own = state.store.sum_of_files(&holder(&identity), clock::now()).await?;
    let uploading = state.store.sum_of_uploads(Some(identity.token_id())).await?;
    let own = OwnFiles {
        files: own.files,
        bytes: own.bytes,
        uploading_bytes: uploading.bytes,
        quota_bytes: state.files.quota(),
    };
    if !sees_all(&identity) {
        return Ok(Json(Storage { own, all: None, disk: None, tokens: Vec::new() }));
    }
    let all = state.store.sum_of_objects().await?;
    let (space, reserve_bytes) = state.files.disk()?;
    let tokens = state.store.files_by_token(MAX_TOKENS).await?;
    Ok(Json(Storage {
        own,
        all: Some(FileSumView { files: all.files, bytes: all.bytes }),
        disk: Some(Disk { total_bytes: space.total, free_bytes: space.free, reserve_bytes }),
        tokens: tokens.into_iter().map(TokenFilesView::from).collect(),
    }))
}
