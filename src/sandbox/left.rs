//! Files that a script left on disk, as they are found when its container has ended: until
//! then a container that lies could still write to them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use gantry_init::message;
use tokio::time::{Instant, timeout};

use super::ContainerGuard;
use crate::engine::{Engine, EngineError};

/// Time for PID 1 to empty its folder and exit, after which it is killed.
const EXIT_WITHIN: Duration = Duration::from_secs(20);

/// Longest outage of the engine after which the files count as lost. As long as that for a
/// script's end.
const OUTAGE: Duration = Duration::from_secs(10 * 60);

/// Pause before the engine is asked again.
const RETRY_PAUSE: Duration = Duration::from_millis(250);

/// A file that a script left on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftFile {
    /// Number among those that the script left, from 0.
    pub position: usize,
    /// Path below `/work/out` that it had; a relative path without `..`.
    pub name: String,
    /// Path on this machine. Nothing but the server may change what is there.
    pub path: PathBuf,
    /// Its length.
    pub bytes: u64,
    /// True if its owner could execute it.
    pub executable: bool,
    /// Its state when the container had ended.
    pub state: LeftState,
}

/// State of a file that a script left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeftState {
    /// It is there, as it was told.
    Present,
    /// It is not there: it has been taken already, or is lost.
    Gone,
    /// It is not what was told, and must not be taken.
    Changed,
}

impl ContainerGuard {
    /// Files that the script left, once the container has ended. Without an engine that says
    /// so in [`OUTAGE`] none of them may be taken.
    pub async fn left(&self, told: Vec<message::LeftFile>) -> Vec<LeftFile> {
        if told.is_empty() {
            return Vec::new();
        }
        let (engine, name) = (self.engine(), self.name().to_owned());
        let has_ended = await_end(&engine, &name).await;
        let Some(folders) = self.folders().filter(|_| has_ended) else {
            return described(told, |_| PathBuf::new(), |_, _| LeftState::Changed);
        };
        let folders = folders.clone();
        let looking = move || described(told, |position| folders.left(&name, position), look);
        tokio::task::spawn_blocking(looking).await.unwrap_or_default()
    }
}

fn described(
    told: Vec<message::LeftFile>,
    place: impl Fn(usize) -> PathBuf,
    look: impl Fn(&Path, u64) -> LeftState,
) -> Vec<LeftFile> {
    let files = told.into_iter().enumerate().map(|(position, file)| {
        let path = place(position);
        let state = look(&path, file.size);
        let message::LeftFile { name, size: bytes, executable } = file;
        LeftFile { position, name, path, bytes, executable, state }
    });
    files.collect()
}

/// Looks at a file: it must be a regular one, of this length. It may have other names: the
/// server's own, if it was being taken when a server died, and names in the container's folder,
/// which go with that. The script could make none elsewhere, and nobody writes to it any more.
fn look(path: &Path, bytes: u64) -> LeftState {
    match fs::symlink_metadata(path) {
        Ok(it) if it.is_file() && it.len() == bytes => LeftState::Present,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => LeftState::Gone,
        Ok(_) | Err(_) => LeftState::Changed,
    }
}

/// Waits until a container has ended, and kills one that does not. False when the engine
/// did not say so.
async fn await_end(engine: &Arc<dyn Engine>, name: &str) -> bool {
    let since = Instant::now();
    // What comes of it is seen below.
    let _ = timeout(EXIT_WITHIN, engine.wait(name)).await;
    loop {
        match engine.inspect(name).await {
            Ok(state) if !state.running => return true,
            Err(EngineError::NotFound { .. }) => return true,
            Ok(_) if since.elapsed() >= EXIT_WITHIN => {
                tracing::warn!(container = name, "a container that does not end is killed");
                if let Err(error) = engine.kill(name).await {
                    tracing::warn!(container = name, %error, "failed to kill a container");
                }
            }
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(container = name, %error, "a container's end is not known yet");
            }
        }
        if since.elapsed() >= OUTAGE {
            tracing::error!(
                container = name,
                "the files of a container are lost: the engine did not report its end"
            );
            return false;
        }
        tokio::time::sleep(RETRY_PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_told_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name);
        fs::write(place("file"), "12345").unwrap();
        assert_eq!(look(&place("file"), 5), LeftState::Present);
        assert_eq!(look(&place("file"), 6), LeftState::Changed);
        assert_eq!(look(&place("none"), 5), LeftState::Gone);
        std::os::unix::fs::symlink(place("file"), place("link")).unwrap();
        assert_eq!(look(&place("link"), 5), LeftState::Changed);
        assert_eq!(look(folder.path(), 5), LeftState::Changed);
        fs::hard_link(place("file"), place("other")).unwrap();
        assert_eq!(look(&place("file"), 5), LeftState::Present, "it was being taken");
    }
}
