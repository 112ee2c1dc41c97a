//! Deciding how an execution ended, and reading what it printed.

use divan::Bencher;
use divan::counter::BytesCount;
use gantry::domain::json_input::{JsonInput, parse_output};
use gantry::domain::outcome::{Ending, Outcome, classify};
use gantry_init::message::{End, Exit, Stopped, Usage};

fn exit(end: End, stopped: Option<Stopped>) -> Ending {
    Ending::Reported(Exit {
        end,
        stopped,
        duration_us: 900,
        stdout_bytes: 7,
        stderr_bytes: 0,
        usage: Usage::default(),
        output_file: None,
        artifacts_skipped: Vec::new(),
        artifacts_unlisted: 0,
        artifacts_sent: 0,
        places: Vec::new(),
        disk: None,
        stood_by: None,
    })
}

#[divan::bench]
fn classify_completed(bencher: Bencher<'_, '_>) {
    let ending = exit(End::Code(0), None);
    bencher.bench(|| -> Outcome { classify(divan::black_box(&ending)) });
}

#[divan::bench]
fn classify_timeout(bencher: Bencher<'_, '_>) {
    let ending = exit(End::Signal(9), Some(Stopped::Deadline));
    bencher.bench(|| -> Outcome { classify(divan::black_box(&ending)) });
}

/// An array of objects of about so many bytes.
fn document(bytes: usize) -> Vec<u8> {
    const ENTRY: &str = r#"{"name":"segment","at":12.5,"tags":["a","b"]}"#;
    let entries = vec![ENTRY; (bytes / ENTRY.len()).max(1)];
    format!("[{}]", entries.join(",")).into_bytes()
}

#[divan::bench(args = [64, 4096, 1 << 20])]
fn parse_what_was_printed(bencher: Bencher<'_, '_>, bytes: usize) {
    let printed = document(bytes);
    bencher
        .counter(BytesCount::new(printed.len()))
        .bench(|| parse_output(divan::black_box(&printed)).is_ok());
}

#[divan::bench(args = [64, 4096, 1 << 20])]
fn parse_input(bencher: Bencher<'_, '_>, bytes: usize) {
    let sent = document(bytes);
    bencher
        .counter(BytesCount::new(sent.len()))
        .with_inputs(|| sent.clone())
        .bench_values(|sent| JsonInput::parse(sent).is_ok());
}
