//! Address of the engine and connection to it. The settings are arguments; this module
//! reads no environment variable.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use bollard::API_DEFAULT_VERSION;
use tokio::sync::Semaphore;

use super::users::Users;
use super::{Docker, STARTS_IN_FLIGHT};
use crate::domain::run_folder::RunFolders;
use crate::domain::uid_range::UidRange;
use crate::engine::{EngineError, deadline};

/// Docker's default socket (dockerd(8)).
const DEFAULT_SOCKET: &str = "/var/run/docker.sock";

/// Address of the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// A unix socket.
    Unix(PathBuf),
    /// Plain HTTP: anyone who can read or change the traffic controls the machine.
    Http(String),
    /// TLS with client certificates: `ca.pem`, `cert.pem` and `key.pem` in a
    /// folder.
    Tls {
        /// Host and port.
        address: String,
        /// Folder of the certificates.
        certificates: PathBuf,
    },
}

impl Endpoint {
    /// Reads `DOCKER_HOST`, `DOCKER_TLS_VERIFY` and `DOCKER_CERT_PATH` as
    /// Docker's own clients do.
    ///
    /// # Errors
    /// A sentence if the scheme is missing or not supported.
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
                "DOCKER_HOST {host:?} is not supported: use unix://, tcp://, or https:// with \
                 DOCKER_TLS_VERIFY=1; for ssh, forward the socket"
            )),
        }
    }

    /// True if the engine runs on this machine, so that both see the same files.
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
    /// Prepares a connection to the engine at `endpoint`, whose sandboxes get user ids
    /// from `uids`. Nothing is sent yet.
    ///
    /// # Errors
    /// [`EngineError::Unreachable`] if the socket or a certificate does not exist.
    pub fn connect(endpoint: Endpoint, uids: UidRange) -> Result<Self, EngineError> {
        // bollard's own timeout covers the time to an answer's headers. Each call has a
        // shorter deadline, so this is only the last resort.
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
        Ok(Self { client, endpoint, starts, start_within, users, folders: None })
    }

    /// The same engine, whose containers have their own folders among these.
    #[must_use]
    pub fn with_run_folders(self, folders: RunFolders) -> Self {
        Self { folders: Some(Arc::new(folders)), ..self }
    }

    /// Address of this engine.
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
