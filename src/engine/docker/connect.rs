//! Where the engine is, and how to talk to it. Nothing is read from the
//! environment here: the settings are handed in.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use bollard::API_DEFAULT_VERSION;
use tokio::sync::Semaphore;

use super::users::Users;
use super::{Docker, STARTS_IN_FLIGHT};
use crate::domain::uid_range::UidRange;
use crate::engine::{EngineError, deadline};

/// Where Docker listens when nothing else is said (dockerd(8)).
const DEFAULT_SOCKET: &str = "/var/run/docker.sock";

/// Where the engine is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// A unix socket.
    Unix(PathBuf),
    /// Plain HTTP; anyone on the way owns the machine.
    Http(String),
    /// TLS with client certificates: `ca.pem`, `cert.pem` and `key.pem` in a
    /// folder.
    Tls {
        /// Host and port.
        address: String,
        /// The folder.
        certificates: PathBuf,
    },
}

impl Endpoint {
    /// Reads `DOCKER_HOST`, `DOCKER_TLS_VERIFY` and `DOCKER_CERT_PATH` as
    /// Docker's own clients do.
    ///
    /// # Errors
    /// A sentence, when the scheme is one that can't be used.
    pub fn parse(host: Option<&str>, certificates: Option<PathBuf>) -> Result<Self, String> {
        let host = match host.map(str::trim) {
            None | Some("") => return Ok(Self::Unix(PathBuf::from(DEFAULT_SOCKET))),
            Some(host) => host,
        };
        let (scheme, address) = host
            .split_once("://")
            .ok_or_else(|| format!("DOCKER_HOST {host:?} has no scheme, like unix:// or tcp://"))?;
        match (scheme, certificates) {
            ("unix", _) => Ok(Self::Unix(PathBuf::from(address))),
            ("tcp" | "https", Some(certificates)) => {
                Ok(Self::Tls { address: address.to_owned(), certificates })
            }
            ("tcp" | "http", None) => Ok(Self::Http(address.to_owned())),
            _ => Err(format!(
                "DOCKER_HOST {host:?} can't be used: unix://, tcp:// and https:// with \
                 DOCKER_TLS_VERIFY=1 can; for ssh, forward the socket"
            )),
        }
    }

    /// True when the engine's files are this machine's files.
    #[must_use]
    pub fn is_local(&self) -> bool {
        matches!(self, Self::Unix(_))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(formatter, "unix://{}", path.display()),
            Self::Http(address) | Self::Tls { address, .. } => write!(formatter, "tcp://{address}"),
        }
    }
}

impl Docker {
    /// A connection to the engine at `endpoint`, whose sandboxes have users out of
    /// `uids`. Nothing is sent yet.
    ///
    /// # Errors
    /// [`EngineError::Unreachable`] when there is no such socket or certificate.
    pub fn connect(endpoint: Endpoint, uids: UidRange) -> Result<Self, EngineError> {
        // bollard's own timeout runs until an answer's headers; each call has a
        // tighter one of ours, so this is only the last resort.
        let timeout = deadline::IMAGE_BUILD.as_secs();
        let client = match &endpoint {
            Endpoint::Unix(path) => bollard::Docker::connect_with_unix(
                &path.to_string_lossy(),
                timeout,
                API_DEFAULT_VERSION,
            ),
            Endpoint::Http(address) => {
                bollard::Docker::connect_with_http(address, timeout, API_DEFAULT_VERSION)
            }
            Endpoint::Tls { address, certificates } => bollard::Docker::connect_with_ssl(
                address,
                &certificates.join("key.pem"),
                &certificates.join("cert.pem"),
                &certificates.join("ca.pem"),
                timeout,
                API_DEFAULT_VERSION,
            ),
        }
        .map_err(|error| EngineError::Unreachable {
            endpoint: endpoint.to_string(),
            reason: error.to_string(),
        })?;
        let starts = Arc::new(Semaphore::new(STARTS_IN_FLIGHT));
        let start_within = deadline::START;
        let (endpoint, users) = (Arc::new(endpoint), Arc::new(Users::new(uids)));
        Ok(Self { client, endpoint, starts, start_within, users })
    }

    /// Where this engine is.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_host_is_read_as_docker_reads_it() {
        let parse = |host| Endpoint::parse(host, None);
        assert_eq!(parse(None), Ok(Endpoint::Unix(DEFAULT_SOCKET.into())));
        assert_eq!(parse(Some("")), Ok(Endpoint::Unix(DEFAULT_SOCKET.into())));
        assert_eq!(parse(Some("unix:///run/d.sock")), Ok(Endpoint::Unix("/run/d.sock".into())));
        assert_eq!(parse(Some("tcp://h:2375")), Ok(Endpoint::Http("h:2375".into())));
        let tls = Endpoint::parse(Some("tcp://h:2376"), Some("/certs".into()));
        assert!(matches!(tls, Ok(Endpoint::Tls { .. })));
    }

    #[test]
    fn what_can_not_be_used_is_said() {
        for host in ["ssh://me@host", "npipe:////./pipe/docker", "host:2375", "https://h:2376"] {
            let error = Endpoint::parse(Some(host), None).unwrap_err();
            assert!(error.contains(host), "{error}");
        }
    }
}
