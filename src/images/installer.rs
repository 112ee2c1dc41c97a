//! Runs the installer in a build sandbox: a network, a cache volume, the limits
//! below, and nothing else that a script's sandbox has not. The layer comes out
//! on its stdout and is checked before anybody uses it.

use std::fs::File;
use std::io::{self, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use gantry_init::message::{ArtifactBegin, ArtifactCaps, OutputFile, Request};
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use super::library::Library;
use super::recipe::{UV_HASHES, UV_VERSION};
use super::secrets::Secrets;
use super::{ImageError, layer};
use crate::domain::limits::Limits;
use crate::domain::outcome::{Ending, Status, classify};
use crate::domain::quantities::NANO_CPUS_PER_CPU;
use crate::domain::requirements::RequirementsPolicy;
use crate::domain::runtime::Runtime;
use crate::domain::sandbox_spec::{Network, Purpose, SandboxSpec};
use crate::engine::docker::Progress;
use crate::engine::{LABEL_EXECUTION, LABEL_PROCESS, NewContainer};
use crate::private_files::create_folder;
use crate::sandbox::{Cancel, Order, Sandbox, Sink};

const SCRIPT: &str = include_str!("../../images/python/install.py");

/// What a build may use, on a machine that has as many CPUs. Its scratch space is
/// memory; packages go to the volume.
const LIMITS: Limits = Limits {
    nano_cpus: 2 * NANO_CPUS_PER_CPU,
    memory_bytes: 2 << 30,
    pids: 512,
    scratch_bytes: 512 << 20,
    output_bytes: MAX_LAYER,
};

/// Largest layer of an environment, in bytes (8 GiB).
const MAX_LAYER: u64 = 8 << 30;

/// Most of the installer's words that are kept, in bytes.
const MAX_WORDS: usize = 256 * 1024;

/// Largest result file, in bytes.
const MAX_RESULT: u64 = 4 * 1024 * 1024;

/// How long an installation may take.
const TIMEOUT: Duration = Duration::from_secs(15 * 60);

/// Where the installer may write.
const ENVIRONMENT_PLACE: &str = "opt/env";
const UV_PLACE: &str = "usr/local/bin/uv";

/// What installers get from the server's environment.
#[derive(Debug, Clone, Default)]
pub struct InstallerSettings {
    /// Variables for pip and uv: indexes and proxies. May hold credentials.
    pub variables: Vec<(String, String)>,
    /// A file with the certificates that indexes are signed by (PEM). It is read
    /// when something is installed.
    pub ca_bundle: Option<PathBuf>,
    /// What requirements may be.
    pub policy: RequirementsPolicy,
    /// Disk that they may take, in bytes.
    pub disk: BuildDisk,
}

/// Bytes on the disk that installations may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BuildDisk {
    /// Of one build: what it fetches, unpacks and packs.
    pub build_bytes: u64,
    /// Of the packages that are kept between builds; those used longest ago go.
    pub cache_bytes: u64,
}

impl Default for BuildDisk {
    /// Room for the largest environments that are usual, twice: unpacked and packed.
    fn default() -> Self {
        Self { build_bytes: 16 << 30, cache_bytes: 16 << 30 }
    }
}

impl InstallerSettings {
    /// The variables that say how to get out: an engine's builder knows them and
    /// keeps them out of an image's history.
    pub(super) fn proxies(&self) -> impl Iterator<Item = (String, String)> {
        let is_proxy = |name: &str| name.to_ascii_lowercase().ends_with("_proxy");
        self.variables.iter().filter(move |(name, _)| is_proxy(name)).cloned()
    }

    /// Replaces what the URLs of indexes and proxies carry that nobody may see.
    pub(super) fn redacted(&self, text: &str) -> String {
        self.secrets("").redacted(text)
    }

    /// The secrets in the URLs of indexes and proxies: the server's, and those that
    /// options in requirements name.
    fn secrets(&self, requirements: &str) -> Secrets {
        let options = requirements.lines().filter(|line| line.starts_with('-'));
        Secrets::of(self.variables.iter().map(|(_, value)| value.as_str()).chain(options))
    }

