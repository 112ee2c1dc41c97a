//! Tail of an execution's log, line by line, with both streams in order of arrival. `assets/log.js`
//! replaces it with the whole log.

use std::collections::VecDeque;

use maud::{Markup, html};

use crate::domain::execution::{ExecutionSummary, State};
use crate::domain::output_log::{OutputLog, Position, StreamName};
use crate::ui::components::ansi::Ansi;
use crate::ui::components::value::{bytes, counted};

/// Most bytes read of the log.
const MAX_TAIL: usize = 32 * 1024;

/// Most markup of all lines, in bytes.
const MAX_MARKUP: usize = 36 * 1024;

/// A line of one stream, without its end.
struct Line {
    stream: StreamName,
    bytes: Vec<u8>,
}

/// Renders the log in about so many bytes of markup.
pub(super) fn section(summary: &ExecutionSummary, log: &OutputLog, room: usize) -> Markup {
    let total = log.stdout().len() + log.stderr().len();
    let has_ended = summary.status.has_ended();
    let events = format!("/executions/{}/events", summary.id);
    let lines = lines(&tail(log));
    let (shown, size) = rendered(&lines, room.min(MAX_MARKUP));
    html! {
        section.card.flush #log data-state=(summary.status.name())
            data-events=[(!has_ended || total > 0).then_some(events)] {
            div.card-head {
                h2 { "Log" }
                (downloads(summary, total))
            }
            (tools())
            @if size < total {
                p.log-note.muted {
                    "The last " (counted(shown.len() as u64, "line", "lines")) ", "
                    (bytes(size as u64)) " of " (bytes(total as u64)) "."
                }
            }
            div.log tabindex="0" role="region" aria-label="Log" data-tail {
                @if shown.is_empty() { p.log-empty { (nothing(summary.status)) } }
                @else { pre { @for line in &shown { (line) } } }
            }
        }
    }
}

/// Search tools of the log; `assets/log.js` implements them.
fn tools() -> Markup {
    let pressed = |name: &str, text: &str, is_pressed: bool| {
        html! { button type="button" data-tool=(name) aria-pressed=(is_pressed) { (text) } }
    };
    html! {
        div.log-tools hidden {
            (pressed("follow", "Follow", true))
            (pressed("wrap", "Wrap", false))
            span.log-streams role="group" aria-label="Streams" {
                (pressed("both", "Both", true))
                (pressed("stdout", "stdout", false))
                (pressed("stderr", "stderr", false))
            }
            input type="search" data-tool="search" placeholder="Search, or :123" maxlength="200"
                autocomplete="off" spellcheck="false"
                aria-label="Search the log; :123 goes to line 123";
            button type="button" data-tool="previous" aria-label="Previous match" { "↑" }
            button type="button" data-tool="next" aria-label="Next match" { "↓" }
            span.muted data-tool="found" role="status" {}
            span.muted data-tool="tally" {}
            span.log-said data-tool="said" role="status" {}
        }
    }
}

/// Links to the whole log after the execution ended.
fn downloads(summary: &ExecutionSummary, total: usize) -> Markup {
    let streams = [("both", "all"), ("stdout", "stdout"), ("stderr", "stderr")];
    html! {
        div.log-downloads.small #log-downloads data-live {
            @if summary.status.has_ended() && total > 0 {
                span.muted { "Download" }
                @for (stream, word) in streams {
                    @let address = format!("/executions/{}/log?stream={stream}", summary.id);
                    a href=(address) download { (word) }
                }
            }
        }
    }
}

fn nothing(state: State) -> &'static str {
    match state {
        State::Pending => "It waits. What it prints appears here while it runs.",
        State::Running => {
            "What it prints appears here while it runs; without JavaScript, load the page again."
        }
        State::Ended(_) => "It printed nothing.",
    }
}

/// Last pieces, from the start of a line if one begins in the first piece.
fn tail(log: &OutputLog) -> VecDeque<(StreamName, &[u8])> {
    let (mut pieces, mut kept, mut position) = (VecDeque::new(), 0, Position::default());
    while let Some((stream, piece, after)) = log.next_piece(position, usize::MAX) {
        position = after;
        kept += piece.len();
        pieces.push_back((stream, piece));
        while let Some(first) = pieces.front().map(|(_, first)| first.len())
            && kept - first >= MAX_TAIL
        {
            kept -= first;
            pieces.pop_front();
        }
    }
    if let Some((_, first)) = pieces.front_mut() {
        let whole = *first;
        let end = whole.get(kept.saturating_sub(MAX_TAIL)..).unwrap_or_default();
        let line_end = end.iter().position(|byte| *byte == b'\n').map_or(end.len(), |at| at + 1);
        let is_cut = end.len() < whole.len() && line_end < end.len();
        let start = if is_cut { line_end } else { 0 };
        *first = end.get(start..).unwrap_or_default();
    }
    pieces
}

