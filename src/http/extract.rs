//! Body parsing: bounded, as JSON, with errors that point at the fault. A body is read once; parts
//! kept byte for byte are taken out unchanged ([`Fields::take`]). Large bodies hold memory
//! ([`MemoryPermit`]) and are parsed off the serving threads ([`super::offload`]).

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::auth::Identity;
use super::fields::BodyFields;
use super::memory::{BodyBudget, MemoryPermit};
use super::offload::offload_if_large;
use super::problem::{Kind, Problem};
use super::shares::Taker;
use super::state::AppState;
use crate::domain::script::MAX_SCRIPT_BYTES;

/// Largest body of most routes, in bytes (1 MiB).
pub(crate) const SMALL: usize = 1024 * 1024;

/// Largest body with an input, in bytes: the input and all other fields.
pub(crate) const WITH_INPUT: usize = crate::domain::json_input::MAX_INPUT_BYTES + 4 * SMALL;

/// Largest body with a script, in bytes: base64, or a text with every byte escaped in two.
#[expect(clippy::cast_possible_truncation, reason = "64 MiB")]
pub(crate) const WITH_SCRIPT: usize = 2 * MAX_SCRIPT_BYTES as usize + 4 * SMALL;

/// Time allowed for a body in addition to its least rate.
const GRACE: Duration = Duration::from_secs(15);

/// Least rate of a body, in bytes per second (32 KiB).
const LEAST_RATE: usize = 32 * 1024;

/// Bytes of a refused body that are still read: a client that reads no answer before it has sent
/// everything would otherwise see a broken connection.
const READ_OF_REFUSED: usize = 128 * SMALL;

/// Time limit for reading a refused body.
const REFUSED_WITHIN: Duration = Duration::from_secs(5);

/// Body with a JSON content type of at most `LIMIT` bytes, and its memory permit.
pub(crate) struct JsonBytes<const LIMIT: usize>(pub(crate) Bytes, pub(crate) MemoryPermit);

impl<const LIMIT: usize> FromRequest<AppState> for JsonBytes<LIMIT> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        if let Err(problem) = check_type(&parts.headers) {
            drain(body.into_data_stream()).await;
            return Err(problem);
        }
        let taker = Identity::from_request_parts(&mut parts, state).await?.taker();
        let (bytes, held) = read(&parts.headers, body, LIMIT, (state.memory(), taker)).await?;
        Ok(Self(bytes, held))
    }
}

/// JSON object parsed into a value, of at most `LIMIT` bytes, and its memory permit.
pub(crate) struct Json<T, const LIMIT: usize = SMALL>(pub(crate) T, pub(crate) MemoryPermit);

impl<T: DeserializeOwned + Send + 'static, const LIMIT: usize> FromRequest<AppState>
    for Json<T, LIMIT>
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Problem> {
        let JsonBytes(bytes, held) = JsonBytes::<LIMIT>::from_request(request, state).await?;
        let value =
            offload_if_large(bytes.len(), move || BodyFields::parse(&bytes)?.into_value()).await?;
        Ok(Self(value, held))
    }
}

/// Refuses a packed body. Nothing is decompressed: a small body could expand without bounds.
///
/// # Errors
/// A [`Problem`] if it is packed.
pub(crate) fn check_encoding(headers: &HeaderMap) -> Result<(), Problem> {
    let is_plain = |value: &[u8]| value.is_empty() || value.eq_ignore_ascii_case(b"identity");
    if headers.get_all(CONTENT_ENCODING).iter().all(|value| is_plain(value.as_bytes())) {
        return Ok(());
    }
    Err(Problem::new(Kind::MediaType, "the body has a Content-Encoding")
        .hint("send it as it is, without compression"))
}

/// True for a body of parts.
pub(crate) fn is_multipart(headers: &HeaderMap) -> bool {
    let given = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = given.and_then(|given| given.split(';').next()).unwrap_or_default();
    media_type.trim().eq_ignore_ascii_case("multipart/form-data")
}

fn check_type(headers: &HeaderMap) -> Result<(), Problem> {
    check_encoding(headers)?;
    // Parsers differ in how they read a repeated name.
    let is_given_once = headers.get_all(CONTENT_TYPE).iter().count() == 1;
    let given = headers.get(CONTENT_TYPE).filter(|_| is_given_once);
    let given = given.and_then(|value| value.to_str().ok());
    let (media_type, parameters) = match given {
        Some(given) => given.split_once(';').unwrap_or((given, "")),
        None => ("", ""),
    };
    let parameters = parameters.split(';').map(str::trim).filter(|it| !it.is_empty());
    let is_utf8 = |parameter: &str| match parameter.split_once('=') {
        Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => {
            value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
        }
        _ => true,
    };
    if media_type.trim().eq_ignore_ascii_case("application/json")
        && parameters.into_iter().all(is_utf8)
    {
        return Ok(());
    }
    Err(Problem::new(Kind::MediaType, "the body's Content-Type is not application/json")
        .hint("send `Content-Type: application/json`; JSON is UTF-8"))
}

/// Reads a body of at most so many bytes, and holds memory for it as it arrives.
///
/// # Errors
/// A [`Problem`] if it is too large, too slow or incomplete, or if there is no memory for it.
pub(crate) async fn read(
    headers: &HeaderMap,
    body: Body,
    limit: usize,
    (memory, taker): (&BodyBudget, Taker),
) -> Result<(Bytes, MemoryPermit), Problem> {
    let mut incoming = Incoming::new(body);
    let mut held = MemoryPermit::default();
    let reading = async {
        check_length(headers, limit)?;
        let mut read = BytesMut::new();
        while let Some(piece) = incoming.next(limit).await? {
            memory.extend(&mut held, taker, read.len() + piece.len()).await?;
            read.extend_from_slice(&piece);
        }
        memory.complete(&mut held, taker, read.len()).await?;
        Ok(read.freeze())
    };
    match reading.await {
        Ok(read) => Ok((read, held)),
        Err(problem) => {
            drop(held);
            drain(incoming.stream).await;
            Err(problem)
        }
    }
}

