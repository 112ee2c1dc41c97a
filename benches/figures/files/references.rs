//! Executions with files by reference, in turns with the same script without any: warm
//! sandboxes, with scratch in memory and on disk; and one large output, beside `cp` and
//! `docker run`.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::process::Command;

use super::client::{self, Content};
use super::{large, rounds};
use crate::harness::api::Execution;
use crate::harness::goal::Goal;
use crate::harness::report::Report;
use crate::harness::series::Series;
use crate::harness::served::pool;
use crate::harness::server::{Database, Server};
use crate::{Failure, setting};

/// Files of the folder that is given by reference.
const FOLDER: usize = 1_000;

/// Sandboxes that wait for each script.
const WARM: usize = 2;

/// Writes the input once more, so that it is content that nobody has.
const WRITE: &str = "#!/bin/bash
mkdir -p out
{ head -c 16 /dev/urandom; cat in/large; } >out/large
";

/// Time in which hashing a GiB at 0.9 GB/s ends, in seconds: the goals are for a machine
/// that hashes as fast.
const HASHED_WITHIN: f64 = 1.193;

pub(super) async fn measure(report: &mut Report) -> Result<Vec<Goal>, Failure> {
    let folder = tempfile::tempdir_in("target")?;
    let settings = [("GANTRY_POOL_SIZE", "8"), ("GANTRY_MAX_CONCURRENT", "2")];
    let server = Server::start(&Database::Sqlite, folder.path(), &settings).await?;
    let measured = on(&server, folder.path(), report).await;
    server.stop().await?;
    measured
}

async fn on(server: &Server, data: &Path, report: &mut Report) -> Result<Vec<Goal>, Failure> {
    let inputs = Inputs::upload(server).await?;
    for (name, disk) in [("memory", 0), ("disk", 64_u64 << 20)] {
        register(server, name, "cat", disk, WARM).await?;
    }
    let cases = [
        ("scratch in memory, no files", "memory", json!({})),
        ("scratch on disk, no files", "disk", json!({})),
        ("scratch on disk, a small file", "disk", json!({ "small": inputs.small })),
        ("scratch on disk, a large file", "disk", json!({ "large": inputs.large })),
        ("scratch on disk, 1,000 files", "disk", json!({ "folder": inputs.folder })),
    ];
    let mut times = cases.clone().map(|(name, _, _)| Series::new(name));
    for _ in 0..setting("GANTRY_BENCH_CALLS", 3 * rounds()) {
        for ((_, script, files), series) in cases.iter().zip(&mut times) {
            waiting(server, 2 * WARM).await?;
            let body = json!({ "script": script, "input": { "a": 1 }, "files": files });
            let (execution, took) = server.api.run(&body).await?;
            completed(&execution)?;
            if execution.sandbox.is_some_and(|it| it.warm) {
                series.add(took);
            }
        }
    }
    let [memory, disk, small, one, many] = times.each_ref().map(Series::median);
    let mut goals = vec![
        Goal::at_most_ms(
            "scratch on disk and a small file, more than neither",
            small - memory,
            2.0,
        ),
        Goal::at_most_ms("a large file as input, added", one - disk, 10.0),
        Goal::at_most_ms("1,000 files as input, added", many - disk, 100.0),
    ];
    report.plain_times("Warm `cat`, a request over one connection", times);
    goals.extend(outputs(server, data, &inputs, report).await?);
    Ok(goals)
}

/// Digests of what is given by reference.
struct Inputs {
    small: String,
    large: String,
    folder: String,
}

impl Inputs {
    async fn upload(server: &Server) -> Result<Self, Failure> {
        let (api, mut content) = (&server.api, Content::new()?);
        let (small, _) = client::upload(api, content.body(1_000)).await?;
        let (large, _) = client::upload(api, content.body(large())).await?;
        let mut entries = Vec::new();
        for number in 0..FOLDER {
            let (digest, _) = client::upload(api, content.body(1_000)).await?;
            entries.push(json!({ "path": format!("{number:04}"), "digest": digest }));
        }
        let folder = client::make_tree(api, &json!({ "files": entries })).await?;
        Ok(Self { small, large, folder: format!("tree:{folder}") })
    }
}

