//! The real engine, but for one kind of request that it does not answer.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tempfile::TempDir;

/// Listens on a socket of its own, until the test's process ends.
pub(crate) struct SickEngine {
    folder: TempDir,
    is_healed: Arc<AtomicBool>,
}

/// Fault in the answer to one kind of request.
#[derive(Clone)]
struct Sickness {
    request: &'static str,
    is_silent: bool,
    is_healed: Arc<AtomicBool>,
}

impl SickEngine {
    /// Never answers a request with this in its first line.
    pub(crate) fn silent_on(request: &'static str) -> Self {
        Self::sick(request, true)
    }

    /// Closes the connection on a request with this in its first line.
    pub(crate) fn cut_on(request: &'static str) -> Self {
        Self::sick(request, false)
    }

    /// Answers everything from now on.
    pub(crate) fn heal(&self) {
        self.is_healed.store(true, Ordering::SeqCst);
    }

    fn sick(request: &'static str, is_silent: bool) -> Self {
        let is_healed = Arc::new(AtomicBool::new(false));
        let sickness = Sickness { request, is_silent, is_healed: Arc::clone(&is_healed) };
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("socket")).unwrap();
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (client, engine) = (client.unwrap(), UnixStream::connect(socket()).unwrap());
                let back = (engine.try_clone().unwrap(), client.try_clone().unwrap());
                let sickness = sickness.clone();
                std::thread::spawn(move || forward(client, engine, Some(&sickness)));
                std::thread::spawn(move || forward(back.0, back.1, None));
            }
        });
        Self { folder, is_healed }
    }

    /// Value for `DOCKER_HOST`.
    pub(crate) fn host(&self) -> String {
        format!("unix://{}", self.folder.path().join("socket").display())
    }
}

/// Socket of the real engine.
fn socket() -> String {
    let host = std::env::var("DOCKER_HOST").ok();
    let path = host.as_deref().and_then(|host| host.strip_prefix("unix://"));
    path.unwrap_or("/var/run/docker.sock").to_owned()
}

fn forward(mut from: UnixStream, mut to: UnixStream, sickness: Option<&Sickness>) {
    let mut buffer = [0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        let bytes = &buffer[..length];
        // A client sends the head of a request at once.
        let first_line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let first_line = String::from_utf8_lossy(first_line);
        if let Some(sickness) = sickness
            && !sickness.is_healed.load(Ordering::SeqCst)
            && first_line.contains(sickness.request)
        {
            if sickness.is_silent {
                // Neither answered nor refused.
                let _ = io::copy(&mut from, &mut io::sink());
            }
            let _ = from.shutdown(Shutdown::Both);
            let _ = to.shutdown(Shutdown::Both);
            return;
        }
        if to.write_all(bytes).is_err() {
            return;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}