/// Refuses a body whose declared length is over the limit.
///
/// # Errors
/// A [`Problem`] if it is too large.
pub(crate) fn check_length(headers: &HeaderMap, limit: usize) -> Result<(), Problem> {
    let announced = headers.get(CONTENT_LENGTH).and_then(|it| it.to_str().ok()?.parse().ok());
    let is_too_large = announced.is_some_and(|bytes: u64| bytes > limit as u64);
    if is_too_large { Err(too_large(limit)) } else { Ok(()) }
}

/// Incoming body and its rate.
pub(crate) struct Incoming {
    stream: BodyDataStream,
    bytes: usize,
    waited: Duration,
}

impl Incoming {
    pub(crate) fn new(body: Body) -> Self {
        Self { stream: body.into_data_stream(), bytes: 0, waited: Duration::ZERO }
    }

    /// Returns the next piece of at most so many bytes in all. Only time spent waiting for a piece
    /// counts, not the work on received pieces.
    ///
    /// # Errors
    /// The [`Problem`]s of [`read`].
    pub(crate) async fn next(&mut self, limit: usize) -> Result<Option<Bytes>, Problem> {
        let due = GRACE + Duration::from_secs((self.bytes / LEAST_RATE) as u64);
        let begun = Instant::now();
        let piece = tokio::time::timeout(due.saturating_sub(self.waited), self.stream.next());
        let piece = piece.await.map_err(|_| too_slow())?;
        self.waited += begun.elapsed();
        let Some(piece) = piece else { return Ok(None) };
        let piece = piece.map_err(|_| {
            Problem::new(Kind::Malformed, "the body broke off, or is not well-formed HTTP")
        })?;
        self.bytes += piece.len();
        if self.bytes > limit { Err(too_large(limit)) } else { Ok(Some(piece)) }
    }
}

/// Reads and discards the rest of a body, up to a bound.
pub(crate) async fn drain(mut stream: BodyDataStream) {
    let dropping = async {
        let mut dropped = 0;
        while let Some(Ok(piece)) = stream.next().await {
            dropped += piece.len();
            if dropped > READ_OF_REFUSED {
                break;
            }
        }
    };
    // The body is refused either way.
    let _ = tokio::time::timeout(REFUSED_WITHIN, dropping).await;
}

fn too_slow() -> Problem {
    let detail = format!(
        "the body came more slowly than {} KiB/s, beside {} s",
        LEAST_RATE / 1024,
        GRACE.as_secs()
    );
    Problem::new(Kind::SlowBody, detail)
}

fn too_large(limit: usize) -> Problem {
    Problem::new(Kind::TooLarge, format!("the body has more than {limit} bytes"))
        .hint("mount large data, or pass a place to fetch it from")
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderName, HeaderValue};

    fn is_taken(given: &[(HeaderName, &'static str)]) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in given {
            headers.append(name, HeaderValue::from_static(value));
        }
        check_type(&headers).is_ok()
    }

    #[test]
    fn only_json_that_is_not_packed_is_taken() {
        let json = (CONTENT_TYPE, "application/json");
        assert!(is_taken(std::slice::from_ref(&json)));
        for plain in ["", "identity", "Identity"] {
            assert!(is_taken(&[json.clone(), (CONTENT_ENCODING, plain)]), "{plain}");
        }
        for packed in ["gzip", "GZIP", "deflate", "br", "zstd", "identity, gzip", "x"] {
            assert!(!is_taken(&[json.clone(), (CONTENT_ENCODING, packed)]), "{packed}");
        }
        let identity = (CONTENT_ENCODING, "identity");
        assert!(!is_taken(&[json.clone(), identity, (CONTENT_ENCODING, "gzip")]));
    }

    #[test]
    fn a_type_that_is_given_twice_is_none() {
        let json = (CONTENT_TYPE, "application/json");
        assert!(!is_taken(&[json.clone(), (CONTENT_TYPE, "text/plain")]));
        assert!(!is_taken(&[json.clone(), json]));
        assert!(!is_taken(&[]));
    }

    /// Reads a body of so many pieces of so many bytes, each after a second.
    async fn read_slowly(pieces: usize, bytes: usize) -> Result<usize, Problem> {
        let pieces = futures::stream::iter(0..pieces).then(move |_| async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Ok::<_, std::io::Error>(vec![b'x'; bytes])
        });
        let mut incoming = Incoming::new(Body::from_stream(pieces));
        let mut read = 0;
        while let Some(piece) = incoming.next(WITH_INPUT).await? {
            read += piece.len();
        }
        Ok(read)
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_comes_at_the_least_rate_or_is_given_up() {
        assert_eq!(read_slowly(10, 1).await.unwrap(), 10);
        assert_eq!(read_slowly(600, LEAST_RATE).await.unwrap(), 600 * LEAST_RATE);
        let begun = Instant::now();
        for bytes in [1, LEAST_RATE / 2] {
            let problem = read_slowly(600, bytes).await.unwrap_err();
            assert_eq!(problem.status().as_u16(), 408);
        }
        assert!(begun.elapsed() < 4 * GRACE, "{:?}", begun.elapsed());
    }
}
