//! An engine of a test's own, which it may stop, kill and wedge: a dockerd and a
//! containerd in namespaces of their own, with the images of the runtimes. Its files and
//! processes go with the value, in any state. The machine's engine is never touched.

mod cgroups;
mod daemon;
mod enclosure;
mod template;

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bollard::query_parameters::{
    InspectContainerOptions, KillContainerOptions, ListContainersOptionsBuilder,
};
use bollard::{API_DEFAULT_VERSION, Docker};
use rustix::process::{Signal, geteuid};
use tempfile::TempDir;

use daemon::Daemon;
use enclosure::Enclosure;

/// Longest time until a daemon answers, on a machine that has a lot to do.
const UP_WITHIN: Duration = Duration::from_secs(90);

/// Longest time that a daemon or an enclosure takes to end.
const END_WITHIN: Duration = Duration::from_secs(120);

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// Timeout of one request, in seconds; a paused daemon answers none.
const ANSWER_WITHIN: u64 = 60;

/// Programs without which there is no engine of a test's own.
const PROGRAMS: [&str; 4] = ["dockerd", "containerd", "unshare", "nsenter"];

/// Setting for containers to outlive their dockerd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LiveRestore {
    On,
    Off,
}

/// An engine of a test's own. Dropped, it is gone with all that it started.
pub(crate) struct PrivateEngine {
    dockerd: Option<Daemon>,
    containerd: Option<Daemon>,
    enclosure: Enclosure,
    live_restore: LiveRestore,
    name: String,
    data: PathBuf,
    run: TempDir,
}

impl PrivateEngine {
    /// An engine that answers and has the images of the runtimes. Where there can be
    /// none, the reason is printed, and the test has to be left out.
    pub(crate) fn start_new(live_restore: LiveRestore) -> Option<Self> {
        if let Some(reason) = missing() {
            say(&format!("left out: {reason}"));
            return None;
        }
        let name = template::new_name();
        let data = template::copy(&name);
        Some(Self::on(&name, data, live_restore))
    }

    /// An engine on this data folder, which is its own from now on.
    fn on(name: &str, data: PathBuf, live_restore: LiveRestore) -> Self {
        let run = tempfile::Builder::new().prefix("gantry-engine-").tempdir().unwrap();
        // What tests mount, and what the daemons write to.
        let (temporary, project) = (std::env::temp_dir(), Path::new(env!("CARGO_MANIFEST_DIR")));
        let folders = [&temporary, project, data.parent().unwrap()];
        let enclosure = Enclosure::open(other_root(), &folders);
        let containerd = Some(start_containerd(&enclosure, run.path(), &data));
        let name = name.to_owned();
        let mut engine =
            Self { dockerd: None, containerd, enclosure, live_restore, name, data, run };
        engine.start();
        engine
    }

    /// Name of its folders and cgroups.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Value for `DOCKER_HOST`.
    pub(crate) fn host(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// Its socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.run.path().join("docker.sock")
    }

    /// Log file of its dockerd.
    pub(crate) fn log(&self) -> PathBuf {
        self.run.path().join("dockerd.log")
    }

    /// The process id of its dockerd.
    pub(crate) fn dockerd_pid(&self) -> Option<u32> {
        self.dockerd.as_ref().map(Daemon::pid)
    }

    /// Starts dockerd, on what the last one left, and waits until it answers.
    pub(crate) fn start(&mut self) {
        assert!(self.dockerd.is_none(), "dockerd runs already");
        let run = self.run.path();
        let mut command = self.enclosure.command("dockerd");
        command
            .args(["--config-file", &path(run, "daemon.json")])
            .args(["--data-root", &path(&self.data, "docker")])
            .args(["--exec-root", &path(run, "docker")])
            .args(["--pidfile", &path(run, "dockerd.pid")])
            .args(["--containerd", &path(run, "containerd.sock")])
            .args(["--host", &self.host()])
            .args(["--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false"])
            .args(["--exec-opt", "native.cgroupdriver=cgroupfs"])
            .args(["--cgroup-parent", &format!("/{}", self.name)]);
        if self.live_restore == LiveRestore::On {
            command.arg("--live-restore");
        }
        fs::write(run.join("daemon.json"), "{}").unwrap();
        // A killed one has left its own.
        let _ = fs::remove_file(run.join("dockerd.pid"));
        self.dockerd = Some(Daemon::start(command, &self.log()));
        self.wait_until_it_answers();
    }

    /// Asks dockerd to end and waits for it.
    pub(crate) fn stop(&mut self) {
        self.take_dockerd().end(Signal::TERM);
    }

