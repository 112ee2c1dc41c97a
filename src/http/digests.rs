//! Digests in headers: `Repr-Digest` (RFC 9530), a dictionary of structured fields (RFC 8941).

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::problem::Problem;
use crate::domain::file::FileDigest;

/// Digest of a whole content, whichever part of it is sent.
pub(crate) const REPR_DIGEST: HeaderName = HeaderName::from_static("repr-digest");

/// The only algorithm that is read; others are ignored (RFC 9530, 2).
const SHA_256: &str = "sha-256";

/// Digest of a file as the value of the header.
pub(crate) fn repr_digest(digest: FileDigest) -> HeaderValue {
    let text = format!("{SHA_256}=:{}:", STANDARD.encode(digest.bytes()));
    // Base64 and these signs are always a value.
    HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// SHA-256 that a request says of its content; `None` if it says none.
///
/// # Errors
/// A [`Problem`] if it says one that is none, or two.
pub(crate) fn said_digest(headers: &HeaderMap) -> Result<Option<FileDigest>, Problem> {
    let refused = |why: &str| Problem::parameter("Repr-Digest", why);
    let mut found = None;
    for value in headers.get_all(REPR_DIGEST) {
        let text = value.to_str().map_err(|_| refused("it is not printable ASCII"))?;
        for member in text.split(',').map(str::trim) {
            let Some((key, value)) = member.split_once('=') else { continue };
            if !key.trim().eq_ignore_ascii_case(SHA_256) {
                continue;
            }
            let digest = read(value.trim())
                .ok_or_else(|| refused("sha-256 is not 32 bytes in base64 between colons"))?;
            if found.is_some_and(|it| it != digest) {
                return Err(refused("it has two different values for sha-256"));
            }
            found = Some(digest);
        }
    }
    Ok(found)
}

/// Reads a byte sequence: base64 between colons (RFC 8941, 3.3.5).
fn read(text: &str) -> Option<FileDigest> {
    let encoded = text.strip_prefix(':')?.split_once(':')?.0;
    FileDigest::from_bytes(&STANDARD.decode(encoded).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn said(values: &[&str]) -> Result<Option<FileDigest>, u16> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(REPR_DIGEST, HeaderValue::from_str(value).unwrap());
        }
        said_digest(&headers).map_err(|problem| problem.status().as_u16())
    }

    #[test]
    fn a_digest_is_read_as_it_is_written() {
        let digest = FileDigest::of(b"content");
        let value = repr_digest(digest);
        let value = value.to_str().unwrap();
        assert_eq!(said(&[value]), Ok(Some(digest)));
        assert_eq!(said(&[&format!("sha-512=:AAAA:, {value};a=1")]), Ok(Some(digest)));
        assert_eq!(said(&[value, value]), Ok(Some(digest)));
    }

    #[test]
    fn other_algorithms_are_ignored_and_what_is_wrong_is_refused() {
        for ignored in ["", "sha-512=:AAAA:", "md5=:x:", "sha-256", "sha-2560=:AAAA:"] {
            assert_eq!(said(&[ignored]), Ok(None), "{ignored}");
        }
        for wrong in ["sha-256=", "sha-256=AAAA", "sha-256=:AAAA:", "sha-256=:!:", "SHA-256=::"] {
            assert_eq!(said(&[wrong]), Err(422), "{wrong}");
        }
        let (one, other) = (repr_digest(FileDigest::of(b"a")), repr_digest(FileDigest::of(b"b")));
        assert_eq!(said(&[one.to_str().unwrap(), other.to_str().unwrap()]), Err(422));
    }

    proptest! {
        #[test]
        fn any_header_is_read_or_refused(text in "[ -~]{0,80}") {
            let _ = said(&[&text]);
            let _ = said(&[&format!("sha-256=:{text}:")]);
        }
    }
}
