//! The server's memory while many uploads and downloads of large files go on.

use futures::future::try_join_all;

use super::client::{self, Content};
use super::large;
use crate::harness::goal::Goal;
use crate::harness::report::Report;
use crate::harness::server::{Database, Server};
use crate::{Failure, setting};

/// Most resident memory, in MiB.
const MOST: f64 = 100.0;

pub(super) async fn measure(report: &mut Report) -> Result<Vec<Goal>, Failure> {
    let folder = tempfile::tempdir_in("target")?;
    let server = Server::start(&Database::Sqlite, folder.path(), &[]).await?;
    let measured = on(&server).await;
    server.stop().await?;
    let (idle, peak) = measured?;
    let count = transfers();
    let what = format!("{count} uploads and {count} downloads of {} MiB at once", large() >> 20);
    report.head(&what, "| resident memory of the server | MiB |");
    report.rows(vec![format!("| idle | {idle:.1} |"), format!("| at most | {peak:.1} |")]);
    Ok(vec![Goal {
        what: format!("{what}, memory of the server"),
        goal: format!("≤ {MOST} MiB"),
        measured: format!("{peak:.1} MiB"),
        factor: peak / MOST,
    }])
}

fn transfers() -> u64 {
    setting("GANTRY_BENCH_TRANSFERS", 50)
}

/// Resident memory before and at most, in MiB.
async fn on(server: &Server) -> Result<(f64, f64), Failure> {
    let api = &server.api;
    let mut content = Content::new()?;
    let (digest, _) = client::upload(api, content.body(large())).await?;
    let idle = server.memory("VmRSS")?;
    let bodies: Vec<_> = (0..transfers()).map(|_| content.body(large())).collect();
    let uploads = try_join_all(bodies.into_iter().map(|body| client::upload(api, body)));
    let downloads = try_join_all((0..transfers()).map(|_| client::download(api, &digest)));
    let (uploaded, downloaded) = futures::join!(uploads, downloads);
    downloaded?;
    for (digest, _) in uploaded? {
        client::forget(api, &digest).await?;
    }
    Ok((idle, server.memory("VmHWM")?))
}
