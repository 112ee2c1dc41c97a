//! Uploads in parts by the tus protocol 1.0 (tus.io, "Core Protocol", "Creation", "Creation With
//! Upload", "Expiration", "Checksum", "Termination"): its headers, and the way of a part to the
//! store of files.

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use sha2::Digest as _;

use super::arriving::Arriving;
use super::digests::{REPR_DIGEST, repr_digest};
use super::files::SentLabel;
use super::problem::{Kind, Problem};
use crate::domain::file::{FileDigest, UploadKeep};
use crate::files::{FilesError, PartEnd, UploadPart};

/// Version of the protocol.
pub(crate) const VERSION: &str = "1.0.0";

/// Extensions of the protocol that are spoken.
pub(crate) const EXTENSIONS: &str = "creation,creation-with-upload,creation-defer-length,\
     expiration,checksum,termination";

/// Algorithms of checksums of parts.
pub(crate) const ALGORITHMS: &str = "sha1,sha256";

/// Media type of a part.
const PART: &str = "application/offset+octet-stream";

/// Longest `Upload-Metadata`, in bytes (4 KiB).
const MAX_METADATA: usize = 4 * 1024;

pub(crate) const TUS_RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");
pub(crate) const TUS_VERSION: HeaderName = HeaderName::from_static("tus-version");
pub(crate) const TUS_EXTENSION: HeaderName = HeaderName::from_static("tus-extension");
pub(crate) const TUS_ALGORITHMS: HeaderName = HeaderName::from_static("tus-checksum-algorithm");
pub(crate) const UPLOAD_LENGTH: HeaderName = HeaderName::from_static("upload-length");
pub(crate) const UPLOAD_DEFER: HeaderName = HeaderName::from_static("upload-defer-length");
pub(crate) const UPLOAD_OFFSET: HeaderName = HeaderName::from_static("upload-offset");
pub(crate) const UPLOAD_EXPIRES: HeaderName = HeaderName::from_static("upload-expires");
pub(crate) const UPLOAD_METADATA: HeaderName = HeaderName::from_static("upload-metadata");
const UPLOAD_CHECKSUM: HeaderName = HeaderName::from_static("upload-checksum");
const UPLOAD_COMPLETE: HeaderName = HeaderName::from_static("upload-complete");
const FILE_HEADER: HeaderName = HeaderName::from_static("gantry-file");

/// Client's words about an upload.
#[derive(Debug, Clone, Default)]
pub(crate) struct Metadata {
    /// Name, media type, and time of the file.
    pub(crate) sent: SentLabel,
    /// The digest that it must have.
    pub(crate) digest: Option<FileDigest>,
    /// The header as it came.
    pub(crate) text: String,
}

impl Metadata {
    /// Reads `Upload-Metadata`: pairs of a key and a value in base64, separated by commas. What
    /// is not known is kept and not read.
    pub(crate) fn read(headers: &HeaderMap) -> Result<Self, Problem> {
        let refused = |why: String| Problem::parameter("Upload-Metadata", why);
        let Some(text) = single(headers, &UPLOAD_METADATA)? else { return Ok(Self::default()) };
        if text.len() > MAX_METADATA {
            return Err(refused(format!("it has more than {MAX_METADATA} bytes")));
        }
        let (mut name, mut media_type, mut digest, mut keep) =
            (None, None, None, UploadKeep::default());
        for pair in text.split(',').map(str::trim).filter(|it| !it.is_empty()) {
            let (key, encoded) = pair.split_once(' ').unwrap_or((pair, ""));
            let wrong = || refused(format!("the value of {key:?} is not text in base64"));
            let value = STANDARD.decode(encoded.trim()).map_err(|_| wrong())?;
            let value = || String::from_utf8(value).map_err(|_| wrong());
            match key {
                "filename" | "name" => name = Some(value()?),
                "filetype" | "type" => media_type = Some(value()?),
                "digest" => {
                    let read = value()?.parse();
                    digest = Some(read.map_err(|it: crate::domain::file::DigestFault| {
                        refused(format!("digest: {it}"))
                    })?);
                }
                "keep" => {
                    let read = value()?.parse();
                    keep = read.map_err(|it: crate::domain::file::UploadKeepFault| {
                        refused(format!("keep: {it}"))
                    })?;
                }
                _ => {}
            }
        }
        let sent = SentLabel::new(name.filter(|it| !it.is_empty()), media_type, keep)?;
        Ok(Self { sent, digest, text: text.to_owned() })
    }
}

