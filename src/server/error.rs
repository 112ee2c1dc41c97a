//! Errors of starting the server.

use std::net::SocketAddr;
use std::path::PathBuf;

use thiserror::Error;

use crate::access::AccessError;
use crate::services::ServicesError;
use crate::store::StoreError;

/// Reason that the server did not start.
#[derive(Debug, Error)]
pub enum ServerError {
    /// A setting is invalid.
    #[error("{0}")]
    Setting(String),
    /// The listen address is unsafe.
    #[error("GANTRY_LISTEN: {0}")]
    Listen(String),
    /// The address can't be bound.
    #[error("can't listen on {address}: {source}")]
    Bind {
        /// Address.
        address: SocketAddr,
        /// Cause.
        source: std::io::Error,
    },
    /// The services can't be built.
    #[error(transparent)]
    Services(#[from] ServicesError),
    /// The database failed.
    #[error("{}", with_cause(.0))]
    Store(#[from] StoreError),
    /// The first token can't be created.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The data folder can't be used.
    #[error("the data folder {} can't be used: {source}", folder.display())]
    DataDir {
        /// Path of the folder.
        folder: PathBuf,
        /// Cause.
        source: std::io::Error,
    },
    /// Another server uses the data folder.
    #[error("another gantry serve uses the data folder {}", .0.display())]
    InUse(PathBuf),
    /// The folder of files can't be used.
    #[error("the folder of files {} can't be used: {source}", folder.display())]
    Files {
        /// Path of the folder.
        folder: PathBuf,
        /// Cause.
        source: std::io::Error,
    },
    /// Another server uses the folder of files.
    #[error("another gantry serve uses the folder of files {}", .0.display())]
    FilesInUse(PathBuf),
    /// Another server uses the node's name.
    #[error("another gantry serve is node {0:?} of this database")]
    NodeInUse(String),
}

impl ServerError {
    /// Advice for the operator.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Listen(_) => {
                "listen on 127.0.0.1 behind a proxy with TLS, or allow it with --allow-plain-http"
            }
            Self::Bind { source, .. } if source.kind() == std::io::ErrorKind::AddrInUse => {
                "another program has this port: choose one with --listen"
            }
            Self::DataDir { .. } => "choose another with GANTRY_DATA_DIR",
            Self::InUse(_) => "stop it, or choose another folder with GANTRY_DATA_DIR",
            Self::Files { .. } => "choose another with GANTRY_FILES",
            Self::FilesInUse(_) => "stop it, or choose another folder with GANTRY_FILES",
            Self::NodeInUse(_) => "give each server a name of its own with GANTRY_NODE",
            Self::Services(error) => return error.hint(),
            Self::Store(error) => return error.hint().map(str::to_owned),
            Self::Access(error) => return error.hint().map(str::to_owned),
            Self::Setting(_) | Self::Bind { .. } => return None,
        };
        Some(hint.to_owned())
    }
}

/// Text with the cause, which the operator may see and a caller may not.
fn with_cause(error: &StoreError) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
