//! Answers with the content of a file: whole or in part, in small pieces, whatever its size.
//!
//! A content is hostile: it is an attachment that no browser renders or runs, and its media type
//! is told by its first bytes, never by whoever sent it.

use std::fmt::Write as _;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use axum::body::Body;
use axum::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::Stream;
use tokio::task::{JoinHandle, spawn_blocking};

use super::digests::{REPR_DIGEST, repr_digest};
use super::problem::{Kind, Problem};
use super::ranges::{Condition, Part, condition, part};
use crate::domain::file::FileDigest;

/// Bytes that are read at once (128 KiB). Two pieces of an answer are in memory at most: one that
/// is sent, and the one after it.
const PIECE: u64 = 128 * 1024;

/// Bytes of a content by which its type is told.
const HEAD: usize = 64;

/// Content of an answer.
#[derive(Debug)]
pub(crate) struct Content<'a> {
    /// The file.
    pub(crate) file: File,
    /// Its size in bytes.
    pub(crate) bytes: u64,
    /// Its digest, which is its entity tag.
    pub(crate) digest: FileDigest,
    /// Name under which it is offered, or the path that ends in it.
    pub(crate) name: &'a str,
}

/// Answers a GET or a HEAD with a content, or with the part of it that the headers ask for.
pub(crate) async fn send(
    method: &Method,
    headers: &HeaderMap,
    content: Content<'_>,
) -> Result<Response, Problem> {
    let Content { file, bytes, digest, name } = content;
    let tag = format!("\"{}\"", digest.hex());
    let mut answer = HeaderMap::new();
    set(&mut answer, ETAG, &tag);
    set(&mut answer, CACHE_CONTROL, "private, no-cache");
    match condition(headers, &tag) {
        Condition::Met => {}
        Condition::NotModified => return Ok((StatusCode::NOT_MODIFIED, answer).into_response()),
        Condition::Failed => {
            let detail = "the content has another entity tag than If-Match names";
            return Err(Problem::new(Kind::PreconditionFailed, detail));
        }
    }
    set(&mut answer, ACCEPT_RANGES, "bytes");
    // A range is for GET alone (RFC 9110, 14.2).
    let part = if method == Method::GET { part(headers, bytes, &tag) } else { Part::Whole };
    let (status, range) = match part {
        Part::Whole => (StatusCode::OK, 0..bytes),
        Part::Bytes(range) => {
            let Range { start, end } = range;
            set(&mut answer, CONTENT_RANGE, &format!("bytes {start}-{}/{bytes}", end - 1));
            (StatusCode::PARTIAL_CONTENT, range)
        }
        Part::Unsatisfiable => {
            set(&mut answer, CONTENT_RANGE, &format!("bytes */{bytes}"));
            let detail = format!("the content has {bytes} bytes, and the range begins behind them");
            let problem = Problem::new(Kind::RangeNotSatisfiable, detail);
            return Ok((answer, problem).into_response());
        }
    };
    let file = Arc::new(file);
    let media_type = media_type_of(&file).await?;
    answer.insert(REPR_DIGEST, repr_digest(digest));
    answer.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    answer.insert(CONTENT_DISPOSITION, disposition(name));
    answer.insert(CONTENT_LENGTH, HeaderValue::from(range.end - range.start));
    let policy = HeaderValue::from_static("default-src 'none'; sandbox");
    answer.insert(CONTENT_SECURITY_POLICY, policy);
    let body = match method == Method::GET && !range.is_empty() {
        true => Body::from_stream(pieces(file, range)),
        false => Body::empty(),
    };
    Ok((status, answer, body).into_response())
}

fn set(headers: &mut HeaderMap, name: axum::http::HeaderName, value: &str) {
    // Numbers, digits and fixed words are always a value.
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

async fn media_type_of(file: &Arc<File>) -> Result<&'static str, Problem> {
    let file = Arc::clone(file);
    let reading = spawn_blocking(move || {
        let mut head = [0; HEAD];
        let read = file.read_at(&mut head, 0)?;
        Ok::<_, io::Error>(media_type(head.get(..read).unwrap_or_default()))
    });
    let read = reading.await.map_err(|_| Problem::stopping())?;
    read.map_err(|error| Problem::internal(format!("a file can't be read: {error}")))
}

/// Pieces of a part of a file; while one is sent, the next is read.
fn pieces(file: Arc<File>, range: Range<u64>) -> impl Stream<Item = io::Result<Bytes>> {
    let first = read(&file, &range);
    let state = (file, range, Some(first));
    futures::stream::try_unfold(state, |(file, mut range, reading)| async move {
        let Some(reading) = reading else { return Ok(None) };
        let piece = reading.await.map_err(io::Error::other)??;
        range.start += piece.len() as u64;
        let next = (!range.is_empty()).then(|| read(&file, &range));
        Ok(Some((piece, (file, range, next))))
    })
}

/// Begins to read the next piece.
fn read(file: &Arc<File>, range: &Range<u64>) -> JoinHandle<io::Result<Bytes>> {
    let file = Arc::clone(file);
    let (from, length) = (range.start, PIECE.min(range.end - range.start));
    spawn_blocking(move || {
        let mut piece = vec![0; usize::try_from(length).unwrap_or_default()];
        // A file that became shorter breaks the answer off: nobody takes it for complete.
        file.read_exact_at(&mut piece, from)?;
        Ok(piece.into())
    })
}

