//! Examines everything that Gantry depends on, and advises what to do. It changes
//! nothing, but for one sandbox that it starts and removes.

mod database;
mod engine;
mod examiner;
mod files;
mod leftovers;
mod machine;
mod opened;
mod pool;
mod probe;
pub mod reconcile;
mod token;
mod trial;
mod versions;

pub use examiner::{Examination, Examiner};
pub use files::examine as examine_files;
pub use probe::{Check, Probed, probe};
use serde::Serialize;

use crate::config::{DatabaseSettings, PoolSettings, Settings};
use crate::domain::limits::memory_for_scripts;
use crate::services::Services;

/// Severity of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// As it should be.
    Ok,
    /// It works; something is worth knowing.
    Warning,
    /// It must be mended.
    Error,
}

/// Result of a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The checked part.
    pub subject: &'static str,
    /// Its severity.
    pub severity: Severity,
    /// The observation.
    pub seen: String,
    /// Advice about what to do.
    pub advice: Option<String>,
}

impl Finding {
    fn ok(subject: &'static str, seen: impl Into<String>) -> Self {
        Self { subject, severity: Severity::Ok, seen: seen.into(), advice: None }
    }

    fn warning(subject: &'static str, seen: impl Into<String>, advice: impl Into<String>) -> Self {
        let advice = Some(advice.into());
        Self { subject, severity: Severity::Warning, seen: seen.into(), advice }
    }

    fn error(subject: &'static str, seen: impl Into<String>, advice: impl Into<String>) -> Self {
        let advice = Some(advice.into());
        Self { subject, severity: Severity::Error, seen: seen.into(), advice }
    }
}

/// Looks at everything. What can't be looked at because something before it is
/// missing is left out.
pub async fn examine(
    settings: &Settings,
    database: &DatabaseSettings,
    pool: &PoolSettings,
) -> Vec<Finding> {
    let mut findings = vec![machine::data_dir(settings)];
    findings.extend(database::files(settings, database));
    findings.extend(database::examine(settings, database).await);
    findings.extend(token::examine(settings.admin_token().as_deref()));
    let services = match Services::new(settings) {
        Ok(services) => services,
        Err(error) => {
            let advice = error.hint().unwrap_or_else(|| "correct the setting".to_owned());
            findings.push(Finding::error("settings", error.to_string(), advice));
            return findings;
        }
    };
    let engine = match services.docker.describe().await {
        Ok(engine) => engine,
        Err(error) => {
            let advice = error.hint().unwrap_or("look at the engine's own log");
            findings.push(Finding::error("engine", error.to_string(), advice));
            return findings;
        }
    };
    let endpoint = services.docker.endpoint();
    findings.extend(engine::examine(endpoint, &engine));
    findings.push(engine::users(&engine, services.docker.uids()));
    findings.extend(opened::owners(settings, &engine));
    findings.extend(versions::examine(&engine));
    let needs = database::needs(settings, database).await;
    let runtimes = needs.iter().flat_map(|it| it.runtimes.iter().map(String::as_str));
    findings.push(engine::oci_runtimes(&engine, settings.oci_runtime().as_deref(), runtimes));
    if let Some(needs) = &needs {
        let memory_bytes = pool.memory_bytes(memory_for_scripts(engine.memory_bytes));
        let size = u64::try_from(pool.size()).unwrap_or(u64::MAX);
        findings.push(pool::floors(pool::Limits { size, memory_bytes }, needs.warm));
        findings.extend(pool::preloading(&needs.not_preloaded));
    }
    if endpoint.is_local() {
        findings.extend(machine::engine_disk(&engine));
        findings.extend(machine::taken_uids(services.docker.uids()));
        findings.extend(opened::shares(settings));
        findings.extend(machine::terminals());
        findings.extend(machine::core_files());
    }
    findings.extend(trial::images(&services).await);
    findings.extend(leftovers::look(&services, settings, database).await);
    findings.extend(trial::start(&services, settings.oci_runtime()).await);
    findings.extend(trial::scratch(&services, settings.oci_runtime()).await);
    services.remover.drain().await;
    findings
}