    /// The same. Returns the ids and names of the containers that ran meanwhile: with
    /// live-restore too, a container that has just started may be ended with a dockerd
    /// that goes.
    pub(crate) fn stop_watched(&mut self) -> BTreeMap<String, String> {
        let dockerd = self.take_dockerd();
        let (engine, is_over) = (&*self, &AtomicBool::new(false));
        let watch = move || {
            let mut seen = BTreeMap::new();
            while !is_over.load(Ordering::SeqCst) {
                for id in engine.shims() {
                    if !seen.contains_key(&id)
                        && let Some(name) = engine.name_on_disk(&id)
                    {
                        seen.insert(id, name);
                    }
                }
                std::thread::sleep(PAUSE / 4);
            }
            seen
        };
        std::thread::scope(|scope| {
            let watching = scope.spawn(watch);
            dockerd.end(Signal::TERM);
            is_over.store(true, Ordering::SeqCst);
            watching.join().unwrap()
        })
    }

    /// Name of a container in dockerd's files.
    fn name_on_disk(&self, id: &str) -> Option<String> {
        let file = self.data.join("docker/containers").join(id).join("config.v2.json");
        let config: serde_json::Value = serde_json::from_slice(&fs::read(file).ok()?).ok()?;
        Some(config["Name"].as_str()?.trim_start_matches('/').to_owned())
    }

    /// Kills dockerd: it has time for nothing.
    pub(crate) fn kill(&mut self) {
        self.take_dockerd().end(Signal::KILL);
    }

    /// Asks dockerd to end and starts another one.
    pub(crate) fn restart(&mut self) {
        self.stop();
        self.start();
    }

    /// dockerd answers nothing from now on: clients wait.
    pub(crate) fn pause(&self) {
        self.running_dockerd().pause();
    }

    /// dockerd goes on.
    pub(crate) fn resume(&self) {
        self.running_dockerd().resume();
    }

    /// dockerd answers as if it were well from now on, but nothing starts or ends.
    pub(crate) fn pause_containerd(&self) {
        self.running_containerd().pause();
    }

    /// Starts and ends go on.
    pub(crate) fn resume_containerd(&self) {
        self.running_containerd().resume();
    }

    /// Kills the process that stands between a container and the engine. True if there
    /// was one.
    pub(crate) fn kill_shim(&self, container_id: &str) -> bool {
        let is_its = |command: &[String]| shim_of(command) == Some(container_id);
        self.enclosure.signal_all(Signal::KILL, is_its) > 0
    }

    /// The ids of the containers that have a process beside them, whatever dockerd
    /// knows of it.
    pub(crate) fn shims(&self) -> Vec<String> {
        let commands = self.enclosure.command_lines();
        commands.iter().filter_map(|command| shim_of(command).map(str::to_owned)).collect()
    }

    /// Kills a container by its name or id, without the process that started it. True if
    /// the engine did so.
    pub(crate) fn kill_container(&self, container: &str) -> bool {
        let options = None::<KillContainerOptions>;
        self.ask(async |docker| docker.kill_container(container, options).await.is_ok())
    }

    /// The ids of the containers of an installation, running or not.
    pub(crate) fn containers(&self, installation: &str) -> Vec<String> {
        let filter = format!("gantry.installation={installation}");
        self.list(HashMap::from([("label".to_owned(), vec![filter])]))
    }

    /// The ids of all containers, running or not.
    pub(crate) fn all_containers(&self) -> Vec<String> {
        self.list(HashMap::new())
    }

    /// The container of an execution, if there is one that runs.
    pub(crate) fn container_of(&self, execution_id: &str) -> Option<String> {
        let filter = format!("gantry.execution={execution_id}");
        self.list(HashMap::from([
            ("label".to_owned(), vec![filter]),
            ("status".to_owned(), vec!["running".to_owned()]),
        ]))
        .pop()
    }

    /// True if a container runs; `None` when there is none.
    pub(crate) fn is_running(&self, container: &str) -> Option<bool> {
        let options = None::<InspectContainerOptions>;
        let inspected = self.ask(async |docker| docker.inspect_container(container, options).await);
        inspected.ok()?.state?.running
    }

    fn take_dockerd(&mut self) -> Daemon {
        self.dockerd.take().expect("dockerd runs")
    }

    fn running_dockerd(&self) -> &Daemon {
        self.dockerd.as_ref().expect("dockerd runs")
    }

    fn running_containerd(&self) -> &Daemon {
        self.containerd.as_ref().expect("containerd runs until the end")
    }

    fn list(&self, filters: HashMap<String, Vec<String>>) -> Vec<String> {
        let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
        let listed = self.ask(async |docker| docker.list_containers(Some(options)).await);
        listed.unwrap().into_iter().filter_map(|container| container.id).collect()
    }