/// Joins pieces into lines: a stream continues its own line, even if the other one printed in
/// between.
fn lines(pieces: &VecDeque<(StreamName, &[u8])>) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    let (mut stdout, mut stderr) = (None::<usize>, None::<usize>);
    for (stream, piece) in pieces {
        let open = match stream {
            StreamName::Stdout => &mut stdout,
            StreamName::Stderr => &mut stderr,
        };
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            let text = part.strip_suffix(b"\n");
            let place = open.unwrap_or(lines.len());
            if place == lines.len() {
                lines.push(Line { stream: *stream, bytes: Vec::new() });
            }
            if let Some(line) = lines.get_mut(place) {
                line.bytes.extend_from_slice(text.unwrap_or(part));
            }
            *open = text.is_none().then_some(place);
        }
    }
    lines
}

/// Renders the last lines that fit, and counts their bytes.
fn rendered(lines: &[Line], room: usize) -> (Vec<Markup>, usize) {
    let (mut stdout, mut stderr) = (Ansi::default(), Ansi::default());
    let mut all: Vec<_> = lines
        .iter()
        .map(|line| {
            let text = String::from_utf8_lossy(&line.bytes);
            match line.stream {
                StreamName::Stdout => html! { (stdout.line(&text)) "\n" },
                StreamName::Stderr => html! { span.err { (stderr.line(&text)) } "\n" },
            }
        })
        .collect();
    let mut used = 0;
    let fitting = all.iter().rev().take_while(|it| {
        used += it.0.len();
        used <= room
    });
    let left_out = all.len() - fitting.count();
    all.drain(..left_out);
    let size = lines.iter().skip(left_out).map(|line| line.bytes.len() + 1).sum();
    (all, size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use StreamName::{Stderr, Stdout};

    fn log_of(pieces: &[(StreamName, &str)]) -> OutputLog {
        let mut log = OutputLog::default();
        for (stream, text) in pieces {
            log.append(*stream, text.as_bytes());
        }
        log
    }

    fn shown(log: &OutputLog, room: usize) -> String {
        let lines = rendered(&lines(&tail(log)), room).0;
        lines.into_iter().map(Markup::into_string).collect()
    }

    #[test]
    fn streams_keep_their_order_and_their_lines() {
        let log = log_of(&[
            (Stdout, "one\ntw"),
            (Stderr, "warning\n"),
            (Stdout, "o\n\u{1b}[31mthree"),
            (Stderr, "<end>"),
        ]);
        let text = "one\ntwo\n<span class=\"err\">warning</span>\n\
            <span class=\"fg-1\">three</span>\n<span class=\"err\">&lt;end&gt;</span>\n";
        assert_eq!(shown(&log, MAX_MARKUP), text);
        assert_eq!(shown(&OutputLog::default(), MAX_MARKUP), "");
    }

    #[test]
    fn a_long_log_is_shown_from_a_line_on() {
        let text: String = (0..100_000).map(|line| format!("line {line}\n")).collect();
        let shown = shown(&log_of(&[(Stdout, &text)]), MAX_MARKUP);
        assert!(shown.len() > MAX_TAIL - 20 && shown.len() <= MAX_TAIL, "{}", shown.len());
        assert!(shown.starts_with("line ") && shown.ends_with("line 99999\n"));
    }

    #[test]
    fn markup_is_bounded_whatever_was_printed() {
        let mut lines = OutputLog::default();
        for _ in 0..100_000 {
            lines.append(Stderr, b"\n");
            lines.append(Stdout, b"\"");
        }
        let hostile = "\u{1b}[1mx\u{1b}[m\"".repeat(100_000);
        for log in [lines, log_of(&[(Stdout, &hostile)])] {
            for room in [MAX_MARKUP, 20_000] {
                let shown = shown(&log, room);
                assert!(!shown.is_empty() && shown.len() <= room, "{}", shown.len());
            }
        }
    }

    #[test]
    fn a_cut_within_a_long_line_shows_its_end() {
        let log = log_of(&[(Stdout, &"x".repeat(2 * MAX_TAIL)), (Stderr, "e\n")]);
        assert!(shown(&log, MAX_MARKUP).starts_with("xxx"));
    }
}
