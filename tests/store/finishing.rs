//! Ends of executions: written once, with everything, and read back.

use std::time::Duration;

use gantry::domain::execution::{Artifact, Report, SandboxReceipt, State, Usage, log_text};
use gantry::domain::file::FileDigest;
use gantry::domain::outcome::{ErrorKind, Outcome, Status};
use gantry::domain::output_log::{OutputLog, StreamName};
use serde_json::value::RawValue;

use crate::database::{Database, on_both};
use crate::samples::{Invocations, NODE, claim, now, report};

on_both! {
    everything_of_an_end_is_read_back,
    ten_mebibytes_of_each_stream_are_read_back,
    outputs_are_kept_byte_for_byte,
    servers_of_every_version_read_why_an_execution_failed,
    an_end_is_written_once_and_by_whom_it_is_due,
    an_end_that_comes_second_leaves_the_first_ones_output,
    what_never_ran_has_nothing_but_its_end,
}

async fn finish(database: &Database, report: &Report) -> uuid::Uuid {
    let name = format!("s{}", uuid::Uuid::new_v4().simple());
    let invocations = Invocations::of(&database.store, &name).await;
    let id = invocations.submitted(&database.store).await;
    claim(&database.store, id).await.unwrap();
    let queued = Duration::from_micros(1_234_567);
    let ended = database.store.finish(id, NODE, 1, queued, report).await.unwrap().unwrap();
    let read = database.store.execution_summary(id).await.unwrap().unwrap();
    assert_eq!(format!("{ended:?}"), format!("{read:?}"), "it answers with what is stored");
    id
}

