//! Runs the installer in a build sandbox: a network, a cache volume, the limits
//! below, and nothing else that a script's sandbox has not. The layer comes out
//! on its stdout and is checked before anybody uses it.

use std::time::Duration;

use gantry_init::message::{ArtifactCaps, OutputFile, Request};
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use super::ImageError;
use super::build::{BuildSink, LIMITS, LONGEST, check_layer, limits, run_build};
use super::library::Library;
use super::recipe::{UV_HASHES, UV_VERSION};
use crate::domain::limits::Limits;
use crate::domain::outcome::{Ending, Status, classify};
use crate::domain::run_folder::RunFolder;
use crate::domain::sandbox_spec::{Network, Purpose, SandboxSpec};
use crate::domain::script_type::ScriptType;
use crate::domain::script_type::python::PythonVersion;
use crate::engine::docker::Progress;
use crate::sandbox::{Cancel, LaunchRequest};

const SCRIPT: &str = include_str!("../../images/python/install.py");

/// Largest layer of an environment, in bytes (8 GiB).
const MAX_LAYER: u64 = 8 << 30;

/// Largest result file, in bytes.
const MAX_RESULT: u64 = 4 * 1024 * 1024;

/// Longest time of an installation.
const TIMEOUT: Duration = LONGEST;

/// Folders that the installer may write an environment to.
const ENVIRONMENT_PLACES: &[&str] = &["opt/env"];

/// Paths of uv, and of the empty environment that goes with it.
const UV_PLACES: &[&str] = &["opt/env", "usr/local/bin/uv"];

/// Paths of an interpreter, which comes with both.
const PYTHON_PLACES: &[&str] = &["opt/env", "opt/python", "usr/local/bin/uv"];

/// An environment image whose packages could be a part of another one.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Candidate {
    pub(super) id: String,
    pub(super) packages: Vec<String>,
}

impl Input<'_> {
    fn requirements(&self) -> &str {
        match self {
            Self::Environment { requirements, .. } => requirements,
            Self::Uv { .. } | Self::Python { .. } | Self::Publish { .. } => "",
        }
    }

    /// Publishing only moves files of the cache.
    fn network(&self) -> Network {
        match self {
            Self::Environment { .. } | Self::Uv { .. } | Self::Python { .. } => Network::Egress,
            Self::Publish { .. } => Network::None,
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(tag = "mode", rename_all = "snake_case")]
enum Input<'a> {
    Environment {
        requirements: &'a str,
        lock: Option<&'a str>,
        candidates: &'a [Candidate],
        allow_sources: bool,
        compile: bool,
        build_bytes: u64,
        cache_bytes: u64,
        ca_bundle: Option<&'a str>,
    },
    Uv {
        version: &'a str,
        hashes: &'a [&'a str],
        ca_bundle: Option<&'a str>,
    },
    Python {
        version: &'a str,
        ca_bundle: Option<&'a str>,
    },
    Publish {
        proposal: &'a str,
        cache_bytes: u64,
    },
}

/// The installer's report.
#[derive(Debug, Deserialize)]
pub(super) struct Installed {
    /// Exact versions, and hashes where the index has them; of packages that were
    /// requested with hashes, only those.
    #[serde(default)]
    pub(super) lock: String,
    /// `name==version` of every package.
    #[serde(default)]
    pub(super) packages: Vec<String>,
    /// The candidate that the layer goes on.
    #[serde(default)]
    pub(super) parent: Option<String>,
    /// Packages in the cache that other builds may use once the layer has been checked.
    #[serde(default)]
    pub(super) proposal: Option<String>,
    /// Feature release of the interpreter that environments are made for: `3.13`.
    #[serde(default)]
    pub(super) python: String,
}

/// A checked layer, and the installer's report.
pub(super) struct Built {
    pub(super) layer: NamedTempFile,
    pub(super) installed: Installed,
}

/// Errors of an installer that left no layer.
pub(super) enum NoLayer {
    /// The installer failed, with this output.
    Words(String),
    /// Anything else.
    Other(ImageError),
}

impl From<ImageError> for NoLayer {
    fn from(error: ImageError) -> Self {
        Self::Other(error)
    }
}

