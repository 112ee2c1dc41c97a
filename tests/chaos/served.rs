//! The server under torment: started again on the same data as often as it ends.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use reqwest::Method;
use rustix::process::{Pid, Signal, kill_process};

use crate::recovery::Start;
use crate::testkit::server::{ADMIN, serve};

/// How long it may take until a server listens: what it stands on may be out.
const UP_WITHIN: Duration = Duration::from_secs(120);

/// How long a server may take to end that was asked to: its runs have
/// [`STOP_TIMEOUT`], and its containers some time to be removed.
const DOWN_WITHIN: Duration = Duration::from_secs(60);

/// Time that running executions have to end when the server is stopped.
pub(crate) const STOP_TIMEOUT: &str = "2s";

/// Between two looks, or two starts.
const PAUSE: Duration = Duration::from_millis(50);

/// A request may take this long: a server that stands still does not answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);

/// How a server is started.
pub(crate) struct Served {
    pub(crate) data_dir: PathBuf,
    pub(crate) variables: Vec<(String, String)>,
    pub(crate) within: Vec<String>,
    pub(crate) log: PathBuf,
    child: Mutex<Option<Child>>,
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
            child: Mutex::default(),
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
            std::thread::sleep(PAUSE * 10);
        }
        unreachable!("there is no last start")
    }

    fn is_started(&self) -> bool {
        let mut command = serve(&self.data_dir, &self.variables, &self.within);
        let log = File::options().create(true).append(true).open(&self.log).unwrap();
        let start = Start {
            log_bytes: log.metadata().unwrap().len(),
            at: gantry::clock::now(),
            instant: Instant::now(),
            is_after_kill: self.was_killed.load(Ordering::SeqCst),
        };
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let url =
            lines.find_map(|line| line.ok()?.strip_prefix("listening on ").map(str::to_owned));
        let Some(url) = url else {
            let _ = child.wait();
            return false;
        };
        self.starts.lock().unwrap().push(start);
        *self.url.lock().unwrap() = url;
        *self.child.lock().unwrap() = Some(child);
        true
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.lock().unwrap().as_ref().map(Child::id)
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = self.pid().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        if let Some(pid) = pid {
            let _ = kill_process(pid, signal);
        }
    }

    /// Kills it: it has time for nothing.
    pub(crate) fn kill(&self) {
        let child = self.child.lock().unwrap().take();
        if let Some(mut child) = child {
            let _ = child.kill();
            let _ = child.wait();
        }
        self.was_killed.store(true, Ordering::SeqCst);
    }

    /// Asks it to end, and waits for a clean end.
    pub(crate) fn stop(&self) -> Result<(), String> {
        self.signal(Signal::TERM);
        self.was_killed.store(false, Ordering::SeqCst);
        let child = self.child.lock().unwrap().take();
        let Some(mut child) = child else { return Ok(()) };
        let begun = Instant::now();
        while begun.elapsed() < DOWN_WITHIN {
            if let Some(status) = child.try_wait().unwrap() {
                return clean(status);
            }
            std::thread::sleep(PAUSE);
        }
        let _ = child.kill();
        let _ = child.wait();
        Err(format!("the server was asked to stop and had not ended after {DOWN_WITHIN:?}"))
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
        let Some(pid) = self.pid() else { return Vec::new() };
        let entries = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        let links = entries.filter_map(|entry| fs::read_link(entry.path()).ok());
        links.map(|link| kind_of(&link.to_string_lossy())).collect()
    }

    /// How many threads it has (proc(5)).
    pub(crate) fn threads(&self) -> usize {
        let Some(pid) = self.pid() else { return 0 };
        fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.kill();
    }
}

fn clean(status: ExitStatus) -> Result<(), String> {
    if status.success() {
        return Ok(());
    }
    Err(format!("the server was asked to stop and ended with {status}"))
}

/// `socket:[123]` and the like without the number; a file by its name.
fn kind_of(link: &str) -> String {
    match link.split_once(":[") {
        Some((kind, _)) => kind.to_owned(),
        None => link.rsplit('/').next().unwrap_or(link).to_owned(),
    }
}
