//! Body of a request to register or change a script: JSON, or parts of which one is the JSON and the
//! others are the files of a bundle. Files go to the disk as they come, and are never in memory as a
//! whole.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::extract::multipart::{Field, MultipartError};
use axum::extract::{DefaultBodyLimit, FromRequest, FromRequestParts, Multipart, Request};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use bytes::Bytes;
use tokio::io::AsyncWriteExt;
use tokio::sync::Semaphore;

use crate::bundles::{BundleError, MAX_ARCHIVE_BYTES, Packed, Packer, Shelf, pack_archive};
use crate::domain::bundle::{BundleFault, MAX_FILES};
use crate::domain::fault::Fault;
use crate::http::auth::Identity;
use crate::http::extract::{
    Incoming, JsonBytes, WITH_SCRIPT, check_encoding, check_length, is_multipart,
};
use crate::http::memory::MemoryPermit;
use crate::http::problem::{Kind, Problem};
use crate::http::roles::ADMIN;
use crate::http::state::AppState;

/// Largest part with the script's fields, in bytes (4 MiB).
const MAX_FIELDS_BYTES: usize = 4 * 1024 * 1024;

/// Largest body with a bundle, in bytes: the archive or the files with the heads of their parts, and
/// the fields.
const MAX_BODY_BYTES: u64 = MAX_ARCHIVE_BYTES + 8 * 1024 * 1024;

/// Bundles that are received at once; each takes up to three times its size of the disk.
static RECEIVED: Semaphore = Semaphore::const_new(4);

/// A script's fields, and the files of a bundle if there are any.
pub(super) struct ScriptBody {
    pub(super) json: Bytes,
    pub(super) packed: Option<Packed>,
    pub(super) held: MemoryPermit,
}

impl FromRequest<AppState> for ScriptBody {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Problem> {
        if !is_multipart(request.headers()) {
            let JsonBytes(json, held) =
                JsonBytes::<WITH_SCRIPT>::from_request(request, state).await?;
            return Ok(Self { json, packed: None, held });
        }
        let (mut parts, body) = request.into_parts();
        let identity = Identity::from_request_parts(&mut parts, state).await?;
        // Operators change settings, which are JSON.
        if !ADMIN.contains(&identity.role()) {
            return Err(Problem::new(Kind::Forbidden, "only admins send bundles"));
        }
        check_encoding(&parts.headers)?;
        let limit = usize::try_from(MAX_BODY_BYTES).unwrap_or(usize::MAX);
        check_length(&parts.headers, limit)?;
        let busy = || Problem::internal("bundles are not received any more".to_owned());
        let _turn = RECEIVED.acquire().await.map_err(|_| busy())?;
        let refused = Arc::new(Mutex::new(None));
        let request = with_limit(&parts.headers, bounded(body, limit, &refused))?;
        let received = Received::read(request, Shelf::new(&state.data_dir).unfinished()).await;
        // The reason that the body broke off goes before what its parser makes of it.
        let reason = refused.lock().unwrap_or_else(PoisonError::into_inner).take();
        let received = reason.map_or(received, Err)?;
        received.pack().await
    }
}

type Reason = Arc<Mutex<Option<Problem>>>;

/// A body of at most `limit` bytes, at least at the least rate.
fn bounded(body: Body, limit: usize, refused: &Reason) -> Body {
    let refused = Arc::clone(refused);
    let incoming = (Incoming::new(body), refused);
    Body::from_stream(futures::stream::try_unfold(
        incoming,
        move |(mut incoming, refused)| async move {
            match incoming.next(limit).await {
                Ok(piece) => Ok(piece.map(|piece| (piece, (incoming, refused)))),
                Err(problem) => {
                    *refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(problem);
                    Err(std::io::Error::other("refused"))
                }
            }
        },
    ))
}

fn with_limit(headers: &HeaderMap, body: Body) -> Result<Request, Problem> {
    let kind = headers.get(CONTENT_TYPE).cloned();
    let kind = kind.ok_or_else(|| malformed("it has no Content-Type"))?;
    let mut request = Request::new(body);
    request.headers_mut().insert(CONTENT_TYPE, kind);
    // The body has a limit of its own.
    DefaultBodyLimit::disable().apply(&mut request);
    Ok(request)
}

/// Parts of a body, with the files on the disk.
struct Received {
    folder: PathBuf,
    json: Option<Bytes>,
    /// All files one after the other.
    spool: tokio::fs::File,
    at: u64,
    archive: bool,
    /// Paths and sizes of files that were sent one by one.
    files: Vec<(String, u64)>,
}