/// Fetches uv on `image`.
pub(super) async fn fetch_uv(
    library: &Library,
    image: &str,
    progress: Progress<'_>,
    cancel: &Cancel,
) -> Result<Built, ImageError> {
    let ca_bundle = library.settings.installer.read_ca_bundle().await?;
    let ca_bundle = ca_bundle.as_deref();
    let input = Input::Uv { version: UV_VERSION, hashes: &UV_HASHES, ca_bundle };
    install(library, image, &input, UV_PLACES, progress, cancel).await.map_err(|failure| {
        match failure {
            NoLayer::Words(words) => ImageError::Install {
                requirement: Some("uv".into()),
                words,
                lock: None,
                missing: None,
            },
            NoLayer::Other(error) => error,
        }
    })
}

/// Has uv fetch an interpreter on `image`, which has uv.
pub(super) async fn fetch_python(
    library: &Library,
    image: &str,
    version: PythonVersion,
    progress: Progress<'_>,
    cancel: &Cancel,
) -> Result<Built, NoLayer> {
    let ca_bundle = library.settings.installer.read_ca_bundle().await?;
    let input = Input::Python { version: version.name(), ca_bundle: ca_bundle.as_deref() };
    install(library, image, &input, PYTHON_PLACES, progress, cancel).await
}

/// An installation.
pub(super) struct Wanted<'a> {
    /// The requirements, normalised.
    pub(super) requirements: &'a str,
    /// Exact versions of an earlier resolution.
    pub(super) lock: Option<&'a str>,
    /// Images that may hold some of it.
    pub(super) candidates: &'a [Candidate],
    /// True if packages without a wheel may be built from source.
    pub(super) allow_sources: bool,
}

/// Installs requirements on `image`, or what a candidate lacks of them.
pub(super) async fn install_requirements(
    library: &Library,
    image: &str,
    wanted: &Wanted<'_>,
    progress: Progress<'_>,
    cancel: &Cancel,
) -> Result<Built, NoLayer> {
    let settings = &library.settings.installer;
    let ca_bundle = settings.read_ca_bundle().await?;
    let input = Input::Environment {
        requirements: wanted.requirements,
        lock: wanted.lock,
        candidates: wanted.candidates,
        allow_sources: wanted.allow_sources,
        compile: true,
        build_bytes: settings.disk.build_bytes,
        cache_bytes: settings.disk.cache_bytes,
        ca_bundle: ca_bundle.as_deref(),
    };
    install(library, image, &input, ENVIRONMENT_PLACES, progress, cancel).await
}

/// Lets other builds use the packages of a checked layer. Where that fails, they only have
/// to fetch them again.
pub(super) async fn publish(
    library: &Library,
    image: &str,
    installed: &Installed,
    cancel: &Cancel,
) {
    let Some(proposal) = &installed.proposal else {
        return;
    };
    let cache_bytes = library.settings.installer.disk.cache_bytes;
    let input = Input::Publish { proposal, cache_bytes };
    let run = run_installer(library, image, &input, &|_| {}, cancel).await;
    let failure = match run.map(|(ending, sink)| (classify(&ending), sink)) {
        Ok((outcome, _)) if outcome.status == Status::Completed => return,
        Ok((outcome, sink)) => {
            format!("{}\n{}", outcome.error_message.unwrap_or_default(), sink.words())
        }
        Err(error) => error.to_string(),
    };
    tracing::warn!(failure, "packages of an environment were not kept for other builds");
}

async fn install(
    library: &Library,
    image: &str,
    input: &Input<'_>,
    places: &'static [&'static str],
    progress: Progress<'_>,
    cancel: &Cancel,
) -> Result<Built, NoLayer> {
    let (ending, sink) = run_installer(library, image, input, progress, cancel).await?;
    let words = sink.words();
    let outcome = classify(&ending);
    match (outcome.status, outcome.exit_code) {
        (Status::Completed, _) => {}
        (Status::Failed, Some(1)) => return Err(NoLayer::Words(complaints(&words))),
        (Status::Timeout, _) => {
            return Err(ImageError::InstallTimeout { seconds: TIMEOUT.as_secs() }.into());
        }
        (Status::Cancelled, _) => return Err(ImageError::Cancelled.into()),
        (Status::Failed, _) => {
            let message = outcome.error_message.unwrap_or_default();
            return Err(ImageError::SandboxEnding(format!("{message}\n{words}")).into());
        }
    }
    if sink.layer_bytes >= MAX_LAYER {
        return Err(ImageError::LayerTooLarge { bytes: MAX_LAYER }.into());
    }
    let installed = serde_json::from_slice(&sink.result)
        .map_err(|error| ImageError::SandboxEnding(format!("its result: {error}")))?;
    let layer = sink.layer;
    check_layer(&layer, places).await?;
    Ok(Built { layer, installed })
}

