//! Addresses of pages: their queries, and redirects to them.

use axum::http::header::LOCATION;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

/// Longest address to return to after a sign-in, in bytes as encoded in a form (4 KiB).
pub(super) const MAX_NEXT_BYTES: usize = 4 * 1024;

/// Redirects a browser to another page.
pub(super) fn redirect(address: &str) -> Response {
    let address = HeaderValue::from_str(address).unwrap_or(HeaderValue::from_static("/"));
    (StatusCode::SEE_OTHER, [(LOCATION, address)]).into_response()
}

/// Encodes a text as a part of an address.
pub(super) fn encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// Builds a query from the non-empty pairs.
pub(super) fn query(pairs: &[(&str, &str)]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in pairs.iter().filter(|(_, value)| !value.is_empty()) {
        query.append_pair(name, value);
    }
    let query = query.finish();
    if query.is_empty() { query } else { format!("?{query}") }
}

/// Restricts an address to pages of this server.
pub(super) fn local(address: &str) -> &str {
    let is_local = address.starts_with('/')
        && !address.starts_with("//")
        && !address.contains('\\')
        && !address.chars().any(char::is_control);
    if is_local { address } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_of_this_server_are_gone_to() {
        for address in ["/", "/scripts?search=a", "/executions/1"] {
            assert_eq!(local(address), address);
        }
        for address in ["", "//evil", "/\\evil", "https://evil", "javascript:1", "/a\nb"] {
            assert_eq!(local(address), "/", "{address:?}");
        }
    }
}
