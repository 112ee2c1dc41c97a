//! Metrics: their table in `docs/operations.md`, and the names that the rules and the
//! dashboard use.

use std::collections::BTreeMap;
use std::time::Duration;

use gantry::clock;
use gantry::domain::execution::{Report, SandboxReceipt};
use gantry::domain::outcome::{Outcome, Status};
use gantry::metrics::Metrics;
use gantry::orchestrator::{Load, Observer};
use gantry::pool::PoolStatus;

use crate::page::{assert_part, read};

const RULES: &str = "docs/operations/gantry.rules.yml";
const DASHBOARD: &str = "docs/operations/dashboard.json";

/// `/metrics` of a server on which everything has happened once.
fn rendered() -> String {
    let metrics = Metrics::default();
    let outcome = Outcome {
        status: Status::Completed,
        error_kind: None,
        error_message: None,
        exit_code: Some(0),
        signal: None,
    };
    let mut report = Report::unstarted(outcome, clock::now());
    report.sandbox = Some(SandboxReceipt {
        image: String::new(),
        container_id: String::new(),
        node: None,
        warm: true,
        preloaded: None,
        preload_reason: None,
        confinement: None,
    });
    metrics.execution_ended("a", &report, Duration::ZERO);
    metrics.environment_built(true, Duration::ZERO);
    metrics.engine_started(true);
    metrics.answered("GET", "/healthz", 200, Duration::ZERO);
    let pool = PoolStatus {
        size: 8,
        unused: 0,
        starting: 0,
        kinds: 0,
        failing: 0,
        floor: 0,
        floor_unmet: 0,
        memory_bytes: 0,
        memory_limit_bytes: None,
        is_short_of_memory: false,
    };
    metrics.render(Load { waiting: 0, running: 0, queue_limit: 1, is_engine_well: true, pool })
}

/// Each metric's type and meaning, by the name that its series have.
fn families(text: &str) -> BTreeMap<String, (String, String)> {
    let mut helps = BTreeMap::new();
    let mut families = BTreeMap::new();
    for line in text.lines() {
        if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|it| it.split_once(' ')) {
            helps.insert(name.to_owned(), help.trim_end_matches('.').to_owned());
        }
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|it| it.split_once(' ')) {
            let series = if kind == "counter" { format!("{name}_total") } else { name.to_owned() };
            families.insert(series, (kind.to_owned(), helps[name].clone()));
        }
    }
    families
}

#[test]
fn every_metric_is_listed() {
    let rows = families(&rendered()).into_iter();
    let rows = rows.map(|(name, (kind, help))| format!("| `{name}` | {kind} | {help} |"));
    let rows = rows.collect::<Vec<_>>().join("\n");
    let table = format!("| metric | type | meaning |\n|---|---|---|\n{rows}");
    assert_part("docs/operations.md", "metrics", &table);
}

#[test]
fn rules_and_dashboard_use_metrics_that_exist() {
    let families = families(&rendered());
    let exists = |name: &str| {
        let endings = ["_bucket", "_sum", "_count"];
        let family = endings.iter().find_map(|ending| name.strip_suffix(ending));
        families.contains_key(name)
            || family.is_some_and(|it| families.get(it).is_some_and(|it| it.0 == "histogram"))
    };
    for file in [RULES, DASHBOARD] {
        let text = read(file);
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let names: Vec<_> = words.filter(|word| word.starts_with("gantry_")).collect();
        assert!(names.len() > 5, "{file}: {names:?}");
        let unknown: Vec<_> = names.into_iter().filter(|name| !exists(name)).collect();
        assert!(unknown.is_empty(), "{file}: /metrics has none of {unknown:?}");
    }
}

#[test]
fn the_dashboard_is_json() {
    let dashboard: serde_json::Value = serde_json::from_str(&read(DASHBOARD)).unwrap();
    assert!(dashboard["panels"].as_array().unwrap().len() > 5);
}
