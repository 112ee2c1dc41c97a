//! What the engine's API costs by itself: create, attach, start, read, wait,
//! remove, with Gantry's hardening and nothing of Gantry.

use std::collections::HashMap;

use bollard::container::LogOutput;
use bollard::models::{ContainerCreateBody, HostConfig, HostConfigLogConfig};
use bollard::query_parameters::{
    AttachContainerOptionsBuilder, RemoveContainerOptionsBuilder, StartContainerOptions,
};
use futures::StreamExt;
use tokio::io::AsyncWriteExt;

use super::subject::Task;
use super::workload::INPUT;
use crate::Failure;

pub(crate) async fn execute(task: &Task) -> Result<(), Failure> {
    let docker = bollard::Docker::connect_with_defaults()?;
    let created = docker.create_container(NO_NAME, body(task)).await?;
    let attach = AttachContainerOptionsBuilder::default()
        .stdin(true)
        .stdout(true)
        .stderr(true)
        .stream(true)
        .build();
    let mut attached = docker.attach_container(&created.id, Some(attach)).await?;
    docker.start_container(&created.id, None::<StartContainerOptions>).await?;
    attached.input.write_all(INPUT.as_bytes()).await?;
    attached.input.shutdown().await?;
    let mut stdout = Vec::new();
    while let Some(piece) = attached.output.next().await {
        if let LogOutput::StdOut { message } = piece? {
            stdout.extend_from_slice(&message);
        }
    }
    let _ = docker.wait_container(&created.id, NO_WAIT).next().await;
    let remove = RemoveContainerOptionsBuilder::default().force(true).build();
    docker.remove_container(&created.id, Some(remove)).await?;
    if stdout == INPUT.as_bytes() { Ok(()) } else { Err(format!("floor: {stdout:?}").into()) }
}

const NO_NAME: Option<bollard::query_parameters::CreateContainerOptions> = None;
const NO_WAIT: Option<bollard::query_parameters::WaitContainerOptions> = None;

fn body(task: &Task) -> ContainerCreateBody {
    let strings = |texts: &[&str]| Some(texts.iter().map(|text| (*text).to_owned()).collect());
    let tmpfs = |bytes: u64| format!("rw,noexec,nosuid,nodev,size={bytes}");
    ContainerCreateBody {
        image: Some(task.image.clone()),
        entrypoint: strings(&task.workload.command),
        user: Some("65534:65534".to_owned()),
        open_stdin: Some(true),
        stdin_once: Some(true),
        attach_stdin: Some(true),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        network_disabled: Some(true),
        host_config: Some(HostConfig {
            network_mode: Some("none".to_owned()),
            readonly_rootfs: Some(true),
            cap_drop: strings(&["ALL"]),
            security_opt: strings(&["no-new-privileges"]),
            ipc_mode: Some("none".to_owned()),
            memory: Some(512 << 20),
            memory_swap: Some(512 << 20),
            nano_cpus: Some(1_000_000_000),
            pids_limit: Some(256),
            tmpfs: Some(HashMap::from([
                ("/work".to_owned(), tmpfs(128 << 20)),
                ("/tmp".to_owned(), tmpfs(64 << 20)),
            ])),
            log_config: Some(HostConfigLogConfig { typ: Some("local".to_owned()), config: None }),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    }
}
