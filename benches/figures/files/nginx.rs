//! nginx on the same disk: an image of its own (`benches/nginx`), on loopback alone.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::process::Command;

use crate::Failure;

/// Time within which it listens.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) struct Nginx {
    container: String,
    /// Address of its files.
    pub(super) url: String,
}

impl Nginx {
    /// Starts one with its files in a folder.
    pub(super) async fn start(folder: &Path) -> Result<Self, Failure> {
        let image = output(Command::new("benches/nginx/prepare")).await?;
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut run = Command::new("docker");
        run.args(["run", "--detach", "--rm", "--network=host", "--log-driver=none"]);
        run.arg(format!("--env=PORT={port}"));
        run.arg(format!("--volume={}:/files", folder.display()));
        run.arg(image);
        let container = output(run).await?;
        let nginx = Self { container, url: format!("http://127.0.0.1:{port}") };
        let begun = Instant::now();
        while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            if begun.elapsed() > PATIENCE {
                nginx.stop().await?;
                return Err("nginx does not listen".into());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(nginx)
    }

    pub(super) async fn stop(self) -> Result<(), Failure> {
        let mut kill = Command::new("docker");
        kill.args(["kill", &self.container]);
        output(kill).await.map(drop)
    }
}

async fn output(mut command: Command) -> Result<String, Failure> {
    let output = command.stderr(Stdio::inherit()).output().await?;
    if !output.status.success() {
        return Err(format!("{command:?}: {}", output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
