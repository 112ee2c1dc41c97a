//! Errors of images.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use super::wheels::MissingWheel;
use crate::bundles::BundleError;
use crate::domain::script_type::python::PythonVersion;
use crate::engine::EngineError;
use crate::sandbox::SandboxError;

const WARM_UP_HINT: &str = "the command runs as an execution does: in /work, as nobody, with no network, no input and \
     none of the script's own variables; its words may name the script's file, and programs \
     of the environment";

/// Source of a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LockSource {
    /// A file in the data folder.
    File(PathBuf),
    /// The caller of the request for the environment.
    Caller,
}

/// Errors that prevent an image.
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
        /// Error of the registry.
        registry: String,
        /// Error of mmdebstrap.
        bootstrap: String,
    },
    /// PID 1 would not run there.
    #[error("the engine runs on {engine}, and this gantry was built for {ours}")]
    Architecture {
        /// Architecture of the engine.
        engine: String,
        /// Architecture that PID 1 was built for.
        ours: String,
    },
    /// A Dockerfile's build failed; the builder's output.
    #[error("the {name} image could not be built: {words}")]
    Build {
        /// Name of the image's script type.
        name: &'static str,
        /// The end of the build's output.
        words: String,
    },
    /// No interpreter of the requested version.
    #[error("there is no Python {version} to be had\n  {}", missed.join("\n  "))]
    NoPython {
        /// The version.
        version: PythonVersion,
        /// A line for each place that was looked in.
        missed: Vec<String>,
    },
    /// The warm-up ended with an error, or left what can't be kept.
    #[error("the warm-up failed: {reason}{}", indented(words))]
    WarmUp {
        /// The end of it.
        reason: String,
        /// The command's own output.
        words: String,
    },
    /// The installer failed.
    #[error("{}", install_message(requirement.as_deref(), missing.as_deref(), words))]
    Install {
        /// The requirement that it is about, when that is known.
        requirement: Option<String>,
        /// The installer's own output.
        words: String,
        /// Source of the lock that the installer used, when nothing was resolved anew.
        lock: Option<LockSource>,
        /// The package without a wheel for this Python, when that is the reason.
        missing: Option<Box<MissingWheel>>,
    },
    /// apt failed.
    #[error("the system packages can't be installed\n{}", words.trim())]
    Packages {
        /// apt's own output.
        words: String,
    },
    /// The installation did not end in time.
    #[error("the installation did not finish within {seconds} s")]
    InstallTimeout {
        /// Its timeout, in seconds.
        seconds: u64,
    },
    /// The build sandbox failed.
    #[error("the build sandbox failed: {0}")]
    Sandbox(#[from] SandboxError),
    /// The build sandbox ended in a way that it should not.
    #[error("the build sandbox failed: {0}")]
    SandboxEnding(String),
    /// The build left a layer with content that images may not get.
    #[error("the build left a layer that is not accepted: {0}")]
    Layer(String),
    /// It left more than an image may get.
    #[error("the requirements can't be installed\nthe environment has more than {} MiB", bytes >> 20)]
    LayerTooLarge {
        /// Its bound.
        bytes: u64,
    },
    /// The files of a bundle could not be read.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// One of Gantry's files could not be read or written.
    #[error("{what}: {source}")]
    Io {
        /// The file or command.
        what: String,
        /// The cause.
        source: io::Error,
    },
    /// The build was cancelled.
    #[error("cancelled")]
    Cancelled,
}

fn install_message(
    requirement: Option<&str>,
    missing: Option<&MissingWheel>,
    words: &str,
) -> String {
    let words = words.trim();
    if let Some(missing) = missing {
        return format!("{missing}\n{words}");
    }
    match requirement {
        Some(requirement) => format!("can't install {requirement}\n{words}"),
        None => format!("the requirements can't be installed\n{words}"),
    }
}

/// Indents a command's output below the line with its result.
fn indented(words: &str) -> String {
    words.trim().lines().map(|line| format!("\n  {line}")).collect()
}