/// One large output: the time that its script did not take, beside others that write as much.
async fn outputs(
    server: &Server,
    data: &Path,
    inputs: &Inputs,
    report: &mut Report,
) -> Result<Vec<Goal>, Failure> {
    register(server, "write", WRITE, 2 * large() + (64 << 20), 0).await?;
    let mut hashed = Series::new("SHA-256 of it, in one thread");
    let mut kept = Series::new("Gantry, beyond the script's own time");
    let mut copied = Series::new("`cp`");
    let mut docker = Series::new("`docker run` with a bind mount, the same script");
    let mut most_grown = 0;
    let original = data.join("original");
    for _ in 0..rounds() {
        let body = json!({ "script": "write", "files": { "large": inputs.large } });
        let before = on_disk(data).await?;
        let (execution, took) = server.api.run(&body).await?;
        completed(&execution)?;
        most_grown = most_grown.max(on_disk(data).await?.saturating_sub(before));
        let own = Duration::from_secs_f64(execution.duration_ms.unwrap_or_default() / 1000.0);
        kept.add(took.saturating_sub(own));
        let path = format!("/api/v1/executions/{}/artifacts/large", execution.id);
        client::save(&server.api, &path, &original).await?;
        hashed.add(hash(&original).await?);
        copied.add(timed(Command::new("cp").arg(&original).arg(data.join("copy"))).await?);
        docker.add(docker_run(data).await?);
    }
    let hash = hashed.median();
    let limit =
        1300.0 * hash / (HASHED_WITHIN * 1000.0) * (large() as f64 / (1_u64 << 30) as f64).max(0.0);
    let goal = Goal::at_most_ms("a large output, hashed and kept", kept.median(), limit.round());
    let extra = most_grown.saturating_sub(large() + (large() >> 6));
    let second =
        Goal::none("MiB on disk beyond the output itself".to_owned(), (extra >> 20) as usize);
    report.plain_times(
        &format!("An output of {} MiB", large() >> 20),
        [kept, hashed, copied, docker],
    );
    Ok(vec![goal, second])
}

/// Registers a shell script; `disk` is its scratch on disk in bytes, or 0 for memory.
async fn register(
    server: &Server,
    name: &str,
    source: &str,
    disk: u64,
    warm: usize,
) -> Result<(), Failure> {
    let body = json!({
        "name": name, "description": "", "script_type": "shell", "source": source, "warm": warm,
        "limits": { "disk_bytes": disk },
    });
    server.api.register_as(body).await
}

/// Waits until at least so many sandboxes wait, and none is being started.
async fn waiting(server: &Server, at_least: usize) -> Result<(), Failure> {
    loop {
        let pool = pool(&server.api).await?;
        if pool.unused >= at_least && pool.starting == 0 {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn completed(execution: &Execution) -> Result<(), Failure> {
    if execution.status == "completed" { Ok(()) } else { Err(execution.end().into()) }
}

/// Bytes that a folder takes on the disk; files of several names count once.
async fn on_disk(folder: &Path) -> Result<u64, Failure> {
    let mut du = Command::new("du");
    let output = du.args(["--summarize", "--block-size=1"]).arg(folder).output().await?;
    let text = String::from_utf8(output.stdout)?;
    Ok(text.split_whitespace().next().ok_or("du says nothing")?.parse()?)
}

/// Hashes a file that is in the page cache; the time that it takes.
async fn hash(path: &Path) -> Result<Duration, Failure> {
    let mut file = std::fs::File::open(path)?;
    let hashing = move || {
        let begun = Instant::now();
        let mut hash = Sha256::new();
        let mut piece = vec![0; 1 << 20];
        loop {
            match std::io::Read::read(&mut file, &mut piece)? {
                0 => break,
                read => hash.update(piece.get(..read).unwrap_or_default()),
            }
        }
        hash.finalize();
        Ok::<_, std::io::Error>(begun.elapsed())
    };
    Ok(tokio::task::spawn_blocking(hashing).await??)
}

/// The same script without Gantry, hardened, with a folder of the host.
async fn docker_run(data: &Path) -> Result<Duration, Failure> {
    let folder = tempfile::tempdir_in(data)?;
    std::fs::create_dir(folder.path().join("in"))?;
    std::fs::hard_link(data.join("original"), folder.path().join("in/large"))?;
    let mut run = Command::new("docker");
    run.args(["run", "--rm", "--network=none", "--read-only", "--cap-drop=ALL"]);
    run.args(["--security-opt=no-new-privileges", "--workdir=/work", "--entrypoint=/bin/bash"]);
    run.arg(format!("--volume={}:/work", folder.path().canonicalize()?.display()));
    run.args([&shell_image().await?, "-c", WRITE]);
    timed(&mut run).await
}

/// The image that shell scripts run in.
async fn shell_image() -> Result<String, Failure> {
    let mut list = Command::new(env!("CARGO_BIN_EXE_gantry"));
    let output = list.args(["images", "list", "--json"]).output().await?;
    let images: Vec<Value> = serde_json::from_slice(&output.stdout)?;
    let mut current = images.iter().filter(|it| it["role"] == "shell" && it["current"] == true);
    let tag =
        current.next().and_then(|it| it["tag"].as_str()).ok_or("no image for shell scripts")?;
    Ok(tag.to_owned())
}

async fn timed(command: &mut Command) -> Result<Duration, Failure> {
    let begun = Instant::now();
    let status = command.stdout(Stdio::null()).status().await?;
    let took = begun.elapsed();
    if status.success() { Ok(took) } else { Err(format!("{command:?}: {status}").into()) }
}
