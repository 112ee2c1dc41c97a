//! Why there is no image.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::engine::EngineError;
use crate::sandbox::SandboxError;

/// Why there is no image.
#[derive(Debug, Error)]
pub enum ImageError {
    /// The engine failed, or refused.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Neither a registry nor mmdebstrap gave a base.
    #[error(
        "there is nothing to build the base image from\n  registry: {registry}\n  mmdebstrap: {bootstrap}"
    )]
    NoBase {
        /// Why not from a registry.
        registry: String,
        /// Why not with mmdebstrap.
        bootstrap: String,
    },
    /// PID 1 would not run there.
    #[error("the engine runs on {engine}, and this gantry was built for {ours}")]
    Architecture {
        /// What the engine says.
        engine: String,
        /// What PID 1 was built for.
        ours: String,
    },
    /// A Dockerfile's build failed; the builder's words.
    #[error("the {runtime} image could not be built: {words}")]
    Build {
        /// Which image.
        runtime: &'static str,
        /// The end of the build's output.
        words: String,
    },
    /// The installer said no.
    #[error("{}", install_message(requirement.as_deref(), words))]
    Install {
        /// The requirement that it is about, when that can be told.
        requirement: Option<String>,
        /// The installer's own words.
        words: String,
        /// The file with what it was told to install, when that was not resolved
        /// anew.
        lock: Option<PathBuf>,
    },
    /// The installation did not end in time.
    #[error("the installation did not finish within {seconds} s")]
    InstallTimeout {
        /// How long it was given.
        seconds: u64,
    },
    /// The build sandbox failed.
    #[error("the build sandbox failed: {0}")]
    Sandbox(#[from] SandboxError),
    /// The build sandbox ended in a way that it should not.
    #[error("the build sandbox failed: {0}")]
    SandboxEnding(String),
    /// What the build left is not what an image may get.
    #[error("the build left a layer that is not accepted: {0}")]
    Layer(String),
    /// A file of ours could not be read or written.
    #[error("{what}: {source}")]
    Io {
        /// Which.
        what: String,
        /// Why.
        source: io::Error,
    },
    /// The build was cancelled.
    #[error("cancelled")]
    Cancelled,
}

fn install_message(requirement: Option<&str>, words: &str) -> String {
    let words = words.trim();
    match requirement {
        Some(requirement) => format!("can't install {requirement}\n{words}"),
        None => format!("the requirements can't be installed\n{words}"),
    }
}

impl ImageError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Engine(error) => error.hint().map(str::to_owned),
            Self::Sandbox(error) => error.hint().map(str::to_owned),
            Self::NoBase { .. } => Some(
                "install mmdebstrap (`apt-get install mmdebstrap`), or name an image that can be \
                 pulled with GANTRY_BASE_IMAGE"
                    .to_owned(),
            ),
            Self::Install { lock: Some(lock), .. } => Some(format!(
                "the versions are those of the first build; to choose them anew, remove {}",
                lock.display()
            )),
            Self::Install { words, .. } => install_hint(words).map(str::to_owned),
            Self::Architecture { .. } => {
                Some("use a gantry that was built for the engine's machine".to_owned())
            }
            Self::InstallTimeout { .. } => {
                Some("can the engine's containers reach the package index?".to_owned())
            }
            Self::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                Some("free some disk space; `gantry images prune` removes old images".to_owned())
            }
            _ => None,
        }
    }

    pub(super) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}

/// uv's words for what can be told a way out of.
fn install_hint(words: &str) -> Option<&'static str> {
    let says = |part: &str| words.contains(part);
    if says("no usable wheels") || says("no wheels") || says("building from source is disabled") {
        return Some(
            "only wheels are installed by default; choose a version that has one for this \
             platform, or let GANTRY_REQUIREMENTS_ALLOW=sources build packages from source",
        );
    }
    if says("certificate") || says("UnknownIssuer") {
        return Some("point SSL_CERT_FILE to the CA bundle that the package index is signed by");
    }
    if says("dns error") || says("tcp connect error") || says("error sending request") {
        return Some(
            "can the engine's containers reach the package index? PIP_INDEX_URL and HTTPS_PROXY \
             are passed on to builds",
        );
    }
    None
}