    /// Asks this engine, also from a test that is asynchronous itself.
    pub(crate) fn ask<T: Send>(&self, question: impl AsyncFnOnce(Docker) -> T + Send) -> T {
        let socket = self.socket();
        let asking = || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let socket = socket.to_str().unwrap();
            let docker =
                Docker::connect_with_unix(socket, ANSWER_WITHIN, API_DEFAULT_VERSION).unwrap();
            runtime.block_on(question(docker))
        };
        std::thread::scope(|scope| scope.spawn(asking).join().unwrap())
    }

    /// Ends it, and moves its data to another place.
    fn keep_data(mut self, to: &Path) {
        self.end_all();
        fs::rename(&self.data, to).unwrap();
        fs::create_dir(&self.data).unwrap();
    }

    /// Ends everything inside. The daemons go first: those who wait for them may be
    /// stopped, and the kernel keeps the rest until they have been waited for.
    fn end_all(&mut self) {
        if let Some(dockerd) = self.dockerd.take() {
            dockerd.end(Signal::KILL);
        }
        if let Some(containerd) = self.containerd.take() {
            containerd.end(Signal::KILL);
        }
        self.enclosure.close();
    }

    fn wait_until_it_answers(&mut self) {
        let begun = Instant::now();
        loop {
            let is_up = self.socket().exists()
                && self.ask(async |docker| {
                    let ping = tokio::time::timeout(Duration::from_secs(2), docker.ping());
                    ping.await.is_ok_and(|answer| answer.is_ok())
                });
            if is_up {
                return;
            }
            let has_ended = self.dockerd.as_mut().is_none_or(Daemon::has_ended);
            let is_late = begun.elapsed() > UP_WITHIN;
            let log = || fs::read_to_string(self.log()).unwrap_or_default();
            assert!(!has_ended && !is_late, "the private dockerd did not come up:\n{}", log());
            std::thread::sleep(PAUSE);
        }
    }
}

impl Drop for PrivateEngine {
    fn drop(&mut self) {
        self.end_all();
        let cgroups = cgroups::remove(&self.name);
        let data = fs::remove_dir_all(&self.data);
        if !std::thread::panicking() {
            assert_eq!(cgroups, Vec::<PathBuf>::new(), "cgroups are left");
            assert!(data.is_ok(), "{} is left: {data:?}", self.data.display());
        }
    }
}

/// The container that a command is the shim of.
fn shim_of(command: &[String]) -> Option<&str> {
    let is_shim = command.first().is_some_and(|program| program.contains("containerd-shim"));
    let at = command.iter().position(|word| word == "-id")?;
    command.get(at + 1).map(String::as_str).filter(|_| is_shim)
}

/// A containerd of the engine's own: dockerd would use the machine's, where one
/// runs.
fn start_containerd(enclosure: &Enclosure, run: &Path, data: &Path) -> Daemon {
    let config = run.join("containerd.toml");
    let text = format!(
        "version = 2\nroot = {:?}\nstate = {:?}\n\
         disabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\naddress = {:?}\n",
        data.join("containerd"),
        run.join("containerd"),
        run.join("containerd.sock"),
    );
    fs::write(&config, text).unwrap();
    let mut command = enclosure.command("containerd");
    command.arg("--config").arg(config);
    Daemon::start(command, &run.join("containerd.log"))
}

/// The file system with the engine that is to be tested, if it is not the machine's:
/// tests/engines/beside makes it.
fn other_root() -> Option<PathBuf> {
    std::env::var_os("GANTRY_TEST_ENGINE_ROOT").map(PathBuf::from)
}

/// Reason that a test can't have an engine of its own here.
fn missing() -> Option<String> {
    if !geteuid().is_root() {
        return Some("an engine of a test's own needs root".to_owned());
    }
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let is_there = |program: &&str| {
        std::env::split_paths(&folders).any(|folder| folder.join(program).is_file())
    };
    if let Some(program) = PROGRAMS.iter().find(|program| !is_there(program)) {
        return Some(format!("an engine of a test's own needs {program}, which is not installed"));
    }
    enclosure::refusal()
}

/// Waits until a process has ended; calls `wake` before each look.
///
/// # Panics
///
/// When it runs for longer than `END_WITHIN`, with the machine's processes and what each
/// waits for. A test that panics already goes on.
fn reap(child: &mut Child, wake: impl Fn()) {
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() {
        wake();
        if begun.elapsed() > END_WITHIN {
            let processes =
                Command::new("ps").args(["-eo", "pid,ppid,stat,wchan:32,args"]).output();
            let processes = processes.map(|ps| String::from_utf8_lossy(&ps.stdout).into_owned());
            say(&format!("process {} does not end: {processes:?}", child.id()));
            assert!(std::thread::panicking(), "process {} does not end", child.id());
            return;
        }
        std::thread::sleep(PAUSE);
    }
}

/// Says a line on stderr that the test harness does not keep to itself.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

fn path(folder: &Path, name: &str) -> String {
    folder.join(name).to_str().unwrap().to_owned()
}
