//! Parsers of the headers that control an execution.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue};

use super::problem::{Kind, Problem};
use crate::domain::output_log::Position;

/// Longest wait for an answer.
pub(crate) const MAX_WAIT: Duration = Duration::from_secs(600);

/// Time that the caller prefers to wait: the first `Prefer: wait=SECONDS` (RFC 7240). Unknown
/// preferences are ignored.
pub(crate) fn wait_preferred(headers: &HeaderMap) -> Result<Option<Duration>, Problem> {
    for value in headers.get_all("prefer") {
        for preference in text("Prefer", value)?.split(',') {
            let preference = preference.split(';').next().unwrap_or_default();
            let Some((name, value)) = preference.split_once('=') else { continue };
            if name.trim().eq_ignore_ascii_case("wait")
                && let Ok(seconds) = value.trim().trim_matches('"').parse()
            {
                return Ok(Some(Duration::from_secs(seconds).min(MAX_WAIT)));
            }
        }
    }
    Ok(None)
}

/// Idempotency key of the request.
pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let name = "Idempotency-Key";
    let mut values = headers.get_all("idempotency-key").iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Problem::parameter(name, "Idempotency-Key is given more than once"));
    }
    text(name, value).map(|key| Some(key.to_owned()))
}

/// Position of a follower, from the id of its last event.
pub(crate) fn last_event_id(headers: &HeaderMap) -> Result<Option<Position>, Problem> {
    let Some(value) = headers.get("last-event-id") else { return Ok(None) };
    let text = text("Last-Event-ID", value)?;
    // Browsers send an empty value before the first event.
    if text.is_empty() {
        return Ok(None);
    }
    position("Last-Event-ID", text).map(Some)
}

/// Parses a position in an event's id: bytes of stdout, `-`, bytes of stderr.
pub(crate) fn position(name: &str, text: &str) -> Result<Position, Problem> {
    let number = |text: &str| {
        // Numbers with a sign are never in our ids.
        text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let read = || {
        let (stdout, stderr) = text.split_once('-')?;
        Some(Position { stdout: number(stdout)?, stderr: number(stderr)? })
    };
    let refused = || Problem::parameter(name, "it is not the id of an event, such as 120-0");
    read().ok_or_else(refused)
}

fn text<'a>(name: &str, value: &'a HeaderValue) -> Result<&'a str, Problem> {
    value.to_str().map_err(|_| {
        Problem::new(Kind::Malformed, format!("{name} has other than printable ASCII characters"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(values: &[&'static str]) -> Option<u64> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append("prefer", HeaderValue::from_static(value));
        }
        wait_preferred(&headers).unwrap().map(|it| it.as_secs())
    }

    #[test]
    fn a_wait_is_read_as_it_is_preferred() {
        assert_eq!(wait(&["wait=5"]), Some(5));
        assert_eq!(wait(&["respond-async, Wait = \"7\"; x=1"]), Some(7));
        assert_eq!(wait(&["return=minimal", "wait=100000"]), Some(600));
        assert_eq!(wait(&["wait=0"]), Some(0));
        for nothing in ["wait", "wait=", "wait=-1", "wait=x", "waits=5", ""] {
            assert_eq!(wait(&[nothing]), None, "{nothing}");
        }
    }

    #[test]
    fn a_position_is_two_numbers() {
        let read = position("Last-Event-ID", "120-7").unwrap();
        assert_eq!((read.stdout, read.stderr), (120, 7));
        for text in ["", "1", "1-", "-1", "1--1", "a-b", "+1-+1", "99999999999999999999-0"] {
            assert!(position("Last-Event-ID", text).is_err(), "{text}");
        }
    }

    #[test]
    fn headers_that_are_no_text_are_malformed() {
        let mut headers = HeaderMap::new();
        headers.insert("idempotency-key", HeaderValue::from_bytes(b"a\xff").unwrap());
        assert_eq!(idempotency_key(&headers).unwrap_err().status().as_u16(), 400);
    }
}
