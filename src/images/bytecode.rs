//! Bytecode of a bundle's Python modules. A bundle can't be written to, so no execution
//! could keep what it compiles: it is compiled once, when the layer is made, in a build
//! sandbox without a network. Its result is hostile like its sources: only the content
//! of files that Python reads as bytecode of this bundle is taken of it.

use std::time::Duration;

use gantry_init::message::{ArtifactCaps, Launch, Request, WORK_DIR};
use tempfile::NamedTempFile;

use super::ImageError;
use super::build::{BuildSink, LIMITS, limits, run_build};
use super::library::Library;
use crate::domain::limits::Limits;
use crate::domain::outcome::{Status, classify};
use crate::domain::run_folder::RunFolder;
use crate::domain::sandbox_spec::{Network, Purpose, SandboxSpec};
use crate::engine::docker::{Image, Progress};
use crate::sandbox::{Cancel, LaunchRequest};

const SCRIPT: &str = include_str!("../../images/python/compile.py");

/// Interpreter of the environment, alone with its library.
const INTERPRETER: [&str; 2] = ["/opt/env/bin/python", "-I"];

/// Longest time of compiling.
const TIMEOUT: Duration = Duration::from_secs(120);

/// Most bytes of bytecode (128 MiB).
const MAX_BYTES: u64 = 128 << 20;

impl Library {
    /// Bytecode of modules, whose sources are a tar; `None` if there is none, which only
    /// makes executions slower.
    pub(super) async fn bytecode(
        &self,
        below: &Image,
        sources: &[u8],
        progress: Progress<'_>,
        cancel: &Cancel,
    ) -> Result<Option<NamedTempFile>, ImageError> {
        progress("compiling the modules of the bundle");
        let wanted = Limits { output_bytes: MAX_BYTES, ..LIMITS };
        let spec = SandboxSpec {
            image: below.id.clone(),
            limits: limits(self, wanted).await?,
            network: Network::None,
            mounts: Vec::new(),
            owner: None,
            oci_runtime: self.settings.oci_runtime.clone(),
            exec: true,
            purpose: Purpose::Execution,
            folder: RunFolder::None,
        };
        let request = request(sources.len() as u64);
        let sink = BuildSink::new(self, self.settings.installer.secrets(""), progress)?;
        let launch = LaunchRequest { head: &request, script: SCRIPT.as_bytes(), stdin: sources };
        let (ending, sink) = run_build(self, spec, &launch, sink, cancel).await?;
        let outcome = classify(&ending);
        match outcome.status {
            Status::Completed if sink.layer_bytes < MAX_BYTES => Ok(Some(sink.layer)),
            Status::Cancelled => Err(ImageError::Cancelled),
            _ => {
                let reason = outcome.error_message.unwrap_or_default();
                progress(&format!("the modules are not compiled ahead: {reason}"));
                Ok(None)
            }
        }
    }
}

fn request(stdin_bytes: u64) -> Request {
    Request {
        launch: Launch::Interpreted {
            interpreter: INTERPRETER.map(str::to_owned).to_vec(),
            file_name: "compile.py".to_owned(),
        },
        args: Vec::new(),
        env: vec![("LANG".to_owned(), "C.UTF-8".to_owned())],
        working_directory: WORK_DIR.to_owned(),
        script_bytes: SCRIPT.len() as u64,
        stdin_bytes,
        timeout_ms: u64::try_from(TIMEOUT.as_millis()).unwrap_or(u64::MAX),
        grace_ms: 2000,
        stream_cap: MAX_BYTES,
        output_file: None,
        artifacts: ArtifactCaps { count: 0, bytes: 0 },
        disk: None,
        stay_ms: 0,
    }
}

#[cfg(test)]
mod tests {
    use gantry_init::message::SCRIPT_TIME;

    use super::*;

    #[test]
    fn bytecode_is_for_the_time_that_files_of_bundles_have() {
        assert!(SCRIPT.contains(&format!("TIME = {SCRIPT_TIME}\n")));
    }
}
