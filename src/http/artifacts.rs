//! Artifacts of executions. Their content is hostile: they are sent as attachments that no browser
//! renders or runs.

use std::fmt::Write as _;

use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};

use super::auth::Identity;
use super::executions::find;
use super::path::{ExecutionId, PathText};
use super::problem::{Problem, chain};
use super::state::AppState;
use crate::domain::execution::Artifact;

/// Image types that a browser shows without running them, by their first bytes.
const IMAGES: [(&[u8], &str); 4] = [
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
];

/// Sends an artifact, found by its name, which may contain `/`, or else by its index in the list.
pub(crate) async fn send_artifact(
    State(state): State<AppState>,
    identity: Identity,
    ExecutionId(id): ExecutionId,
    path: PathText,
) -> Result<Response, Problem> {
    find(&state, &identity, id).await?;
    let artifacts = state.store.artifacts(id).await?;
    let (position, artifact) =
        chosen(&artifacts, path.get("name")).ok_or_else(|| Problem::not_found("artifact"))?;
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

fn chosen<'a>(artifacts: &'a [Artifact], name: &str) -> Option<(usize, &'a Artifact)> {
    let is_taken = |artifact: &&Artifact| artifact.skipped.is_none();
    let named = artifacts.iter().position(|artifact| artifact.name == name);
    let position = named.or_else(|| name.parse().ok())?;
    artifacts.get(position).filter(is_taken).map(|artifact| (position, artifact))
}

fn media_type(content: &[u8]) -> &'static str {
    let is_webp = content.starts_with(b"RIFF") && content.get(8..12) == Some(b"WEBP");
    if is_webp {
        return "image/webp";
    }
    let image = IMAGES.iter().find(|(magic, _)| content.starts_with(magic));
    image.map_or("application/octet-stream", |(_, media_type)| media_type)
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

    fn artifact(name: &str) -> Artifact {
        Artifact { name: name.to_owned(), bytes: 1, skipped: None }
    }

    #[test]
    fn a_name_is_harmless_in_a_header() {
        let header = |name| disposition(name).to_str().unwrap().to_owned();
        assert_eq!(header("a/b c.txt"), "attachment; filename*=UTF-8''b%20c.txt");
        assert_eq!(header("\"\r\nä"), "attachment; filename*=UTF-8''%22%0D%0A%C3%A4");
    }

    #[test]
    fn only_images_are_more_than_bytes() {
        assert_eq!(media_type(b"\x89PNG\r\n\x1a\nx"), "image/png");
        assert_eq!(media_type(b"RIFF\0\0\0\0WEBPVP8 "), "image/webp");
        for other in [b"<svg xmlns=".as_slice(), b"<html>", b"", b"%PDF-", b"RIFF"] {
            assert_eq!(media_type(other), "application/octet-stream");
        }
    }

    #[test]
    fn a_name_counts_before_an_index() {
        let mut artifacts = vec![artifact("1"), artifact("b"), artifact("c")];
        artifacts[2].skipped = Some("too large".to_owned());
        assert_eq!(chosen(&artifacts, "1").unwrap().0, 0);
        assert_eq!(chosen(&artifacts, "0").unwrap().0, 0);
        assert_eq!(chosen(&artifacts, "b").unwrap().0, 1);
        for nothing in ["c", "2", "3", "-1", "", "../b"] {
            assert!(chosen(&artifacts, nothing).is_none(), "{nothing}");
        }
    }
}