fn full_report() -> Report {
    let mut log = OutputLog::default();
    for (stream, bytes) in [
        (StreamName::Stderr, &b"first\0"[..]),
        (StreamName::Stdout, &[0xff, 0xfe, 0, 0xc3]),
        (StreamName::Stderr, b"\x80second"),
    ] {
        log.append(stream, bytes);
    }
    let artifact = |name: &str, skipped: Option<&str>| Artifact {
        skipped: skipped.map(str::to_owned),
        digest: skipped.is_none().then(|| FileDigest::new([7; 32])),
        role: Some("preview".to_owned()),
        executable: skipped.is_none(),
        ..Artifact::kept(name.to_owned(), 7)
    };
    Report {
        outcome: Outcome {
            exit_code: Some(-1),
            signal: Some(9),
            ..Outcome::failed(ErrorKind::KilledBySignal, "by \0 signal")
        },
        output: Some(
            RawValue::from_string(r#"{"a":"\ud800\u0000","a":1e400}"#.to_owned()).unwrap(),
        ),
        output_fault: None,
        log,
        stdout_bytes: 4,
        stderr_bytes: 1_000_000,
        is_stdout_unknown: false,
        is_stderr_unknown: false,
        duration: Some(Duration::from_micros(1_500_001)),
        took: Duration::from_micros(1_600_003),
        usage: Some(Usage {
            cpu_ms: 12.345,
            peak_memory_bytes: 1 << 40,
            oom_kills: 2,
            peak_disk_bytes: Some(1 << 41),
        }),
        sandbox: Some(SandboxReceipt {
            image: "sha256:1".to_owned(),
            container_id: "gantry-1".to_owned(),
            node: Some(NODE.to_owned()),
            warm: true,
            preloaded: Some(true),
            preload_reason: None,
            confinement: None,
        }),
        artifacts: vec![
            artifact("a/b.txt", None),
            artifact("'; DROP TABLE artifacts; --", Some("too large\0")),
            artifact("\u{202e}\n%s", None),
            artifact("nul\0", None),
            artifact("", None),
        ],
        kept_until: None,
        started_at: Some(now()),
        completed_at: now(),
    }
}

async fn everything_of_an_end_is_read_back(database: Database) {
    let report = full_report();
    let id = finish(&database, &report).await;
    let found = database.store.execution(id).await.unwrap().unwrap();
    let summary = &found.summary;
    assert_eq!(summary.status, State::Ended(Status::Failed));
    assert_eq!(summary.error_kind, Some(ErrorKind::KilledBySignal));
    assert_eq!(summary.error_message.as_deref(), Some("by \u{fffd} signal"));
    assert_eq!((summary.exit_code, summary.signal), (Some(-1), Some(9)));
    assert_eq!((summary.stdout_bytes, summary.stderr_bytes), (4, 1_000_000));
    assert_eq!((summary.stdout_truncated, summary.stderr_truncated), (false, true));
    assert_eq!((summary.duration_ms, summary.queue_ms), (Some(1_500.001), Some(1_234.567)));
    assert_eq!(summary.overhead_ms, Some(100.002));
    assert_eq!((summary.usage, &summary.sandbox), (report.usage, &report.sandbox));
    assert_eq!(summary.started_at, report.started_at);
    assert_eq!(summary.completed_at, Some(report.completed_at));
    assert_eq!(summary.updated_at, report.completed_at);
    let (stdout, stderr) = log_text(&report.log, report.stdout_bytes, report.stderr_bytes);
    assert_eq!((found.stdout_log, found.stderr_log), (stdout, stderr));
    assert_eq!(found.output_data.unwrap().get(), report.output.unwrap().get());
    let mut artifacts = report.artifacts;
    artifacts[1].skipped = Some("too large\u{fffd}".to_owned());
    artifacts[3].name = "nul\u{fffd}".to_owned();
    assert_eq!(found.artifacts, artifacts);
    assert_eq!(database.store.artifacts(id).await.unwrap(), artifacts);
    assert_eq!(database.store.log(id).await.unwrap(), Some(report.log));
    let alone = database.store.execution_summary(id).await.unwrap().unwrap();
    assert_eq!(format!("{alone:?}"), format!("{summary:?}"));
}

async fn ten_mebibytes_of_each_stream_are_read_back(database: Database) {
    let mut log = OutputLog::default();
    let piece: Vec<u8> = (0..=255).cycle().take(64 * 1024).collect();
    for _ in 0..160 {
        log.append(StreamName::Stdout, &piece);
        log.append(StreamName::Stderr, &piece);
    }
    let bytes = log.stdout().len() as u64;
    let report =
        Report { log, stdout_bytes: bytes, stderr_bytes: bytes, ..report(Status::Completed) };
    let id = finish(&database, &report).await;
    assert!(database.store.log(id).await.unwrap() == Some(report.log));
    let read = database.store.execution(id).await.unwrap().unwrap();
    let json = [read.input_data, read.output_data].map(|it| it.map_or(0, |it| it.get().len()));
    let bytes = 2 * bytes + json.iter().sum::<usize>() as u64;
    // Each database writes what is frozen in its own way.
    let frozen = database.store.execution_bytes(id).await.unwrap() - bytes;
    assert!((1..4_096).contains(&frozen), "{frozen}");
    assert_eq!(database.store.execution_bytes(uuid::Uuid::now_v7()).await.unwrap(), 0);
}

async fn outputs_are_kept_byte_for_byte(database: Database) {
    for text in [r#""\udfff""#, "1E400", "[1.0,  1e2]", r#"{"k":1,"k":2}"#, r#""\u0000""#] {
        let output = Some(RawValue::from_string(text.to_owned()).unwrap());
        let id = finish(&database, &Report { output, ..report(Status::Completed) }).await;
        let found = database.store.execution(id).await.unwrap().unwrap();
        assert_eq!(found.output_data.unwrap().get(), text);
    }
}

async fn servers_of_every_version_read_why_an_execution_failed(database: Database) {
    for kind in ErrorKind::ALL {
        for artifacts in [Vec::new(), full_report().artifacts] {
            let outcome = Outcome::failed(kind, "why");
            let report = Report { outcome, artifacts, ..full_report() };
            let id = finish(&database, &report).await;
            let read = || database.store.execution_summary(id);
            assert_eq!(read().await.unwrap().unwrap().error_kind, Some(kind));
            // What older ones read, and what this one makes of a word of tomorrow.
            let known = kind.known_to_all();
            let here = format!("id = {} AND error_kind = '{}'", database.id(id), known.name());
            let found = format!("SELECT count(*) FROM executions WHERE {here}");
            assert_eq!(database.number(&found).await, 1, "{kind:?}");
            let tomorrow = "UPDATE executions SET exact_error_kind = 'out_of_luck'";
            database.execute(tomorrow).await;
            assert_eq!(read().await.unwrap().unwrap().error_kind, Some(known));
        }
    }
}

async fn an_end_is_written_once_and_by_whom_it_is_due(database: Database) {
    let store = &database.store;
    let invocations = Invocations::of(store, "weather").await;
    let id = invocations.submitted(store).await;
    let report = full_report();
    let finish = |node, attempt| store.finish(id, node, attempt, Duration::ZERO, &report);
    assert!(finish(NODE, 0).await.unwrap().is_none(), "it is pending");
    claim(store, id).await.unwrap();
    for (node, attempt) in [("node-2", 1), (NODE, 0), (NODE, 2)] {
        assert!(finish(node, attempt).await.unwrap().is_none());
    }
    assert_eq!(store.artifacts(id).await.unwrap(), []);
    assert!(finish(NODE, 1).await.unwrap().is_some());
    assert!(finish(NODE, 1).await.unwrap().is_none());
    assert!(!store.give_back(id, NODE, 1, now()).await.unwrap());
    assert!(claim(store, id).await.is_none());
    assert_eq!(store.artifacts(id).await.unwrap().len(), 5);
}

async fn an_end_that_comes_second_leaves_the_first_ones_output(database: Database) {
    let store = &database.store;
    let invocations = Invocations::of(store, "weather").await;
    let id = invocations.submitted(store).await;
    claim(store, id).await.unwrap();
    let first = Report { artifacts: Vec::new(), ..full_report() };
    let second = report(Status::Completed);
    let finish = |attempt, report| store.finish(id, NODE, attempt, Duration::ZERO, report);
    assert!(finish(2, &second).await.unwrap().is_none());
    assert_eq!(store.log(id).await.unwrap(), Some(OutputLog::default()));
    assert!(finish(1, &first).await.unwrap().is_some());
    assert!(finish(1, &second).await.unwrap().is_none());
    assert_eq!(store.log(id).await.unwrap(), Some(first.log));
}

async fn what_never_ran_has_nothing_but_its_end(database: Database) {
    let id = finish(&database, &report(Status::Timeout)).await;
    let found = database.store.execution(id).await.unwrap().unwrap();
    assert_eq!(found.summary.status, State::Ended(Status::Timeout));
    assert_eq!((found.stdout_log.as_str(), found.stderr_log.as_str()), ("", ""));
    assert!(found.output_data.is_none() && found.artifacts.is_empty());
    let summary = found.summary;
    assert!(summary.usage.is_none() && summary.duration_ms.is_none());
    // Where it was about to run stays known.
    assert!(summary.sandbox.is_some() && summary.started_at.is_some());
    assert_eq!(database.store.log(id).await.unwrap(), Some(OutputLog::default()));
    assert_eq!(database.store.log(uuid::Uuid::now_v7()).await.unwrap(), None);
}
