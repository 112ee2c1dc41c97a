//! Results of the health checks, cached briefly so that frequent requests don't burden the parts
//! checked.

use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::sync::Mutex;
use utoipa::ToSchema;

/// Lifetime of cached results.
const FRESH: Duration = Duration::from_secs(2);

/// Result of a check of something that the server depends on.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Check {
    /// database, engine or disk.
    pub(crate) name: &'static str,
    /// True if the check passed.
    pub(crate) is_ok: bool,
    /// The problem; null if there is none.
    pub(crate) detail: Option<String>,
}

/// Last results.
#[derive(Default)]
pub(crate) struct LastChecks(Mutex<Option<(Instant, [Check; 3])>>);

impl LastChecks {
    /// Returns fresh or cached results; concurrent callers share one check.
    pub(crate) async fn or(&self, checks: impl Future<Output = [Check; 3]>) -> [Check; 3] {
        let mut last = self.0.lock().await;
        if let Some((at, checks)) = &*last
            && at.elapsed() < FRESH
        {
            return checks.clone();
        }
        let checks = checks.await;
        *last = Some((Instant::now(), checks.clone()));
        checks
    }
}
