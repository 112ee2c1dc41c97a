//! The client of transfers, the same for Gantry and for what it is compared with: bytes out
//! of memory and into nothing, so that the disk that is measured is the server's.

use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::{StreamExt, stream};
use reqwest::{Body, Method, RequestBuilder};
use serde::Deserialize;
use serde_json::Value;
use tokio::io::AsyncWriteExt;

use crate::Failure;
use crate::harness::api::Api;

/// Bytes that a request sends at once.
const PIECE: usize = 256 * 1024;

/// Content that is like no other: random bytes, the first of which count the files.
pub(super) struct Content {
    piece: Bytes,
    made: u64,
}

#[derive(Deserialize)]
struct Stored {
    digest: String,
}

impl Content {
    pub(super) fn new() -> Result<Self, Failure> {
        let mut piece = vec![0; PIECE];
        getrandom::fill(&mut piece)?;
        Ok(Self { piece: piece.into(), made: 0 })
    }

    /// A new file of so many bytes, 8 at least.
    pub(super) fn body(&mut self, bytes: u64) -> Body {
        self.made += 1;
        let first = Bytes::copy_from_slice(&self.made.to_le_bytes());
        let rest = bytes.saturating_sub(first.len() as u64);
        let (whole, last) = (rest / PIECE as u64, (rest % PIECE as u64) as usize);
        let piece = self.piece.clone();
        let end = piece.slice(..last);
        let pieces = stream::iter((0..whole).map(move |_| piece.clone()));
        let all = stream::iter([first]).chain(pieces).chain(stream::iter([end]));
        Body::wrap_stream(all.map(Ok::<_, std::convert::Infallible>))
    }
}

/// Sends a request whose answer is read and dropped; the time until its end.
pub(super) async fn timed(request: RequestBuilder) -> Result<Duration, Failure> {
    let begun = Instant::now();
    let answer = request.send().await?.error_for_status()?;
    let mut body = answer.bytes_stream();
    while let Some(piece) = body.next().await {
        piece?;
    }
    Ok(begun.elapsed())
}

/// Uploads a file; its digest, and the time until it was durable.
pub(super) async fn upload(api: &Api, body: Body) -> Result<(String, Duration), Failure> {
    let begun = Instant::now();
    let answer = api.request(Method::POST, "/api/v1/files").body(body).send().await?;
    let Stored { digest } = serde_json::from_slice(&answer.error_for_status()?.bytes().await?)?;
    Ok((digest, begun.elapsed()))
}

/// Downloads a file.
pub(super) async fn download(api: &Api, digest: &str) -> Result<Duration, Failure> {
    timed(api.request(Method::GET, &format!("/api/v1/files/{digest}"))).await
}

/// Gives up the reference to a file.
pub(super) async fn forget(api: &Api, digest: &str) -> Result<(), Failure> {
    timed(api.request(Method::DELETE, &format!("/api/v1/files/{digest}"))).await.map(drop)
}

/// Makes a folder of stored files; its digest.
pub(super) async fn make_tree(api: &Api, tree: &Value) -> Result<String, Failure> {
    let request = api.request(Method::POST, "/api/v1/trees").json(tree);
    let answer = request.send().await?.error_for_status()?;
    let Stored { digest } = serde_json::from_slice(&answer.bytes().await?)?;
    Ok(digest)
}

/// Downloads to a file.
pub(super) async fn save(api: &Api, path: &str, to: &Path) -> Result<(), Failure> {
    let answer = api.request(Method::GET, path).send().await?.error_for_status()?;
    let mut file = tokio::fs::File::create(to).await?;
    let mut body = answer.bytes_stream();
    while let Some(piece) = body.next().await {
        file.write_all(&piece?).await?;
    }
    Ok(file.flush().await?)
}
