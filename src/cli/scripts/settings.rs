//! Settings of scripts on the command line: their flags, the filters of a list, and what `list`
//! and `show` say of them. A setting that is added in the domain is added here, and nowhere else
//! in the command line.

use clap::Args;
use serde_json::{Map, Number, Value};

use crate::cli::fields::{Lines, bytes};
use crate::cli::run::{cpus, disk, memory, script_type, timeout};
use crate::client::wire::{Limits, Script};
use crate::client::{ClientError, Fields};
use crate::domain::limits::{MAX_FILE_COUNT, Timeout};
use crate::domain::quantities::NANO_CPUS_PER_CPU;
use crate::domain::registry::MAX_WARM;
use crate::domain::registry::settings::Tags;
use crate::domain::sanitize::sanitize;
use crate::domain::script_type::ScriptType;

#[derive(Debug, Args)]
pub(super) struct SettingFlags {
    /// Time that it may take, such as 30s or 5m
    #[arg(long, value_name = "TIME", value_parser = timeout)]
    timeout: Option<Timeout>,

    /// Memory that it may use, such as 256MiB
    #[arg(long, value_name = "SIZE", value_parser = memory)]
    memory: Option<u64>,

    /// Room in /work on the server's disk, such as 20GiB; 0 keeps /work in memory
    #[arg(long, value_name = "SIZE", value_parser = disk)]
    disk: Option<u64>,

    /// Files that an execution of it may leave
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_FILE_COUNT)))]
    file_count: Option<u32>,

    /// CPUs that it may use, such as 0.5
    #[arg(long, value_name = "CPUS", value_parser = cpus)]
    cpus: Option<u64>,

    /// Executions of it that may run at once
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_concurrency: Option<u32>,

    /// Unused sandboxes that are always held for it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(..=i64::from(MAX_WARM)))]
    warm: Option<u32>,

    /// A word to find it by, in place of those that it has; may be repeated
    #[arg(long = "tag", value_name = "TAG", value_parser = tag)]
    tags: Vec<String>,
}

fn tag(word: &str) -> Result<String, String> {
    Tags::check(word).map(|()| word.to_owned()).map_err(|fault| fault.to_string())
}

/// Settings that can be taken from a script again: words of `--clear`, and the fields.
pub(super) const CLEARABLE: [(&str, &str); 3] =
    [("max-concurrency", "max_concurrency"), ("warm", "warm"), ("tags", "tags")];

impl SettingFlags {
    /// Sets the fields that were given.
    pub(super) fn set(&self, fields: &mut Fields) -> Result<(), ClientError> {
        fields.set_some("timeout_secs", self.timeout.as_ref())?;
        let mut limits = Map::new();
        if let Some(bytes) = self.memory {
            limits.insert("memory_bytes".to_owned(), bytes.into());
        }
        if let Some(bytes) = self.disk {
            limits.insert("disk_bytes".to_owned(), bytes.into());
        }
        if let Some(files) = self.file_count {
            limits.insert("file_count".to_owned(), files.into());
        }
        if let Some(cpus) = self.cpus.and_then(number_of_cpus) {
            limits.insert("cpus".to_owned(), Value::Number(cpus));
        }
        if !limits.is_empty() {
            fields.set("limits", &limits)?;
        }
        fields.set_some("max_concurrency", self.max_concurrency.as_ref())?;
        fields.set_some("warm", self.warm.as_ref())?;
        fields.set_list("tags", &self.tags)
    }
}

/// Whole CPUs as whole numbers: not every reader takes `1.0` for `1`.
#[expect(clippy::cast_precision_loss, reason = "1024 CPUs in nano CPUs are below 2^53")]
fn number_of_cpus(nano_cpus: u64) -> Option<Number> {
    if nano_cpus.is_multiple_of(NANO_CPUS_PER_CPU) {
        return Some((nano_cpus / NANO_CPUS_PER_CPU).into());
    }
    Number::from_f64(nano_cpus as f64 / NANO_CPUS_PER_CPU as f64)
}

/// Which scripts are listed.
#[derive(Debug, Args)]
pub(super) struct FilterFlags {
    /// Only those with this text in their name or description
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,

    /// Only those of this type
    #[arg(long = "type", value_name = "TYPE", value_parser = script_type)]
    script_type: Option<ScriptType>,

    /// Only those with this tag; repeated, those with all of them
    #[arg(long = "tag", value_name = "TAG", value_parser = tag)]
    tags: Vec<String>,

    /// Those that are disabled or deactivated, too
    #[arg(long, conflicts_with_all = ["enabled", "disabled"])]
    all: bool,

    /// Only those that can be run; so it is unless something else is said
    #[arg(long, conflicts_with = "disabled")]
    enabled: bool,

    /// Only those that are disabled or deactivated
    #[arg(long)]
    disabled: bool,
}

impl FilterFlags {
    /// Parameters of the query.
    pub(super) fn query(self) -> Vec<(&'static str, String)> {
        let mut query = Vec::new();
        query.extend(self.search.map(|text| ("search", text)));
        query.extend(self.script_type.map(|kind| ("type", kind.name().to_owned())));
        query.extend(self.tags.into_iter().map(|tag| ("tag", tag)));
        query.extend((!self.all).then(|| ("enabled", (!self.disabled).to_string())));
        query
    }
}

/// Column of a list, and its cells.
type Column = (&'static str, fn(&Script) -> String);

/// Columns of the settings in a list.
pub(super) const COLUMNS: [Column; 2] = [("STATE", state), ("TAGS", tags)];

fn tags(script: &Script) -> String {
    script.object::<Vec<String>>("tags").unwrap_or_default().join(" ")
}

/// State of a script.
pub(super) fn state(script: &Script) -> String {
    let is_enabled = script.shown("is_enabled").is_true();
    if is_enabled { "enabled" } else { "disabled" }.to_owned()
}

/// Adds the settings of a script to the lines about it.
pub(super) fn add(lines: &mut Lines, script: &Script) {
    lines.text("tags", sanitize(&tags(script)));
    lines.add("timeout (s)", &script.shown("timeout_secs"));
    if let Some(limits) = script.object::<Limits>("limits") {
        lines.add("cpus", &limits.cpus).text("memory", bytes(&limits.memory_bytes));
        lines.add("processes", &limits.pids).text("files", bytes(&limits.scratch_bytes));
        if limits.disk_bytes.some().is_some_and(|it| it != "0") {
            lines.text("disk", bytes(&limits.disk_bytes));
        }
        lines.add("files left", &limits.file_count);
        lines.text("output", bytes(&limits.output_bytes));
    }
    lines.add("at once", &script.shown("max_concurrency"));
    lines.add("held ready", &script.shown("warm"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpus_are_numbers_as_people_write_them() {
        let shown = |nano| number_of_cpus(nano).unwrap().to_string();
        assert_eq!((shown(2_000_000_000), shown(500_000_000)), ("2".into(), "0.5".into()));
    }
}
