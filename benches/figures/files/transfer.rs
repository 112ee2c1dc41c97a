//! Uploads and downloads of one large file, in turns with nginx on the same disk. Gantry's
//! are hashed and durable when they are answered.

use reqwest::Method;

use super::client::{self, Content};
use super::nginx::Nginx;
use super::{large, rounds};
use crate::Failure;
use crate::harness::goal::Goal;
use crate::harness::report::Report;
use crate::harness::series::Series;
use crate::harness::server::{Database, Server};

/// Least throughput, as a share of nginx's.
const SHARE: f64 = 0.7;

struct Times {
    up: [Series; 2],
    down: [Series; 2],
}

pub(super) async fn measure(report: &mut Report) -> Result<Vec<Goal>, Failure> {
    let folder = tempfile::tempdir_in("target")?;
    let (data, files) = (folder.path().join("data"), folder.path().join("nginx"));
    std::fs::create_dir(&data)?;
    std::fs::create_dir(&files)?;
    let server = Server::start(&Database::Sqlite, &data, &[]).await?;
    let nginx = Nginx::start(&files.canonicalize()?).await?;
    let measured = alternate(&server, &nginx).await;
    nginx.stop().await?;
    server.stop().await?;
    let Times { up, down } = measured?;
    let mib = large() >> 20;
    let goals = [("upload", &up), ("download", &down)].map(|(what, [gantry, nginx])| {
        let share = nginx.median() / gantry.median();
        Goal {
            what: format!("{what} of {mib} MiB, throughput"),
            goal: format!("≥ {SHARE} × nginx"),
            measured: format!("{share:.2} ×"),
            factor: SHARE / share,
        }
    });
    report.times(&format!("Upload of {mib} MiB"), up);
    report.times(&format!("Download of {mib} MiB"), down);
    Ok(goals.into())
}

async fn alternate(server: &Server, nginx: &Nginx) -> Result<Times, Failure> {
    let mut times = Times {
        up: [Series::new("Gantry"), Series::new("nginx")],
        down: [Series::new("Gantry"), Series::new("nginx")],
    };
    let mut content = Content::new()?;
    let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build()?;
    for _ in 0..rounds() {
        let (digest, took) = client::upload(&server.api, content.body(large())).await?;
        times.up[0].add(took);
        let url = format!("{}/file", nginx.url);
        let put = http.request(Method::PUT, &url).body(content.body(large()));
        times.up[1].add(client::timed(put).await?);
        times.down[0].add(client::download(&server.api, &digest).await?);
        times.down[1].add(client::timed(http.get(&url)).await?);
        client::forget(&server.api, &digest).await?;
    }
    Ok(times)
}
