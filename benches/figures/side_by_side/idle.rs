//! What a full pool costs while nobody calls: time of the CPUs, and memory.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bollard::Docker;
use bollard::query_parameters::InspectContainerOptions;

use super::POOL;
use crate::harness::served::{Served, containers};
use crate::{Failure, setting};

/// What the last start has left to do.
const AFTERMATH: Duration = Duration::from_secs(3);

pub(crate) struct Idle {
    pub(crate) seconds: f64,
    pub(crate) containers: usize,
    /// Shares of one CPU, in percent.
    pub(crate) server_percent: f64,
    pub(crate) containers_percent: f64,
    pub(crate) shims_percent: f64,
    /// Of one container on average, in KiB, with all that its cgroup is charged for.
    pub(crate) container_kib: f64,
    /// Resident memory of one container's shim on average, in KiB.
    pub(crate) shim_kib: f64,
}

/// A container that waits, as the kernel knows it.
struct Waiting {
    /// PID 1 in it.
    init: u32,
    shim: u32,
}

pub(crate) async fn measure(served: &Served) -> Result<Idle, Failure> {
    served.bring_up(POOL).await?;
    tokio::time::sleep(AFTERMATH).await;
    let waiting = waiting(served).await?;
    let server = served.server.pid();
    let before = used(server, &waiting)?;
    let begun = Instant::now();
    tokio::time::sleep(Duration::from_secs(setting("GANTRY_BENCH_IDLE_SECONDS", 20))).await;
    let after = used(server, &waiting)?;
    let seconds = begun.elapsed().as_secs_f64();
    let [server_percent, containers_percent, shims_percent] = [0, 1, 2].map(|part: usize| {
        let of = |times: &[f64; 3]| times.get(part).copied().unwrap_or_default();
        (of(&after) - of(&before)) / seconds * 100.0
    });
    #[expect(clippy::cast_precision_loss, reason = "a few")]
    let count = waiting.len() as f64;
    let memory = waiting.iter().map(memory_of_cgroup).sum::<Result<f64, Failure>>()?;
    let shims = waiting.iter().map(|it| status(it.shim, "VmRSS")).sum::<Result<f64, Failure>>()?;
    Ok(Idle {
        seconds,
        containers: waiting.len(),
        server_percent,
        containers_percent,
        shims_percent,
        container_kib: memory / count,
        shim_kib: shims / count,
    })
}

async fn waiting(served: &Served) -> Result<Vec<Waiting>, Failure> {
    let docker = Docker::connect_with_defaults()?;
    let mut waiting = Vec::new();
    for container in containers(&docker, served.folder.path()).await? {
        let id = container.id.ok_or("a container without an id")?;
        let seen = docker.inspect_container(&id, None::<InspectContainerOptions>).await?;
        let pid = seen.state.and_then(|it| it.pid).ok_or("a container without a process")?;
        let init = u32::try_from(pid)?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an id")]
        let shim = status(init, "PPid")? as u32;
        waiting.push(Waiting { init, shim });
    }
    match waiting.len() {
        POOL => Ok(waiting),
        other => Err(format!("{other} containers wait, and {POOL} were to").into()),
    }
}

/// Seconds of CPU of the server, the containers and their shims.
fn used(server: u32, waiting: &[Waiting]) -> Result<[f64; 3], Failure> {
    let containers = waiting.iter().map(cpu_of_cgroup).sum::<Result<f64, Failure>>()?;
    let shims = waiting.iter().map(|it| cpu_of_process(it.shim)).sum::<Result<f64, Failure>>()?;
    Ok([cpu_of_process(server)?, containers, shims])
}

/// A number in `/proc/PID/status`.
fn status(pid: u32, line: &str) -> Result<f64, Failure> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let found = text.lines().find_map(|it| it.strip_prefix(line)?.strip_prefix(':'));
    Ok(found.ok_or("no such line")?.trim().trim_end_matches(" kB").parse()?)
}

/// Seconds that all threads have run (proc(5), `schedstat`, in nanoseconds): the
/// ticks of `stat` are as long as all that a server without work does in a second.
fn cpu_of_process(pid: u32) -> Result<f64, Failure> {
    let mut seconds = 0.0;
    for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = std::fs::read_to_string(thread?.path().join("schedstat"))?;
        seconds += text.split(' ').next().ok_or("no time")?.parse::<f64>()? / 1e9;
    }
    Ok(seconds)
}

fn cpu_of_cgroup(container: &Waiting) -> Result<f64, Failure> {
    if let Some(folder) = cgroup(container.init, "cpuacct")? {
        return Ok(number(&folder.join("cpuacct.usage"))? / 1e9);
    }
    let folder = cgroup(container.init, "")?.ok_or("no cgroup")?;
    let text = std::fs::read_to_string(folder.join("cpu.stat"))?;
    let micros = text.lines().find_map(|line| line.strip_prefix("usage_usec "));
    Ok(micros.ok_or("no usage_usec")?.parse::<f64>()? / 1e6)
}

/// In KiB.
fn memory_of_cgroup(container: &Waiting) -> Result<f64, Failure> {
    let path = match cgroup(container.init, "memory")? {
        Some(folder) => folder.join("memory.usage_in_bytes"),
        None => cgroup(container.init, "")?.ok_or("no cgroup")?.join("memory.current"),
    };
    Ok(number(&path)? / 1024.0)
}

/// The folder of a process in a hierarchy: that of a controller in version 1, and
/// the one without a name in version 2 (cgroups(7), `/proc/PID/cgroup`).
fn cgroup(pid: u32, controller: &str) -> Result<Option<PathBuf>, Failure> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup"))?;
    let path = text.lines().find_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        controllers.split(',').any(|it| it == controller).then(|| path.trim_start_matches('/'))
    });
    let root = Path::new("/sys/fs/cgroup").join(controller);
    Ok(path.map(|path| root.join(path)))
}

fn number(path: &Path) -> Result<f64, Failure> {
    let text = std::fs::read_to_string(path);
    Ok(text.map_err(|error| format!("{}: {error}", path.display()))?.trim().parse()?)
}