impl Received {
    async fn read(request: Request, folder: PathBuf) -> Result<Self, Problem> {
        let parts = Multipart::from_request(request, &()).await;
        let mut parts = parts.map_err(|error| malformed(&error.body_text()))?;
        let spool = crate::private_files::create_folder(&folder)
            .and_then(|()| tempfile::tempfile_in(&folder))
            .map_err(|error| unwritten(&error))?;
        let (spool, json, files) = (spool.into(), None, Vec::new());
        let mut received = Self { folder, json, spool, at: 0, archive: false, files };
        while let Some(part) = parts.next_field().await.map_err(|error| broken(&error))? {
            let name = part.name().unwrap_or_default().to_owned();
            match name.as_str() {
                "script" if received.json.is_none() => {
                    received.json = Some(fields(part).await?);
                }
                "bundle" if !received.archive && received.files.is_empty() => {
                    received.archive = true;
                    received.spool(part).await?;
                }
                "file" if !received.archive => received.file(part).await?,
                "script" | "bundle" | "file" => {
                    return Err(malformed(
                        "it has `script` once, and either one `bundle` or `file`s",
                    ));
                }
                _ => return Err(malformed("its parts are `script`, `bundle` and `file`")),
            }
        }
        Ok(received)
    }

    async fn file(&mut self, part: Field<'_>) -> Result<(), Problem> {
        if self.files.len() >= MAX_FILES {
            return Err(refusal(&BundleFault::TooMany.into()));
        }
        let path = part.file_name().unwrap_or_default().to_owned();
        let bytes = self.spool(part).await?;
        self.files.push((path, bytes));
        Ok(())
    }

    async fn spool(&mut self, mut part: Field<'_>) -> Result<u64, Problem> {
        let begin = self.at;
        while let Some(piece) = part.chunk().await.map_err(|error| broken(&error))? {
            self.spool.write_all(&piece).await.map_err(|error| unwritten(&error))?;
            self.at += piece.len() as u64;
        }
        Ok(self.at - begin)
    }

    async fn pack(mut self) -> Result<ScriptBody, Problem> {
        let json = self.json.take().ok_or_else(|| malformed("it has no part `script`"))?;
        self.spool.flush().await.map_err(|error| unwritten(&error))?;
        let Self { folder, spool, archive, files, .. } = self;
        let spool = spool.into_std().await;
        let packing =
            tokio::task::spawn_blocking(move || pack_files(spool, archive, &files, &folder));
        let packed = packing.await.map_err(|error| Problem::internal(error.to_string()))?;
        let packed = packed.map_err(|error| refusal(&error))?;
        Ok(ScriptBody { json, packed, held: MemoryPermit::default() })
    }
}

/// Packs an archive, or files that are one after the other.
fn pack_files(
    mut spool: File,
    is_archive: bool,
    files: &[(String, u64)],
    folder: &Path,
) -> Result<Option<Packed>, BundleError> {
    let rewound = spool.seek(SeekFrom::Start(0));
    rewound.map_err(|source| BundleError::Io { what: "a bundle".to_owned(), source })?;
    if is_archive {
        return pack_archive(spool, folder).map(Some);
    }
    if files.is_empty() {
        return Ok(None);
    }
    let mut packer = Packer::new(folder)?;
    for (path, bytes) in files {
        packer.add(path, Some(*bytes), None, (&mut spool).take(*bytes))?;
    }
    packer.finish().map(Some)
}

async fn fields(mut part: Field<'_>) -> Result<Bytes, Problem> {
    let mut fields = Vec::new();
    while let Some(piece) = part.chunk().await.map_err(|error| broken(&error))? {
        fields.extend_from_slice(&piece);
        if fields.len() > MAX_FIELDS_BYTES {
            let detail = format!("the part `script` has more than {MAX_FIELDS_BYTES} bytes");
            return Err(Problem::new(Kind::TooLarge, detail));
        }
    }
    Ok(fields.into())
}

fn malformed(detail: &str) -> Problem {
    Problem::new(Kind::Malformed, format!("the body can't be read: {detail}"))
}

fn broken(error: &MultipartError) -> Problem {
    malformed(&error.body_text())
}

fn unwritten(error: &std::io::Error) -> Problem {
    Problem::internal(format!("a bundle can't be written to the data folder: {error}"))
}

/// The answer to a bundle that is refused.
fn refusal(error: &BundleError) -> Problem {
    if !error.is_of_sender() {
        return Problem::internal(error.to_string());
    }
    let hint = error.hint().map_or(String::new(), |hint| format!("; {hint}"));
    Problem::invalid(vec![Fault::new("/bundle", format!("{error}{hint}"))])
}
