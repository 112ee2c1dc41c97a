//! Address of the server. Paths below it are made of whole segments, so that no name can
//! lead anywhere else.

use std::fmt;
use std::net::IpAddr;

use reqwest::Url;
use thiserror::Error;

use crate::domain::sanitize::sanitize;

use super::error::ClientError;

/// The address of a server, with the path that a proxy may have put before it.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerUrl(Url);

/// Errors of a text that is no address of a server.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AddressError {
    /// It can't be read as a URL.
    #[error("{0:?} is not a URL")]
    NotUrl(String),
    /// Another protocol than HTTP.
    #[error("{0:?} is not an http:// or https:// URL")]
    Scheme(String),
    /// A user or password in it.
    #[error("the URL of the server holds a user or a password")]
    Credentials,
    /// A query or fragment.
    #[error("{0:?} has more than a host, a port and a path")]
    Rest(String),
}

impl AddressError {
    /// Advice about what to do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NotUrl(_) | Self::Scheme(_) | Self::Rest(_) => {
                "write it like http://127.0.0.1:8700"
            }
            Self::Credentials => {
                "put a token into GANTRY_TOKEN, or name its file with --token-file"
            }
        };
        Some(hint.to_owned())
    }
}

impl ServerUrl {
    /// Reads an address such as `https://gantry.example/` or
    /// `http://127.0.0.1:8700`.
    ///
    /// # Errors
    /// [`AddressError`] when it is not one.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let text = text.trim();
        let url = Url::parse(text).map_err(|_| AddressError::NotUrl(sanitize(text)))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(AddressError::Scheme(sanitize(text)));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(AddressError::Credentials);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(AddressError::Rest(sanitize(text)));
        }
        Ok(Self(url))
    }

    /// True when what is sent is encrypted.
    pub(super) fn is_encrypted(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// True when it is this machine, which no proxy can reach.
    pub(super) fn is_loopback(&self) -> bool {
        let host = self.0.host_str().unwrap_or_default().trim_matches(['[', ']']);
        host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// The address of a resource. Every segment is one, whatever is in it.
    pub(super) fn resource(
        &self,
        segments: &[&str],
        query: &[(&str, String)],
    ) -> Result<Url, ClientError> {
        // A URL knows no such segment, escaped or not: it would lead elsewhere.
        if let Some(unusable) = segments.iter().find(|it| matches!(**it, "" | "." | "..")) {
            return Err(ClientError::Unnameable((*unusable).to_owned()));
        }
        let mut url = self.0.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(url)
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

impl fmt::Debug for ServerUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn url(text: &str) -> ServerUrl {
        ServerUrl::parse(text).unwrap()
    }

    #[test]
    fn addresses_are_http_hosts_with_a_path_at_most() {
        for text in ["http://127.0.0.1:8700", "https://gantry.example/", "http://h/below/it"] {
            assert_eq!(url(text).to_string(), text.trim_end_matches('/'));
        }
        for text in ["localhost:8700", "ftp://h", "", "/x", "http://h?x", "http://h#x", "unix:/x"] {
            assert!(ServerUrl::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_password_is_refused_and_not_shown() {
        let error = ServerUrl::parse("http://user:secret@h").unwrap_err();
        assert_eq!(error, AddressError::Credentials);
        assert!(!error.to_string().contains("secret"));
    }

    #[test]
    fn a_name_is_one_segment_whatever_is_in_it() {
        let resource = |name| url("http://h/p/").resource(&["scripts", name], &[]);
        assert_eq!(
            resource("a/../b?c#d").unwrap().as_str(),
            "http://h/p/scripts/a%2F..%2Fb%3Fc%23d"
        );
        assert!(resource("..").is_err());
        assert!(resource("").is_err());
    }

    #[test]
    fn this_machine_is_known_by_its_names() {
        for text in ["http://localhost:1", "http://127.0.0.2", "http://[::1]:80"] {
            assert!(url(text).is_loopback(), "{text}");
        }
        assert!(!url("http://localhost.example").is_loopback());
    }

    proptest! {
        #[test]
        fn no_name_leaves_its_place(name in any::<String>()) {
            if let Ok(url) = url("http://h:1/base").resource(&["x", &name, "y"], &[("q", name.clone())]) {
                prop_assert_eq!(url.path_segments().unwrap().count(), 4);
                prop_assert!(url.path().starts_with("/base/x/") && url.path().ends_with("/y"));
                prop_assert_eq!(url.host_str(), Some("h"));
            } else {
                prop_assert!(matches!(name.as_str(), "" | "." | ".."));
            }
        }
    }
}