/// Checksum that a part must have.
#[derive(Debug, Clone)]
pub(crate) enum Checksum {
    /// By SHA-1, which the protocol demands. It tells damage, and no more.
    Sha1(Box<sha1::Sha1>, Vec<u8>),
    /// By SHA-256.
    Sha256(Box<sha2::Sha256>, Vec<u8>),
}

impl Checksum {
    /// Reads `Upload-Checksum`: an algorithm, and the checksum in base64.
    pub(crate) fn read(headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        let Some(text) = single(headers, &UPLOAD_CHECKSUM)? else { return Ok(None) };
        let refused = |why: &str| Problem::new(Kind::Malformed, format!("Upload-Checksum: {why}"));
        let (algorithm, encoded) = text.split_once(' ').unwrap_or((text, ""));
        let expected = STANDARD.decode(encoded.trim()).map_err(|_| refused("it is no base64"))?;
        match algorithm {
            "sha1" => Ok(Some(Self::Sha1(Box::default(), expected))),
            "sha256" => Ok(Some(Self::Sha256(Box::default(), expected))),
            _ => Err(refused("the algorithms are sha1 and sha256")),
        }
    }

    fn update(&mut self, piece: &[u8]) {
        match self {
            Self::Sha1(hasher, _) => hasher.update(piece),
            Self::Sha256(hasher, _) => hasher.update(piece),
        }
    }

    fn matches(self) -> bool {
        match self {
            Self::Sha1(hasher, expected) => hasher.finalize().as_slice() == expected,
            Self::Sha256(hasher, expected) => hasher.finalize().as_slice() == expected,
        }
    }
}

/// Value of a header that may be there once.
pub(crate) fn single<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'a str>, Problem> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    match (value.to_str(), values.next()) {
        (Ok(text), None) => Ok(Some(text.trim())),
        _ => Err(Problem::parameter(name.as_str(), "it is there twice, or is no printable ASCII")),
    }
}

/// Number of bytes in a header.
pub(crate) fn number(headers: &HeaderMap, name: &HeaderName) -> Result<Option<u64>, Problem> {
    let Some(text) = single(headers, name)? else { return Ok(None) };
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let read = text.parse().ok().filter(|bytes| is_number && i64::try_from(*bytes).is_ok());
    read.map(Some).ok_or_else(|| Problem::parameter(name.as_str(), "it is no number of bytes"))
}

/// True if the body is a part of an upload.
pub(crate) fn is_part(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|it| it.as_bytes() == PART.as_bytes())
}

/// Refuses a client that speaks another version.
pub(crate) fn check_version(headers: &HeaderMap) -> Result<(), Problem> {
    match single(headers, &TUS_RESUMABLE)? {
        Some(VERSION) => Ok(()),
        _ => Err(Problem::new(
            Kind::PreconditionFailed,
            format!("the request has no `Tus-Resumable: {VERSION}`"),
        )
        .hint("speak the tus protocol in this version, or send the file whole")),
    }
}

/// Receives a part, in a task of its own: what came is stored, even if the client goes.
pub(crate) async fn receive_part(
    part: UploadPart,
    body: Body,
    checksum: Option<Checksum>,
) -> Result<PartEnd, Problem> {
    let receiving = tokio::spawn(receive(part, body, checksum));
    receiving.await.map_err(|_| Problem::stopping())?
}

async fn receive(
    mut part: UploadPart,
    body: Body,
    mut checksum: Option<Checksum>,
) -> Result<PartEnd, Problem> {
    let mut arriving = Arriving::new(body);
    let stopped = part.stopped();
    let mut stopped = std::pin::pin!(stopped);
    let broken = loop {
        let piece = tokio::select! {
            piece = arriving.next() => piece,
            () = &mut stopped => Err(FilesError::Busy.into()),
        };
        let piece = match piece {
            Ok(Some(piece)) => piece,
            Ok(None) => break None,
            Err(problem) => break Some(problem),
        };
        if let Some(checksum) = &mut checksum {
            checksum.update(&piece);
        }
        if let Err(error) = part.write(piece).await {
            break Some(error.into());
        }
    };
    let Some(problem) = broken else {
        if checksum.is_none_or(Checksum::matches) {
            return Ok(part.finish().await?);
        }
        part.undo().await?;
        return Err(FilesError::Checksum.into());
    };
    match checksum {
        // A part that has a checksum counts whole, or not at all.
        Some(_) => part.undo().await?,
        None => {
            part.finish().await?;
        }
    }
    // Whoever comes again need not wait for it.
    arriving.discard().await;
    Err(problem)
}

