//! The server whose faults are injected: started again on the same data as often as it ends.

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use reqwest::Method;
use rustix::process::Signal;

use crate::recovery::Start;
use crate::testkit::process::Process;
use crate::testkit::server::{ADMIN, serve};

/// How long it may take until a server listens: what it stands on may be out.
const UP_WITHIN: Duration = Duration::from_secs(120);

/// Time that running executions have to end when the server is stopped.
pub(crate) const STOP_TIMEOUT: &str = "2s";

/// Between two starts.
const PAUSE: Duration = Duration::from_millis(500);

/// A request may take this long: a server that stands still does not answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);

/// How a server is started.
pub(crate) struct Served {
    pub(crate) data_dir: PathBuf,
    pub(crate) variables: Vec<(String, String)>,
    pub(crate) within: Vec<String>,
    pub(crate) log: PathBuf,
    process: Mutex<Option<Process>>,
    url: Mutex<String>,
    /// Starts after an end.
    pub(crate) starts: Mutex<Vec<Start>>,
    was_killed: AtomicBool,
}

impl Served {
    pub(crate) fn new(
        data_dir: PathBuf,
        variables: Vec<(String, String)>,
        within: Vec<String>,
        log: PathBuf,
    ) -> Self {
        Self {
            data_dir,
            variables,
            within,
            log,
            process: Mutex::default(),
            url: Mutex::default(),
            starts: Mutex::default(),
            was_killed: AtomicBool::new(false),
        }
    }

    /// Starts it. Answers how many starts that took: what it stands on may be out.
    pub(crate) fn start(&self) -> Result<u32, String> {
        let begun = Instant::now();
        for starts in 1.. {
            if self.is_started() {
                return Ok(starts);
            }
            if begun.elapsed() > UP_WITHIN {
                return Err(format!("the server did not start in {UP_WITHIN:?}, {starts} times"));
            }
            std::thread::sleep(PAUSE);
        }
        unreachable!("there is no last start")
    }

    fn is_started(&self) -> bool {
        let command = serve(&self.data_dir, &self.variables, &self.within);
        let start = Start {
            log_bytes: self.log.metadata().map_or(0, |log| log.len()),
            at: gantry::clock::now(),
            instant: Instant::now(),
            is_after_kill: self.was_killed.load(Ordering::SeqCst),
        };
        let Ok(process) = Process::start(command, &self.log) else { return false };
        self.starts.lock().unwrap().push(start);
        self.url.lock().unwrap().clone_from(&process.url);
        *self.process.lock().unwrap() = Some(process);
        true
    }

    pub(crate) fn is_running(&self) -> bool {
        self.process.lock().unwrap().is_some()
    }

    /// Sends it a signal, if it runs.
    pub(crate) fn signal(&self, signal: Signal) {
        if let Some(process) = &*self.process.lock().unwrap() {
            process.signal(signal);
        }
    }

    /// Kills it: it has time for nothing.
    pub(crate) fn kill(&self) {
        self.process.lock().unwrap().take();
        self.was_killed.store(true, Ordering::SeqCst);
    }

    /// Asks it to end, and waits for a clean end.
    pub(crate) fn stop(&self) -> Result<(), String> {
        let process = self.process.lock().unwrap().take();
        self.was_killed.store(false, Ordering::SeqCst);
        process.map_or(Ok(()), Process::stop)
    }

    /// A request as the admin.
    pub(crate) fn request(
        &self,
        client: &reqwest::Client,
        method: Method,
        path: &str,
    ) -> reqwest::RequestBuilder {
        let url = format!("{}{path}", self.url.lock().unwrap());
        client.request(method, url).bearer_auth(ADMIN).timeout(ANSWER_WITHIN)
    }

    /// What its process holds open, a word for each.
    pub(crate) fn descriptors(&self) -> Vec<String> {
        self.process.lock().unwrap().as_ref().map(Process::descriptors).unwrap_or_default()
    }

    /// Number of its threads.
    pub(crate) fn threads(&self) -> usize {
        self.process.lock().unwrap().as_ref().map_or(0, Process::threads)
    }
}