    async fn read_ca_bundle(&self) -> Result<Option<String>, ImageError> {
        let Some(path) = &self.ca_bundle else {
            return Ok(None);
        };
        let read = tokio::fs::read_to_string(path).await;
        read.map(Some).map_err(ImageError::io(format!("the CA bundle {}", path.display())))
    }
}

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
            Self::Uv { .. } => "",
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
}

/// What the installer says that it did.
#[derive(Debug, Deserialize)]
pub(super) struct Installed {
    /// Exact versions, and hashes where the index has them; of packages that
    /// were asked for with hashes, only those that were asked for.
    #[serde(default)]
    pub(super) lock: String,
    /// `name==version` of every package.
    #[serde(default)]
    pub(super) packages: Vec<String>,
    /// The candidate that the layer goes on.
    #[serde(default)]
    pub(super) parent: Option<String>,
}

/// A checked layer, and what the installer says of it.
pub(super) struct Built {
    pub(super) layer: NamedTempFile,
    pub(super) installed: Installed,
}

/// Why the installer left no layer.
pub(super) enum NoLayer {
    /// It said no, in these words.
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
    install(library, image, &input, UV_PLACE, progress, cancel).await.map_err(|failure| {
        match failure {
            NoLayer::Words(words) => {
                ImageError::Install { requirement: Some("uv".into()), words, lock: None }
            }
            NoLayer::Other(error) => error,
        }
    })
}

/// What is to be installed.
pub(super) struct Wanted<'a> {
    /// The requirements, normalised.
    pub(super) requirements: &'a str,
    /// What they were resolved to before.
    pub(super) lock: Option<&'a str>,
    /// Images that may hold some of it.
    pub(super) candidates: &'a [Candidate],
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
        allow_sources: settings.policy.allow_sources,
        compile: true,
        build_bytes: settings.disk.build_bytes,
        cache_bytes: settings.disk.cache_bytes,
        ca_bundle: ca_bundle.as_deref(),
    };
    install(library, image, &input, ENVIRONMENT_PLACE, progress, cancel).await
}

async fn install(
    library: &Library,
    image: &str,
    input: &Input<'_>,
    place: &'static str,
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
    let path = layer.path().to_owned();
    let check = move || {
        let file = File::open(path).map_err(|error| error.to_string())?;
        layer::check(BufReader::with_capacity(1 << 20, file), &[place])
    };
    let checked = tokio::task::spawn_blocking(check).await;
    checked.map_err(|error| error.to_string()).flatten().map_err(ImageError::Layer)?;
    Ok(Built { layer, installed })
}

/// What the installer says of its failure, without what it says of its progress: that
/// names packages which nothing is wrong with.
fn complaints(words: &str) -> String {
    let is_progress = |line: &str| line.starts_with("gantry: ") && !line.contains(" failed: ");
    words.lines().filter(|line| !is_progress(line)).collect::<Vec<_>>().join("\n")
}

async fn run_installer<'a>(
    library: &Library,
    image: &str,
    input: &Input<'_>,
    progress: Progress<'a>,
    cancel: &Cancel,
) -> Result<(Ending, BuildSink<'a>), ImageError> {
    let allow_sources = library.settings.installer.policy.allow_sources;
    library.docker.ensure_build_network().await?;
    // A package that is built from source runs its author's code, which must not
    // reach the wheels that others install from: it gets a volume of its own.
    let cache_volume = (!allow_sources).then(|| library.settings.cache_volume.clone());
    if let Some(volume) = &cache_volume {
        library.docker.ensure_volume(volume, &library.labels("cache")).await?;
    }
    let id = uuid::Uuid::now_v7().simple().to_string();
    let mut labels = library.labels("build");
    labels.insert(LABEL_EXECUTION.to_owned(), id.clone());
    labels.insert(LABEL_PROCESS.to_owned(), library.settings.process.clone());
    let container = NewContainer {
        name: format!("gantry-build-{id}"),
        spec: SandboxSpec {
            image: image.to_owned(),
            limits: limits(library).await?,
            network: Network::Egress,
            mounts: Vec::new(),
            oci_runtime: library.settings.oci_runtime.clone(),
            exec: false,
            purpose: Purpose::Build { cache_volume },
        },
        labels,
    };
    let stdin = serde_json::to_vec(input).map_err(|error| ImageError::Io {
        what: "the installer's request".to_owned(),
        source: error.into(),
    })?;
    let engine = Arc::new(library.docker.clone());
    let sandbox = Sandbox::start(engine, &library.remover, &container).await?;
    let sandbox = sandbox.examined(&container.spec).await?;
    let order_request = request(library, stdin.len() as u64);
    let order = Order { request: &order_request, script: SCRIPT.as_bytes(), stdin: &stdin };
    let secrets = library.settings.installer.secrets(input.requirements());
    let mut sink = BuildSink::new(library, secrets, progress)?;
    let ending = sandbox.load(&order, cancel).await?.run_to_the_end(&mut sink, cancel).await?;
    Ok((ending, sink))
}

