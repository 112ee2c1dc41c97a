//! `docker run`, hardened as a careful person would: the same limits, the same
//! script, without what only the API can do.

use std::process::Stdio;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::subject::Task;
use super::workload::INPUT;
use crate::Failure;

const OPTIONS: [&str; 19] = [
    "run",
    "--rm",
    "--interactive",
    "--network=none",
    "--read-only",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
    "--ipc=none",
    "--pids-limit=256",
    "--memory=512m",
    "--memory-swap=512m",
    "--cpus=1",
    "--user=65534:65534",
    "--tmpfs=/work:rw,noexec,nosuid,nodev,size=128m",
    "--tmpfs=/tmp:rw,noexec,nosuid,nodev,size=64m",
    "--ulimit=nofile=4096",
    "--ulimit=core=0",
    "--log-driver=local",
    "--workdir=/work",
];

pub(crate) async fn execute(task: &Task) -> Result<(), Failure> {
    let [program, arguments @ ..] = task.workload.command;
    let mut child = Command::new("docker")
        .args(OPTIONS)
        .args(["--entrypoint", program, &task.image])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .spawn()?;
    let mut stdin = child.stdin.take().ok_or("no stdin")?;
    stdin.write_all(INPUT.as_bytes()).await?;
    drop(stdin);
    let output = child.wait_with_output().await?;
    if output.stdout == INPUT.as_bytes() {
        Ok(())
    } else {
        Err(format!("docker run: {output:?}").into())
    }
}
