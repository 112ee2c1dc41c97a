//! `gantry doctor`: is everything as it should be, and what to do if not.

use std::io::{self, Write};

use clap::Args;

use super::{FAILED, stdout};
use crate::config::{DatabaseSettings, PoolSettings, Settings};
use crate::doctor::{Finding, Standing, examine};
use crate::domain::excerpt::escaped;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Print JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    database: DatabaseSettings,

    #[command(flatten)]
    pool: PoolSettings,
}

pub(super) async fn main(arguments: &Arguments, settings: &Settings) -> u8 {
    let findings = examine(settings, &arguments.database, &arguments.pool).await;
    let printed = if arguments.json { print_json(&findings) } else { print(&findings) };
    if let Err(error) = printed {
        return stdout::unprinted(&error, FAILED);
    }
    let is_broken = findings.iter().any(|finding| finding.standing == Standing::Error);
    if is_broken { FAILED } else { 0 }
}

fn print_json(findings: &[Finding]) -> io::Result<()> {
    stdout::line(&serde_json::to_string_pretty(findings)?)
}

fn print(findings: &[Finding]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    for Finding { subject, standing, seen, advice } in findings {
        let standing = match standing {
            Standing::Ok => "ok",
            Standing::Warning => "warning",
            Standing::Error => "error",
        };
        writeln!(stdout, "{standing:8} {subject}: {}", escaped(seen))?;
        if let Some(advice) = advice {
            writeln!(stdout, "         hint: {}", escaped(advice))?;
        }
    }
    Ok(())
}