/// The engine refuses more CPUs than there are.
async fn limits(library: &Library) -> Result<Limits, ImageError> {
    let cpus = u64::from(library.docker.describe().await?.cpus);
    Ok(Limits { nano_cpus: LIMITS.nano_cpus.min(cpus * NANO_CPUS_PER_CPU), ..LIMITS })
}

fn request(library: &Library, stdin_bytes: u64) -> Request {
    let mut env: Vec<_> = [
        ("PATH", "/usr/local/bin:/usr/bin:/bin"),
        ("HOME", "/work"),
        ("LANG", "C.UTF-8"),
        ("PYTHONUNBUFFERED", "1"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    env.extend(library.settings.installer.variables.iter().cloned());
    Request {
        launch: Runtime::Python.launch("install.py", SCRIPT.as_bytes(), false),
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
        stay_ms: 0,
    }
}

/// Keeps the layer in a file and the rest in memory.
struct BuildSink<'a> {
    layer: NamedTempFile,
    layer_bytes: u64,
    words: Vec<u8>,
    line: Vec<u8>,
    result: Vec<u8>,
    secrets: Secrets,
    progress: Progress<'a>,
}

impl<'a> BuildSink<'a> {
    fn new(
        library: &Library,
        secrets: Secrets,
        progress: Progress<'a>,
    ) -> Result<Self, ImageError> {
        let folder = library.settings.data_dir.join("layers");
        let what = folder.display().to_string();
        let layer = create_folder(&folder)
            .and_then(|()| sweep(&folder))
            .and_then(|()| NamedTempFile::new_in(&folder))
            .map_err(ImageError::io(what))?;
        Ok(Self {
            layer,
            layer_bytes: 0,
            words: Vec::new(),
            line: Vec::new(),
            result: Vec::new(),
            secrets,
            progress,
        })
    }

    /// What it has said. Of what was cut, a line that is not whole is left out: it may
    /// end within a secret.
    fn words(&self) -> String {
        let is_whole = self.words.len() < MAX_WORDS;
        let end = self.words.iter().rposition(|byte| *byte == b'\n' && !is_whole);
        let kept = self.words.get(..end.unwrap_or(self.words.len())).unwrap_or_default();
        self.secrets.redacted(&String::from_utf8_lossy(kept))
    }
}

/// Removes the layers of builds that were killed.
fn sweep(folder: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let age = entry.metadata().and_then(|it| it.modified()).map(|it| it.elapsed());
        if age.is_ok_and(|age| age.is_ok_and(|age| age > 2 * TIMEOUT)) {
            // Somebody else may have been faster.
            let _ = std::fs::remove_file(entry.path());
        }
    }
    Ok(())
}

impl Sink for BuildSink<'_> {
    fn stdout(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.layer_bytes += bytes.len() as u64;
        self.layer.write_all(bytes)
    }

    fn stderr(&mut self, bytes: &[u8]) -> io::Result<()> {
        let room = MAX_WORDS.saturating_sub(self.words.len());
        self.words.extend(bytes.iter().take(room));
        for byte in bytes.iter().take(room) {
            match byte {
                b'\n' | b'\r' => {
                    let line = String::from_utf8_lossy(&self.line).into_owned();
                    (self.progress)(&self.secrets.redacted(&line));
                    self.line.clear();
                }
                byte => self.line.push(*byte),
            }
        }
        Ok(())
    }

    fn output_file(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.result.extend_from_slice(bytes);
        Ok(())
    }

    fn artifact_begin(&mut self, _: &ArtifactBegin) -> io::Result<()> {
        Ok(())
    }

    fn artifact_data(&mut self, _: &[u8]) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
