//! Warm-ups: a command of the script's runs once on the finished image, and the caches
//! that it fills become a layer: compiled functions, lists of fonts, profiles.
//!
//! It runs as an execution does, without a network and without secrets, and PID 1 links
//! its files into each sandbox of the image (`images/init/src/warm_up.rs`).

use std::time::Duration;

use gantry_init::message::{ArtifactCaps, Launch, Request, SCRIPT_DIR, WARM_UP_FILES, WORK_DIR};

use super::ImageError;
use super::build::{BuildSink, LIMITS, check_layer, limits, run_build};
use super::environment::{Environment, LABEL_BASE};
use super::library::Library;
use super::recipe::tag_hash;
use crate::domain::job::plain_variables;
use crate::domain::limits::Limits;
use crate::domain::outcome::{Status, classify};
use crate::domain::run_folder::RunFolder;
use crate::domain::sandbox_spec::{Network, Purpose, SandboxSpec};
use crate::domain::script_type::{ScriptType, place_in_bundle};
use crate::domain::warm_up::WarmUp;
use crate::engine::docker::{Image, NewLayer, Progress};
use crate::sandbox::{Cancel, LaunchRequest};

/// The role of images with what a warm-up left.
pub(super) const ROLE: &str = "warm-up";

/// A part of the tags: a new number has all of them made anew.
const FORMAT: &str = "1";

const SCRIPT: &str = include_str!("../../images/warm_up/warm-up.sh");

/// Folder of the files in the image.
const PLACES: &[&str] = &["opt/warm-up"];

/// Folder with the programs of a Python environment.
const ENVIRONMENT_PROGRAMS: &str = "/opt/env/bin";

/// Longest time of a warm-up.
const TIMEOUT: Duration = Duration::from_secs(10 * 60);

/// Largest layer, in bytes: what fits into its scratch space, with headers.
const MAX_LAYER: u64 = 640 << 20;

impl Library {
    /// `below` with what a warm-up leaves on it, made if it is not there.
    pub(super) async fn warmed(
        &self,
        below: &Image,
        script_type: ScriptType,
        warm_up: &WarmUp,
        progress: Progress<'_>,
        cancel: &Cancel,
    ) -> Result<Environment, ImageError> {
        let tag = tag(below, script_type, warm_up);
        let make = self.make_warm(below, &tag, script_type, warm_up, progress, cancel);
        self.found_or_made(&tag, make, progress, cancel).await
    }

    /// Runs the warm-up and puts what it leaves on `below`.
    async fn make_warm(
        &self,
        below: &Image,
        tag: &str,
        script_type: ScriptType,
        warm_up: &WarmUp,
        progress: Progress<'_>,
        cancel: &Cancel,
    ) -> Result<(), ImageError> {
        progress(&format!("running the warm-up: {}", warm_up.command.join(" ")));
        let sink = self.run_warm_up(below, script_type, warm_up, progress, cancel).await?;
        let files = check_layer(&sink.layer, PLACES).await.map_err(|error| match error {
            ImageError::Layer(reason) => failed(&reason, ""),
            other => other,
        })?;
        if files > WARM_UP_FILES {
            return Err(failed(&format!("it left more than {WARM_UP_FILES} files"), ""));
        }
        progress(&format!("the warm-up has left {files} files and folders"));
        let mut labels = self.labels(ROLE);
        labels.insert(LABEL_BASE.to_owned(), below.id.clone());
        let tar = sink.layer.path().to_owned();
        let layer = NewLayer { parent: below.id.clone(), tar, tag: tag.to_owned(), labels };
        Ok(self.docker.add_layer(&layer).await?)
    }

    /// Runs the command; returns the layer, which is not checked yet.
    async fn run_warm_up<'a>(
        &self,
        below: &Image,
        script_type: ScriptType,
        warm_up: &WarmUp,
        progress: Progress<'a>,
        cancel: &Cancel,
    ) -> Result<BuildSink<'a>, ImageError> {
        let disk = self.settings.installer.disk.build_bytes;
        // Its files are in memory, and take no more of it than builds may of the disk.
        let scratch_bytes = LIMITS.scratch_bytes.min(disk);
        let wanted = Limits { scratch_bytes, output_bytes: MAX_LAYER, ..LIMITS };
        let limits = limits(self, wanted).await?;
        let request = request(script_type, warm_up, limits.whole_cpus());
        let spec = SandboxSpec {
            image: below.id.clone(),
            limits,
            network: Network::None,
            mounts: Vec::new(),
            owner: None,
            folder: RunFolder::None,
            oci_runtime: self.settings.oci_runtime.clone(),
            exec: true,
            purpose: Purpose::Execution,
        };
        let secrets = self.settings.installer.secrets("");
        let sink = BuildSink::new(self, secrets, progress)?;
        let launch = LaunchRequest { head: &request, script: &warm_up.script, stdin: &[] };
        let (ending, sink) = run_build(self, spec, &launch, sink, cancel).await?;
        let outcome = classify(&ending);
        match outcome.status {
            Status::Completed if sink.layer_bytes >= MAX_LAYER => {
                Err(failed(&format!("it left more than {} MiB", MAX_LAYER >> 20), ""))
            }
            Status::Completed => Ok(sink),
            Status::Cancelled => Err(ImageError::Cancelled),
            Status::Timeout => {
                let reason = format!("it did not finish within {} s", TIMEOUT.as_secs());
                Err(failed(&reason, &sink.words()))
            }
            Status::Failed => {
                let reason = outcome.error_message.unwrap_or_default();
                Err(failed(&reason, &sink.words()))
            }
        }
    }
}

