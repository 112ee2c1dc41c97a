//! Ten thousand executions of all kinds, one server, and what it takes of the machine
//! all the while: what grows a little with every execution is seen after many. It fails
//! when an execution does not end as it must, or when anything is left.
//!
//! - `SOAK_EXECUTIONS`: how many (10,000 unless it is set; at least [`SAMPLES`])
//!
//! Interrupted, or when the server is gone, it writes what it has until then.

mod chart;
mod findings;
mod lines;
mod load;
mod mix;
mod rest;
mod sample;
mod table;

use std::path::Path;
use std::time::Instant;

use tokio::signal::unix::{Signal, SignalKind, signal};

use findings::Soak;
use load::{Load, Ran};
use sample::Probe;

use crate::harness::report::{Report, folder};
use crate::harness::server::{Database, Server};
use crate::{Failure, setting};

/// Executions in flight.
const IN_FLIGHT: usize = 4;

/// Samples are taken so often in all.
const SAMPLES: u64 = 100;

/// Executions that end otherwise than they must, after which nothing can be learned
/// from more of them.
const TOO_MANY: usize = 100;

pub(crate) async fn measure(machine: &str) -> Result<(), Failure> {
    let wanted = setting("SOAK_EXECUTIONS", 10_000).max(SAMPLES);
    let (data, mounted) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let roots = mounted.path().to_str().ok_or("a folder for temporary files that is no text")?;
    let settings = [("GANTRY_POOL_SIZE", "8"), ("GANTRY_MOUNT_ROOTS", roots)];
    let server = Server::start(&Database::Sqlite, data.path(), &settings).await?;
    let soaked = soak(&server, wanted, data.path(), mounted.path()).await;
    let stopped = server.stop().await;
    let mut soak = soaked?;
    // One that is interrupted may have taken its server with it.
    if soak.broken_off.is_none() {
        soak.left.extend(stopped.err().map(|error| format!("at the server's end: {error}")));
    }
    let behind = rest::containers(data.path()).await?;
    if behind > 0 {
        soak.left.push(format!("{behind} containers behind the server"));
    }
    let mut report = Report::new(machine.to_owned());
    table::write(&soak, &mut report);
    report.publish(Some("soak.md"))?;
    std::fs::write(folder().join("soak.svg"), chart::chart(&soak))?;
    soak.verdict()
}

/// The whole of it, on a server that has just been started.
async fn soak(server: &Server, wanted: u64, data: &Path, mounted: &Path) -> Result<Soak, Failure> {
    mix::register(&server.api, mounted).await?;
    // What is done once is done: images, connections, threads.
    let mut load = Load::start(&server.api, mix::EACH, IN_FLIGHT);
    while let Some(ran) = load.next().await {
        ran.end?;
    }
    let before = rest::at_rest(server, data, None).await?;
    eprintln!("soak: at rest, before: {before}");
    mix::enable(&server.api, true).await?;
    let mut soak = Soak::new(wanted, before);
    soak.broken_off = all(server, data, &mut soak).await?;
    if soak.broken_off.is_none() {
        let after = rest::at_rest(server, data, Some(before)).await?;
        eprintln!("soak: at rest, after: {after}");
        soak.left.extend(after.more_than(before));
        soak.after = Some(after);
    }
    Ok(soak)
}

/// All executions. Answers why there are no more, when some were left out.
async fn all(server: &Server, data: &Path, soak: &mut Soak) -> Result<Option<String>, Failure> {
    let mut end = [signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?];
    let mut probe = Probe::new(data)?;
    let mut load = Load::start(&server.api, soak.wanted, IN_FLIGHT);
    let begun = Instant::now();
    while let Some(ran) = next(&mut load, &mut end).await? {
        soak.done += 1;
        match ran.end {
            Ok(took) => probe.add(took),
            Err(error) => {
                eprintln!("soak: {error}");
                soak.wrong.push(error.to_string());
            }
        }
        if soak.wrong.len() >= TOO_MANY {
            return Ok(Some(format!("{TOO_MANY} executions had not ended as they must")));
        }
        if soak.is_due() {
            match probe.sample(server, soak.done, begun.elapsed()).await {
                Ok(sample) => soak.samples.push(sample.shown()),
                Err(error) => return Ok(Some(format!("the server can't be looked at: {error}"))),
            }
        }
    }
    Ok((soak.done < soak.wanted).then(|| "it was interrupted".to_owned()))
}

/// The next one that is over; none after an interruption.
async fn next(
    load: &mut Load,
    [interrupt, terminate]: &mut [Signal; 2],
) -> Result<Option<Ran>, Failure> {
    Ok(tokio::select! {
        ran = load.next() => ran,
        _ = interrupt.recv() => None,
        _ = terminate.recv() => None,
    })
}
