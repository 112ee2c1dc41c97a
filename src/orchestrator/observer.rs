//! Hears of what happens, for metrics: it can change nothing.

use std::time::Duration;

use crate::domain::execution::Report;

/// Hears of what happens. Its methods must return at once.
pub trait Observer: Send + Sync {
    /// An execution has ended, and its end is stored.
    fn execution_ended(&self, script: &str, report: &Report, queued: Duration);

    /// An environment was built, or could not be.
    fn environment_built(&self, is_ok: bool, took: Duration);

    /// The engine has started a sandbox, or an outage kept it from doing so.
    fn engine_started(&self, is_ok: bool);
}

/// Hears nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unobserved;

impl Observer for Unobserved {
    fn execution_ended(&self, _: &str, _: &Report, _: Duration) {}

    fn environment_built(&self, _: bool, _: Duration) {}

    fn engine_started(&self, _: bool) {}
}
