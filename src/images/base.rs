//! Source of the root file system: a registry, where one can be reached, and otherwise
//! mmdebstrap, which makes the same out of Debian's packages.

use std::process::Stdio;

use futures::TryStreamExt;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{ChildStdout, Command};
use tokio_util::io::ReaderStream;

use super::ImageError;
use super::library::Library;
use super::recipe::BOOTSTRAP_ARGUMENTS;
use super::release::{Base, BaseSource, Release, root_file_system_tag};
use crate::engine::docker::Progress;

/// Lines of mmdebstrap's output that an error shows.
const LAST_LINES: usize = 8;

impl Library {
    /// A reference to an image with the root file system of a Debian release.
    pub(super) async fn base(
        &self,
        base: &Base,
        progress: Progress<'_>,
    ) -> Result<String, ImageError> {
        let registry = match &base.source {
            BaseSource::Registry(reference) => match self.pulled(reference, progress).await {
                Ok(()) => return Ok(reference.clone()),
                Err(error) if error.is_outage() => return Err(error.into()),
                Err(error) => error.to_string(),
            },
            BaseSource::Bootstrap => "not asked, because GANTRY_BASE_IMAGE is none".to_owned(),
        };
        tracing::debug!(registry, "no base image from a registry");
        self.bootstrapped(base.release, progress)
            .await?
            .map_err(|bootstrap| ImageError::NoBase { registry, bootstrap })
    }

    async fn pulled(
        &self,
        reference: &str,
        progress: Progress<'_>,
    ) -> Result<(), crate::engine::EngineError> {
        if self.docker.image(reference).await?.is_some() {
            return Ok(());
        }
        progress(&format!("pulling {reference}"));
        self.docker.pull(reference, progress).await
    }

    /// The tag of the root file system that mmdebstrap makes, or why it does
    /// not.
    async fn bootstrapped(
        &self,
        release: Release,
        progress: Progress<'_>,
    ) -> Result<Result<String, String>, ImageError> {
        let tag = root_file_system_tag(release);
        let _flight = self.flight(&tag, progress).await?;
        if self.docker.image(&tag).await?.is_some() {
            return Ok(Ok(tag));
        }
        progress("no image registry: making a root file system with mmdebstrap");
        let mut running = match mmdebstrap(release) {
            Ok(child) => TerminatedOnDrop(child),
            Err(error) => return Ok(Err(format!("can't be started: {error}"))),
        };
        let TerminatedOnDrop(child) = &mut running;
        let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
            return Ok(Err("its output can't be read".to_owned()));
        };
        let installer = &self.settings.installer;
        // apt's output may contain a proxy's password.
        let redacted = |line: &str| progress(&installer.redacted(line));
        let (imported, last_lines) = tokio::join!(
            self.import_root_file_system(stdout, &tag),
            follow_lines(stderr, &redacted)
        );
        let status = child.wait().await.map_err(ImageError::io("mmdebstrap"))?;
        if !status.success() {
            // What it had written until then may have made an image.
            self.docker.remove_image(&tag).await?;
            let words = installer.redacted(&last_lines.join("\n    "));
            return Ok(Err(format!("{status}\n    {words}")));
        }
        imported?;
        Ok(Ok(tag))
    }

    async fn import_root_file_system(&self, tar: ChildStdout, tag: &str) -> Result<(), ImageError> {
        let stream = ReaderStream::with_capacity(tar, 256 * 1024).into_stream();
        Ok(self.docker.import(stream, tag, &self.labels("rootfs")).await?)
    }
}

fn mmdebstrap(release: Release) -> std::io::Result<tokio::process::Child> {
    let arguments =
        BOOTSTRAP_ARGUMENTS.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    Command::new("mmdebstrap")
        .args(arguments)
        .args([release.suite(), "-"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
}

/// A child that is terminated when its waiter is dropped: killed, it would leave its
/// folder behind.
struct TerminatedOnDrop(tokio::process::Child);

impl Drop for TerminatedOnDrop {
    fn drop(&mut self) {
        let id = self.0.id().and_then(|id| i32::try_from(id).ok());
        if let Some(process) = id.and_then(rustix::process::Pid::from_raw) {
            // It may have ended just now, which is as good.
            let _ = rustix::process::kill_process(process, rustix::process::Signal::TERM);
        }
    }
}

/// Passes lines on as progress and returns the last of them.
async fn follow_lines(output: impl AsyncRead + Unpin, progress: Progress<'_>) -> Vec<String> {
    let mut lines = BufReader::new(output).lines();
    let mut last = Vec::new();
    while let Ok(Some(line)) = lines.next_line().await {
        if line.trim().is_empty() {
            continue;
        }
        progress(&line);
        if last.len() == LAST_LINES {
            last.remove(0);
        }
        last.push(line);
    }
    last
}