/// Extracts the lines about a failure. Progress is left out: it names packages which
/// nothing is wrong with.
fn complaints(words: &str) -> String {
    let is_progress = |line: &str| line.starts_with("gantry: ") && !line.contains(" failed: ");
    words.lines().filter(|line| !is_progress(line)).collect::<Vec<_>>().join("\n")
}

/// Builds the request that runs the installer. Environments are installed by the
/// interpreter of the Python image's empty environment, which comes with uv; the rest by
/// the system's.
fn request(library: &Library, input: &Input<'_>, stdin_bytes: u64) -> Request {
    let mut env: Vec<_> = [
        ("PATH", "/usr/local/bin:/usr/bin:/bin"),
        ("HOME", "/work"),
        ("LANG", "C.UTF-8"),
        ("PYTHONUNBUFFERED", "1"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    env.extend(library.settings.installer.variables.iter().cloned());
    let has_environment = matches!(input, Input::Environment { .. });
    Request {
        launch: ScriptType::Python.launch("install.py", SCRIPT.as_bytes(), has_environment),
        args: Vec::new(),
        env,
        working_directory: "/work".to_owned(),
        script_bytes: SCRIPT.len() as u64,
        stdin_bytes,
        timeout_ms: u64::try_from(TIMEOUT.as_millis()).unwrap_or(u64::MAX),
        grace_ms: 2000,
        stream_cap: MAX_LAYER,
        output_file: Some(OutputFile { path: "result.json".to_owned(), cap: MAX_RESULT }),
        artifacts: ArtifactCaps { count: 0, bytes: 0 },
        disk: None,
        stay_ms: 0,
    }
}

async fn run_installer<'a>(
    library: &Library,
    image: &str,
    input: &Input<'_>,
    progress: Progress<'a>,
    cancel: &Cancel,
) -> Result<(Ending, BuildSink<'a>), ImageError> {
    library.docker.ensure_build_network().await?;
    // A package that is built from source runs its author's code, which must not
    // reach the wheels that others install from: it gets a volume of its own.
    let allow_sources = matches!(input, Input::Environment { allow_sources: true, .. });
    let cache_volume = (!allow_sources).then(|| library.settings.cache_volume.clone());
    if let Some(volume) = &cache_volume {
        library.docker.ensure_volume(volume, &library.labels("cache")).await?;
    }
    let spec = SandboxSpec {
        image: image.to_owned(),
        limits: limits(library, Limits { output_bytes: MAX_LAYER, ..LIMITS }).await?,
        network: input.network(),
        mounts: Vec::new(),
        owner: None,
        folder: RunFolder::None,
        oci_runtime: library.settings.oci_runtime.clone(),
        exec: false,
        purpose: Purpose::Build { cache_volume },
    };
    let stdin = serde_json::to_vec(input).map_err(|error| ImageError::Io {
        what: "the installer's request".to_owned(),
        source: error.into(),
    })?;
    let secrets = library.settings.installer.secrets(input.requirements());
    let sink = BuildSink::new(library, secrets, progress)?;
    let request = request(library, input, stdin.len() as u64);
    let launch = LaunchRequest { head: &request, script: SCRIPT.as_bytes(), stdin: &stdin };
    run_build(library, spec, &launch, sink, cancel).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::script_type::python::PythonVersion;

    #[test]
    fn the_installer_looks_for_wheels_of_all_versions() {
        let names = PythonVersion::ALL.map(|version| format!("\"{version}\"")).join(", ");
        assert!(SCRIPT.contains(&format!("\nRELEASES = ({names})\n")));
    }

    #[test]
    fn complaints_name_only_what_is_wrong() {
        let words = "gantry: 0 of 2 packages are in the cache\n\
                     gantry: six==1.17.0 is unpacked: 9 files\n\
                     gantry: install failed: evil==1.0 can't be used: it has a link\n\
                     error: no\n";
        let expected = "gantry: install failed: evil==1.0 can't be used: it has a link\nerror: no";
        assert_eq!(complaints(words), expected);
    }
}