/// Headers of every answer.
pub(crate) fn base_headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(TUS_RESUMABLE, HeaderValue::from_static(VERSION));
    headers
}

/// Adds when an upload is given up.
pub(crate) fn expires(headers: &mut HeaderMap, at: DateTime<Utc>) {
    let text = at.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    if let Ok(value) = HeaderValue::from_str(&text) {
        headers.insert(UPLOAD_EXPIRES, value);
    }
}

/// Adds which file an upload has become.
pub(crate) fn completed(headers: &mut HeaderMap, digest: FileDigest) {
    headers.insert(UPLOAD_COMPLETE, HeaderValue::from_static("?1"));
    headers.insert(REPR_DIGEST, repr_digest(digest));
    if let Ok(value) = HeaderValue::from_str(&digest.to_string()) {
        headers.insert(FILE_HEADER, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn metadata(text: &str) -> Result<Metadata, u16> {
        let mut headers = HeaderMap::new();
        headers.insert(UPLOAD_METADATA, HeaderValue::from_str(text).unwrap());
        Metadata::read(&headers).map_err(|problem| problem.status().as_u16())
    }

    fn pair(key: &str, value: &str) -> String {
        format!("{key} {}", STANDARD.encode(value))
    }

    #[test]
    fn metadata_are_read_as_clients_write_them() {
        let digest = FileDigest::of(b"a");
        let text = [
            pair("filename", "ä.mov"),
            pair("filetype", "video/mp4"),
            pair("digest", &digest.to_string()),
            pair("keep", "30d"),
            "is_confidential".to_owned(),
        ]
        .join(",");
        let read = metadata(&text).unwrap();
        assert_eq!(read.sent.label.name.as_deref(), Some("ä.mov"));
        assert_eq!(read.sent.label.media_type.as_deref(), Some("video/mp4"));
        assert_eq!((read.digest, read.text), (Some(digest), text));
        assert_eq!(read.sent.keep, "30d".parse().unwrap());
        assert!(metadata("").is_ok());
    }

    #[test]
    fn metadata_that_mean_nothing_are_refused() {
        for wrong in [
            "filename !".to_owned(),
            pair("filename", "a\nb"),
            pair("digest", "sha256:x"),
            pair("keep", "x"),
            format!("a {}", "A".repeat(MAX_METADATA)),
            "filename /w==".to_owned(),
        ] {
            assert_eq!(metadata(&wrong).err(), Some(422), "{wrong}");
        }
    }

    #[test]
    fn a_checksum_tells_damage() {
        let read = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(UPLOAD_CHECKSUM, HeaderValue::from_str(text).unwrap());
            Checksum::read(&headers)
        };
        for text in [
            format!("sha256 {}", STANDARD.encode(sha2::Sha256::digest(b"part"))),
            format!("sha1 {}", STANDARD.encode(sha1::Sha1::digest(b"part"))),
        ] {
            for (sent, is_met) in [(&b"part"[..], true), (b"port", false), (b"", false)] {
                let mut checksum = read(&text).unwrap().unwrap();
                checksum.update(sent);
                assert_eq!(checksum.matches(), is_met);
            }
        }
        for wrong in ["md5 AAAA", "sha256 !", "", "sha256:AAAA"] {
            assert_eq!(read(wrong).unwrap_err().status().as_u16(), 400, "{wrong}");
        }
    }

    #[test]
    fn an_end_is_written_as_http_writes_times() {
        let mut headers = HeaderMap::new();
        expires(&mut headers, DateTime::UNIX_EPOCH);
        assert_eq!(headers[UPLOAD_EXPIRES], "Thu, 01 Jan 1970 00:00:00 GMT");
    }

    proptest! {
        #[test]
        fn any_metadata_are_read_or_refused(text in "[ -~]{0,80}") {
            let _ = metadata(&text);
        }
    }
}
