//! `gantry doctor`: is everything as it should be, and what to do if not.

mod probe;
mod reconcile;

use std::io::{self, Write};

use clap::Args;

use super::outcome::INTERRUPTED;
use super::progress::Progress;
use super::signals::Interrupts;
use super::{FAILED, message, removal, stdout};
use crate::config::{DatabaseSettings, FileSettings, PoolSettings, Settings};
use crate::doctor::{self, Finding, Probed, Severity, examine};
use crate::domain::quantities::show_bytes;
use crate::domain::sanitize::escaped;
use crate::services::Services;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Print JSON
    #[arg(long)]
    json: bool,

    /// Try from inside every kind of sandbox what a hostile script would try, and hold
    /// what came of it against what is expected: network, host, devices, mounts,
    /// namespaces, rights, kernel interfaces, PID 1, limits. Images that are not there
    /// are built. Exit code 1 when anything is not as expected
    #[arg(long)]
    probe: bool,

    /// Remove containers of this installation that nobody uses, and say what a server
    /// does with the others: go on with executions that had begun, or end them
    #[arg(long, conflicts_with = "probe")]
    reconcile: bool,

    /// Only say what would be removed
    #[arg(long, requires = "reconcile")]
    dry_run: bool,

    /// Hash every file of the store again: which are missing, damaged, or unknown
    #[arg(long, conflicts_with_all = ["probe", "reconcile"])]
    files: bool,

    #[command(flatten)]
    database: DatabaseSettings,

    #[command(flatten)]
    file_settings: FileSettings,

    #[command(flatten)]
    pool: PoolSettings,
}

pub(super) async fn main(arguments: &Arguments, settings: &Settings) -> u8 {
    if arguments.probe {
        return try_all(arguments.json, settings).await;
    }
    if arguments.reconcile {
        let Arguments { json, dry_run, database, .. } = arguments;
        return reconcile::main(*json, *dry_run, settings, database).await;
    }
    let findings = match arguments.files {
        true => look_at_files(arguments, settings).await,
        false => examine(settings, &arguments.database, &arguments.pool).await,
    };
    let printed = if arguments.json { print_json(&findings) } else { print(&findings) };
    if let Err(error) = printed {
        return stdout::unprinted(&error, FAILED);
    }
    let is_broken = findings.iter().any(|finding| finding.severity == Severity::Error);
    if is_broken { FAILED } else { 0 }
}

/// Hashes all files again.
async fn look_at_files(arguments: &Arguments, settings: &Settings) -> Vec<Finding> {
    let progress = Progress::for_terminal();
    let show = |files: u64, bytes: u64| {
        progress.show(&format!("{files} files, {}", show_bytes(bytes)));
    };
    let Arguments { database, file_settings, .. } = arguments;
    let findings = doctor::examine_files(settings, database, file_settings, show).await;
    progress.clear();
    findings
}

/// Probes every kind of sandbox.
async fn try_all(is_json: bool, settings: &Settings) -> u8 {
    let interrupts = Interrupts::listen();
    let services = match Services::new(settings) {
        Ok(services) => services,
        Err(error) => {
            message::error(&error.to_string(), error.hint().as_deref());
            return FAILED;
        }
    };
    let progress = Progress::for_terminal();
    let oci_runtime = settings.oci_runtime();
    let show = |line: &str| progress.show(line);
    let all = doctor::probe(&services, oci_runtime.as_deref(), &show, &interrupts.cancel).await;
    progress.clear();
    removal::finish(&services.remover, &interrupts, "the probe's container").await;
    if interrupts.cancel.is_cancelled() {
        return INTERRUPTED;
    }
    let printed = match is_json {
        true => serde_json::to_string_pretty(&all)
            .map_err(io::Error::from)
            .and_then(|it| stdout::line(&it)),
        false => probe::print(&all),
    };
    if let Err(error) = printed {
        return stdout::unprinted(&error, FAILED);
    }
    if all.iter().all(Probed::is_met) { 0 } else { FAILED }
}

fn print_json(findings: &[Finding]) -> io::Result<()> {
    stdout::line(&serde_json::to_string_pretty(findings)?)
}

fn print(findings: &[Finding]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    for Finding { subject, severity, seen, advice } in findings {
        let severity = match severity {
            Severity::Ok => "ok",
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        writeln!(stdout, "{severity:8} {subject}: {}", escaped(seen))?;
        if let Some(advice) = advice {
            writeln!(stdout, "         hint: {}", escaped(advice))?;
        }
    }
    Ok(())
}
