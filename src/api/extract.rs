//! Reads bodies: within their bounds, as JSON, and with words that say where they
//! are wrong. A body is read once; what is to be kept byte for byte is taken out
//! of it as it stands ([`Fields::take`]). Large ones have their room ([`Held`]) and
//! are read beside the threads that serve ([`aside`]).

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use serde::de::DeserializeOwned;

use super::fields::Fields;
use super::memory::{Held, Memory};
use super::problem::{Kind, Problem};
use super::state::AppState;
use crate::domain::script::MAX_SCRIPT_BYTES;

/// Largest body of most routes, in bytes (1 MiB).
pub(super) const SMALL: usize = 1024 * 1024;

/// Largest body with an input, in bytes: the input, and room for all else.
pub(super) const WITH_INPUT: usize = crate::domain::json_input::MAX_INPUT_BYTES + 4 * SMALL;

/// Largest body with a script, in bytes: it may come as base64, or as a text of
/// which every byte is escaped in two.
#[expect(clippy::cast_possible_truncation, reason = "64 MiB")]
pub(crate) const WITH_SCRIPT: usize = 2 * MAX_SCRIPT_BYTES as usize + 4 * SMALL;

/// How long a body may take to come.
const BODY_WITHIN: Duration = Duration::from_secs(60);

/// What is still read of a body that is refused, in bytes: whoever hears nothing
/// before all is sent would otherwise see a broken connection and no answer.
const READ_OF_REFUSED: usize = 128 * SMALL;

/// How long that may take.
const REFUSED_WITHIN: Duration = Duration::from_secs(5);

/// What takes longer than it may on a thread that serves others, in bytes.
const LONG: usize = 256 * 1024;

/// A body that says of itself that it is JSON, of at most `LIMIT` bytes, and its
/// room.
pub(super) struct JsonBytes<const LIMIT: usize>(pub(super) Bytes, pub(super) Held);

impl<const LIMIT: usize> FromRequest<AppState> for JsonBytes<LIMIT> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        if let Err(problem) = check_type(&parts.headers) {
            drain(body).await;
            return Err(problem);
        }
        let (bytes, held) = read(&parts.headers, body, LIMIT, state.memory()).await?;
        Ok(Self(bytes, held))
    }
}

/// A JSON object as a value, of at most `LIMIT` bytes, and its room.
pub(super) struct Json<T, const LIMIT: usize = SMALL>(pub(super) T, pub(super) Held);

impl<T: DeserializeOwned + Send + 'static, const LIMIT: usize> FromRequest<AppState>
    for Json<T, LIMIT>
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Problem> {
        let JsonBytes(bytes, held) = JsonBytes::<LIMIT>::from_request(request, state).await?;
        let value = aside(bytes.len(), move || Fields::parse(&bytes)?.into_value()).await?;
        Ok(Self(value, held))
    }
}

/// Does work on so many bytes: at once when they are few, and otherwise beside the
/// threads that serve.
pub(super) async fn aside<T: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    if bytes < LONG {
        return work();
    }
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(Problem::internal(format!("work beside a request: {error}"))))
}

fn check_type(headers: &HeaderMap) -> Result<(), Problem> {
    // Nothing is unpacked here: what is small could be without bounds.
    let is_plain = |value: &[u8]| value.is_empty() || value.eq_ignore_ascii_case(b"identity");
    if !headers.get_all(CONTENT_ENCODING).iter().all(|value| is_plain(value.as_bytes())) {
        return Err(Problem::new(Kind::MediaType, "the body has a Content-Encoding")
            .hint("send it as it is, without compression"));
    }
    // What is given twice is read in one way here and in another elsewhere.
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

async fn read(
    headers: &HeaderMap,
    body: Body,
    limit: usize,
    memory: &Memory,
) -> Result<(Bytes, Held), Problem> {
    let announced = headers.get(CONTENT_LENGTH).and_then(|it| it.to_str().ok()?.parse().ok());
    let room = match announced {
        Some(bytes) if bytes > limit as u64 => Err(too_large(limit)),
        bytes => memory.hold(bytes.unwrap_or_default()).await,
    };
    let held = match room {
        Ok(held) => held,
        Err(problem) => {
            drain(body).await;
            return Err(problem);
        }
    };
    let mut stream = body.into_data_stream();
    let reading = read_within(&mut stream, limit, memory, held);
    let read = tokio::time::timeout(BODY_WITHIN, reading).await.unwrap_or_else(|_| {
        let seconds = BODY_WITHIN.as_secs();
        Err(Problem::new(Kind::SlowBody, format!("the body did not come within {seconds} s")))
    });
    if read.is_err() {
        drain(Body::from_stream(stream)).await;
    }
    read
}

async fn read_within(
    stream: &mut BodyDataStream,
    limit: usize,
    memory: &Memory,
    mut held: Held,
) -> Result<(Bytes, Held), Problem> {
    let mut read = BytesMut::new();
    while let Some(piece) = stream.next().await {
        let piece = piece.map_err(|_| {
            Problem::new(Kind::Malformed, "the body broke off, or is not well-formed HTTP")
        })?;
        if read.len() + piece.len() > limit {
            return Err(too_large(limit));
        }
        memory.extend(&mut held, read.len() + piece.len()).await?;
        read.extend_from_slice(&piece);
    }
    Ok((read.freeze(), held))
}

/// Reads and drops the rest of a body, up to a bound.
async fn drain(body: Body) {
    let dropping = async {
        let (mut stream, mut dropped) = (body.into_data_stream(), 0);
        while let Some(Ok(piece)) = stream.next().await {
            dropped += piece.len();
            if dropped > READ_OF_REFUSED {
                break;
            }
        }
    };
    // It is refused either way.
    let _ = tokio::time::timeout(REFUSED_WITHIN, dropping).await;
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
}