/// Types that a browser shows without running them, by the first bytes of a content.
const BY_FIRST_BYTES: [(&[u8], &str); 10] = [
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"OggS", "application/ogg"),
    (b"fLaC", "audio/flac"),
    (b"ID3", "audio/mpeg"),
    (b"\xff\xfb", "audio/mpeg"),
    (b"II*\0", "image/tiff"),
    (b"\x76\x2f\x31\x01", "image/x-exr"),
];

/// Kinds of RIFF files, by the word at byte 8.
const BY_RIFF: [(&[u8], &str); 3] =
    [(b"WEBP", "image/webp"), (b"WAVE", "audio/wav"), (b"AVI ", "video/x-msvideo")];

/// Kinds of ISO base media files (ISO/IEC 14496-12), by their major brand at byte 8.
const BY_BRAND: [(&[u8], &str); 4] = [
    (b"qt  ", "video/quicktime"),
    (b"M4A ", "audio/mp4"),
    (b"avif", "image/avif"),
    (b"heic", "image/heic"),
];

/// Media type of a content that begins with these bytes.
pub(crate) fn media_type(head: &[u8]) -> &'static str {
    let word = |at: usize| head.get(at..at + 4).unwrap_or_default();
    let known = |list: &[(&[u8], &'static str)]| {
        list.iter().find(|(name, _)| *name == word(8)).map(|(_, media_type)| *media_type)
    };
    if word(0) == b"RIFF" {
        return known(&BY_RIFF).unwrap_or("application/octet-stream");
    }
    if word(4) == b"ftyp" {
        return known(&BY_BRAND).unwrap_or("video/mp4");
    }
    // EBML, whose document type follows.
    if word(0) == b"\x1a\x45\xdf\xa3" {
        let is_webm = head.windows(4).any(|it| it == b"webm");
        return if is_webm { "video/webm" } else { "video/x-matroska" };
    }
    let found = BY_FIRST_BYTES.iter().find(|(magic, _)| head.starts_with(magic));
    found.map_or("application/octet-stream", |(_, media_type)| media_type)
}

/// `attachment` with the last part of a name (RFC 6266), encoded in plain ASCII (RFC 8187).
pub(crate) fn disposition(name: &str) -> HeaderValue {
    let name = name.rsplit('/').next().unwrap_or_default();
    let mut encoded = String::from("attachment; filename*=UTF-8''");
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string can't fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    HeaderValue::from_str(&encoded).unwrap_or_else(|_| HeaderValue::from_static("attachment"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn a_name_is_harmless_in_a_header() {
        let header = |name| disposition(name).to_str().unwrap().to_owned();
        assert_eq!(header("a/b c.txt"), "attachment; filename*=UTF-8''b%20c.txt");
        assert_eq!(header("\"\r\nä"), "attachment; filename*=UTF-8''%22%0D%0A%C3%A4");
    }

    #[test]
    fn only_media_are_more_than_bytes() {
        for (head, expected) in [
            (&b"\x89PNG\r\n\x1a\nx"[..], "image/png"),
            (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
            (b"RIFF\0\0\0\0WAVEfmt ", "audio/wav"),
            (b"\0\0\0\x20ftypisom\0\0\0\0", "video/mp4"),
            (b"\0\0\0\x20ftypqt  \0\0\0\0", "video/quicktime"),
            (b"\x1a\x45\xdf\xa3\x01\0\0\0\x42\x82\x84webm", "video/webm"),
            (b"\x1a\x45\xdf\xa3\x01\0\0\0\x42\x82\x88matroska", "video/x-matroska"),
        ] {
            assert_eq!(media_type(head), expected);
        }
        for other in
            [&b"<svg xmlns="[..], b"<html>", b"", b"%PDF-", b"RIFF", b"RIFF\0\0\0\0ACON", b"\x1aE"]
        {
            assert_eq!(media_type(other), "application/octet-stream");
        }
    }

    async fn sent(bytes: usize, range: Option<&'static str>) -> (u16, Vec<u8>, HeaderMap) {
        let mut file = tempfile::tempfile().unwrap();
        let all: Vec<_> = (0..bytes).map(|it| u8::try_from(it % 251).unwrap()).collect();
        file.write_all(&all).unwrap();
        let content = Content { file, bytes: bytes as u64, digest: FileDigest::of(&all), name: "" };
        let mut headers = HeaderMap::new();
        if let Some(range) = range {
            headers.insert("range", HeaderValue::from_static(range));
        }
        let answer = send(&Method::GET, &headers, content).await.unwrap();
        let (parts, body) = answer.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        (parts.status.as_u16(), body.to_vec(), parts.headers)
    }

    #[tokio::test]
    async fn all_of_a_content_comes_in_pieces() {
        let piece = usize::try_from(PIECE).unwrap();
        for bytes in [0, 1, piece - 1, piece, piece + 1, 3 * piece + 7] {
            let (status, body, headers) = sent(bytes, None).await;
            assert_eq!((status, body.len()), (200, bytes));
            assert_eq!(headers["content-length"], bytes.to_string().as_str());
            let (status, part, headers) = sent(bytes, Some("bytes=1-")).await;
            if bytes > 1 {
                assert_eq!((status, &part[..]), (206, &body[1..]));
                assert_eq!(headers["content-range"], format!("bytes 1-{}/{bytes}", bytes - 1));
            } else {
                assert_eq!(status, 416);
                assert_eq!(headers["content-range"], format!("bytes */{bytes}").as_str());
            }
        }
    }
}
