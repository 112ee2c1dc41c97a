//! Words for errors below HTTP: reqwest's own say little and repeat the URL.

use std::error::Error;
use std::io;

use super::error::ClientError;

/// Describes a request that got no answer, or an answer that was cut.
pub(super) fn explain(url: String, error: &reqwest::Error) -> ClientError {
    if let Some(tls) = causes(error).find_map(as_tls) {
        let is_plain = matches!(tls, rustls::Error::InvalidMessage(_));
        return ClientError::Tls { url, reason: tls.to_string(), is_plain };
    }
    let kind =
        causes(error).find_map(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind);
    match kind {
        Some(io::ErrorKind::ConnectionRefused) => ClientError::NoServer(url),
        _ if error.is_connect() && error.is_timeout() => {
            let reason = "nobody answered in time".to_owned();
            ClientError::Unreachable { url, reason }
        }
        _ if error.is_connect() => ClientError::Unreachable { url, reason: root(error) },
        _ => ClientError::Cut { url, reason: root(error) },
    }
}

fn causes<'e>(error: &'e reqwest::Error) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    let first: &(dyn Error + 'static) = error;
    std::iter::successors(Some(first), |error| (*error).source())
}

/// An error of TLS, which travels inside those of I/O and is not their source.
fn as_tls<'e>(cause: &'e (dyn Error + 'static)) -> Option<&'e rustls::Error> {
    if let Some(tls) = cause.downcast_ref() {
        return Some(tls);
    }
    as_tls(cause.downcast_ref::<io::Error>()?.get_ref()?)
}

/// The message of the first cause of all.
fn root(error: &reqwest::Error) -> String {
    causes(error).last().map(ToString::to_string).unwrap_or_default()
}