impl ImageError {
    /// Advice about what to do.
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
            Self::NoPython { version, .. } => Some(format!(
                "choose another version, or say where Python {version} is: GANTRY_BASE_IMAGE (an \
                 image that has it), or UV_PYTHON_INSTALL_MIRROR (a mirror of \
                 python-build-standalone)"
            )),
            Self::WarmUp { .. } => Some(WARM_UP_HINT.to_owned()),
            Self::Install { missing: Some(missing), .. } => missing.usable().map(|version| {
                format!(
                    "set the script's `python` to \"{version}\", choose another version of the \
                     package, or allow `sources`"
                )
            }),
            Self::Install { lock: Some(LockSource::File(lock)), .. } => Some(format!(
                "the versions are those of the first build; to choose them anew, remove {}",
                lock.display()
            )),
            Self::Install { lock: Some(LockSource::Caller), .. } => Some(
                "the versions are those of the first build; to choose them anew, change the \
                 requirements"
                    .to_owned(),
            ),
            Self::Install { words, .. } => install_hint(words).map(str::to_owned),
            Self::Packages { words } => packages_hint(words).map(str::to_owned),
            Self::Architecture { .. } => {
                Some("use a gantry that was built for the engine's machine".to_owned())
            }
            Self::InstallTimeout { .. } => {
                Some("can the engine's containers reach the package index?".to_owned())
            }
            Self::LayerTooLarge { .. } => Some("require less".to_owned()),
            Self::Bundle(error) => error.hint().map(str::to_owned),
            Self::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                Some("free some disk space; `gantry images prune` removes old images".to_owned())
            }
            _ => None,
        }
    }

    /// True if the engine as a whole is at fault, and not the request.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Engine(error) | Self::Sandbox(SandboxError::Engine(error)) => error.is_outage(),
            _ => false,
        }
    }

    /// Text for callers of a server: nothing of the server's own files.
    #[must_use]
    pub fn public_message(&self) -> String {
        match self {
            Self::Engine(error) | Self::Sandbox(SandboxError::Engine(error)) => {
                error.public_message()
            }
            Self::Bundle(BundleError::Io { .. })
            | Self::Io { .. }
            | Self::Layer(_)
            | Self::Sandbox(_) => {
                "the environment could not be built; the server's log says why".to_owned()
            }
            Self::Install { lock: Some(_), .. } => format!(
                "{self}\nhint: the versions are those of the first build; to choose them anew, \
                 change the requirements"
            ),
            _ => match self.hint() {
                Some(hint) => format!("{self}\nhint: {hint}"),
                None => self.to_string(),
            },
        }
    }

    pub(super) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}

/// Advice for an error of apt, if there is any.
fn packages_hint(words: &str) -> Option<&'static str> {
    let says = |part: &str| words.contains(part);
    if says("Unable to locate package") || says("has no installation candidate") {
        return Some(
            "is it the name of a package, and not of what is in one? Those of Debian are listed \
             at https://packages.debian.org",
        );
    }
    if says("E: Version ") {
        return Some("archives keep few versions of a package: name it without one");
    }
    if says("Packages need to be removed") {
        return Some("what the runtime itself consists of can't be replaced by other packages");
    }
    if says("resolving") || says("connect") || says("Failed to fetch") {
        return Some(
            "can the engine's containers reach Debian's archive? http_proxy is passed on to builds",
        );
    }
    None
}

/// Advice for an error of uv, if there is any.
fn install_hint(words: &str) -> Option<&'static str> {
    let says = |part: &str| words.contains(part);
    if says("Failed to build") || says("fatal error:") {
        return Some(
            "a package could not be built from source: does it need a library's headers? Name \
             their Debian package (lib…-dev) in `system_packages`",
        );
    }
    if says("no usable wheels") || says("no wheels") || says("building from source is disabled") {
        return Some(
            "only wheels are installed by default; choose a version that has one for this \
             platform, or allow `sources`: such packages are built, which runs their code",
        );
    }
    if says("MiB of disk") {
        return Some("require less, or let builds take more: GANTRY_BUILD_DISK");
    }
    if says("can't be used: ") {
        return Some(
            "the package's wheel is broken, or made to harm others: choose another version",
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
