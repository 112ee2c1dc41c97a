//! One run in a build sandbox: what it writes to stdout is a layer, which is checked
//! before anybody uses it, and what it writes to stderr is shown.

use std::fs::File;
use std::io::{self, BufReader, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use gantry_init::message::ArtifactBegin;
use tempfile::NamedTempFile;

use super::library::Library;
use super::secrets::Secrets;
use super::{ImageError, layer};
use crate::domain::limits::{DEFAULT_FILE_COUNT, Limits};
use crate::domain::outcome::Ending;
use crate::domain::quantities::NANO_CPUS_PER_CPU;
use crate::domain::sandbox_spec::SandboxSpec;
use crate::engine::docker::Progress;
use crate::engine::{LABEL_EXECUTION, LABEL_PROCESS, NewContainer};
use crate::private_files::create_folder;
use crate::sandbox::{Cancel, LaunchRequest, Sandbox, Sink};

/// Longest time of any build.
pub(super) const LONGEST: Duration = Duration::from_secs(15 * 60);

/// Limits of a build, on a machine that has as many CPUs, but for its output, which is the
/// layer. Its scratch space is memory; packages go to the volume.
pub(super) const LIMITS: Limits = Limits {
    nano_cpus: 2 * NANO_CPUS_PER_CPU,
    memory_bytes: 2 << 30,
    pids: 512,
    scratch_bytes: 512 << 20,
    disk_bytes: 0,
    file_count: DEFAULT_FILE_COUNT,
    output_bytes: 0,
};

/// Most output of a build that is kept, in bytes.
const MAX_WORDS: usize = 256 * 1024;

/// Runs a script in a build sandbox of its own, to its end.
pub(super) async fn run_build<'a>(
    library: &Library,
    spec: SandboxSpec,
    launch: &LaunchRequest<'_>,
    mut sink: BuildSink<'a>,
    cancel: &Cancel,
) -> Result<(Ending, BuildSink<'a>), ImageError> {
    let id = uuid::Uuid::now_v7().simple().to_string();
    let mut labels = library.labels("build");
    labels.insert(LABEL_EXECUTION.to_owned(), id.clone());
    labels.insert(LABEL_PROCESS.to_owned(), library.settings.process.clone());
    let container = NewContainer { name: format!("gantry-build-{id}"), spec, labels };
    let engine = Arc::new(library.docker.clone());
    let sandbox = Sandbox::start(engine, &library.remover, &container).await?;
    let sandbox = sandbox.verified(&container.spec).await?;
    let ending = sandbox.load(launch, cancel).await?.run_to_end(&mut sink, cancel).await?;
    Ok((ending, sink))
}

/// The limits that a machine with few CPUs can give: the engine refuses more of them
/// than there are.
pub(super) async fn limits(library: &Library, limits: Limits) -> Result<Limits, ImageError> {
    let cpus = u64::from(library.docker.describe().await?.cpus);
    Ok(Limits { nano_cpus: limits.nano_cpus.min(cpus * NANO_CPUS_PER_CPU), ..limits })
}

/// Checks a layer ([`layer::check`]); answers how many entries it has.
pub(super) async fn check_layer(
    layer: &NamedTempFile,
    places: &'static [&'static str],
) -> Result<usize, ImageError> {
    let path = layer.path().to_owned();
    let check = move || {
        let file = File::open(path).map_err(|error| error.to_string())?;
        layer::check(BufReader::with_capacity(1 << 20, file), places)
    };
    let checked = tokio::task::spawn_blocking(check).await;
    checked.map_err(|error| error.to_string()).flatten().map_err(ImageError::Layer)
}

/// Keeps the layer in a file and the rest in memory.
pub(super) struct BuildSink<'a> {
    pub(super) layer: NamedTempFile,
    pub(super) layer_bytes: u64,
    words: Vec<u8>,
    line: Vec<u8>,
    pub(super) result: Vec<u8>,
    secrets: Secrets,
    progress: Progress<'a>,
}

impl<'a> BuildSink<'a> {
    pub(super) fn new(
        library: &Library,
        secrets: Secrets,
        progress: Progress<'a>,
    ) -> Result<Self, ImageError> {
        let folder = library.settings.data_dir.join("layers");
        let layer = new_layer(&folder).map_err(ImageError::io(folder.display().to_string()))?;
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

    /// Output of the command. Where it was cut, the last partial line is left out: it may
    /// end within a secret.
    pub(super) fn words(&self) -> String {
        let is_whole = self.words.len() < MAX_WORDS;
        let end = self.words.iter().rposition(|byte| *byte == b'\n' && !is_whole);
        let kept = self.words.get(..end.unwrap_or(self.words.len())).unwrap_or_default();
        self.secrets.redacted(&String::from_utf8_lossy(kept))
    }
}

/// A file for a layer, which goes when the build has ended.
pub(super) fn new_layer(folder: &Path) -> io::Result<NamedTempFile> {
    create_folder(folder)?;
    sweep(folder)?;
    NamedTempFile::new_in(folder)
}

/// Removes the layers of builds that were killed.
fn sweep(folder: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let age = entry.metadata().and_then(|it| it.modified()).map(|it| it.elapsed());
        if age.is_ok_and(|age| age.is_ok_and(|age| age > 2 * LONGEST)) {
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
