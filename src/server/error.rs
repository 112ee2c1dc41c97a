//! Why there is no server.

use std::net::SocketAddr;
use std::path::PathBuf;

use thiserror::Error;

use crate::access::AccessError;
use crate::services::ServicesError;
use crate::store::StoreError;

/// Why there is no server.
#[derive(Debug, Error)]
pub enum ServerError {
    /// A setting that can't be used.
    #[error("{0}")]
    Setting(String),
    /// The address is not a safe one.
    #[error("GANTRY_LISTEN: {0}")]
    Listen(String),
    /// The address can't be had.
    #[error("can't listen on {address}: {source}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// Engine, folder or settings.
    #[error(transparent)]
    Services(#[from] ServicesError),
    /// The database.
    #[error("{}", with_cause(.0))]
    Store(#[from] StoreError),
    /// The first token.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The data folder can't be used.
    #[error("the data folder {} can't be used: {source}", folder.display())]
    DataDir {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Another server has it.
    #[error("another gantry serve uses the data folder {}", .0.display())]
    InUse(PathBuf),
    /// Another server has its name.
    #[error("another gantry serve is node {0:?} of this database")]
    NodeInUse(String),
}

impl ServerError {
    /// What to do about it.
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
            Self::NodeInUse(_) => "give each server a name of its own with GANTRY_NODE",
            Self::Services(error) => return error.hint(),
            Self::Store(error) => return error.hint().map(str::to_owned),
            Self::Access(error) => return error.hint().map(str::to_owned),
            Self::Setting(_) | Self::Bind { .. } => return None,
        };
        Some(hint.to_owned())
    }
}

/// An operator who starts a server may see what a caller of it may not.
fn with_cause(error: &StoreError) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