fn failed(reason: &str, words: &str) -> ImageError {
    ImageError::WarmUp { reason: reason.to_owned(), words: words.to_owned() }
}

/// The shell gets the mode of the script's file, its path, and the command, and runs the
/// command. In that, the script's name stands for its path, and `python3` for the
/// interpreter that runs it.
fn request(script_type: ScriptType, warm_up: &WarmUp, cpus: u64) -> Request {
    let (file_name, mode) = match script_type.launch(&warm_up.file_name, &warm_up.script, false) {
        Launch::Interpreted { file_name, .. } => (file_name, "600"),
        Launch::Executable { name } => (name, "555"),
        // No script has this form before it is in a bundle.
        Launch::InImage { .. } => (warm_up.file_name.clone(), "600"),
    };
    let shell = ["/bin/sh", "-c", SCRIPT, mode].map(str::to_owned);
    let cpus = cpus.to_string();
    let env = plain_variables(script_type, &cpus).into_iter().flatten();
    let env = env.map(|(name, value)| match name {
        "PATH" => (name.to_owned(), format!("{ENVIRONMENT_PROGRAMS}:{value}")),
        name => (name.to_owned(), value.to_owned()),
    });
    let path = match &warm_up.entry {
        Some(entry) => place_in_bundle(entry),
        None => format!("{SCRIPT_DIR}/{file_name}"),
    };
    let is_script = |word: &String| {
        *word == warm_up.file_name || warm_up.entry.as_ref().is_some_and(|entry| entry == word)
    };
    let word = |word: &String| if is_script(word) { &path } else { word }.clone();
    Request {
        launch: Launch::Interpreted { interpreter: shell.into(), file_name },
        args: warm_up.command.iter().map(word).collect(),
        env: env.collect(),
        working_directory: WORK_DIR.to_owned(),
        script_bytes: warm_up.script.len() as u64,
        stdin_bytes: 0,
        timeout_ms: u64::try_from(TIMEOUT.as_millis()).unwrap_or(u64::MAX),
        grace_ms: 2000,
        stream_cap: MAX_LAYER,
        output_file: None,
        artifacts: ArtifactCaps { count: 0, bytes: 0 },
        disk: None,
        stay_ms: 0,
    }
}

fn tag(below: &Image, script_type: ScriptType, warm_up: &WarmUp) -> String {
    let words = warm_up.command.iter().map(String::as_bytes);
    let parts = [FORMAT.as_bytes(), SCRIPT.as_bytes(), below.id.as_bytes()].into_iter();
    let script = [script_type.name().as_bytes(), warm_up.file_name.as_bytes(), &warm_up.script];
    let entry = warm_up.entry.iter().map(String::as_bytes);
    format!("gantry/{ROLE}:{}", tag_hash(parts.chain(script).chain(words).chain(entry)))
}

#[cfg(test)]
mod tests {
    use gantry_init::message::SCRIPT_TIME;

    use super::*;

    #[test]
    fn files_have_the_time_that_scripts_have() {
        assert!(SCRIPT.contains(&format!("--mtime=@{SCRIPT_TIME} ")));
    }

    #[test]
    fn the_command_is_an_argv_and_no_text_of_the_shells() {
        let command = ["/bin/echo", "$(id)", "a b", "x.py"].map(str::to_owned);
        let warm_up = WarmUp {
            command: command.to_vec(),
            file_name: "x.py".into(),
            script: b"1".as_slice().into(),
            entry: None,
        };
        let request = request(ScriptType::Python, &warm_up, 2);
        assert_eq!(request.args, ["/bin/echo", "$(id)", "a b", "/run/gantry/x.py"]);
        let names: Vec<_> = request.env.iter().map(|(name, _)| name.as_str()).collect();
        assert!(names.contains(&"HOME") && !names.contains(&"HTTPS_PROXY"), "{names:?}");
    }
}
