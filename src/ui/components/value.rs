//! Times, sizes and counts for people.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use maud::{Markup, html};

use crate::clock;
use crate::domain::quantities::{show_bytes, show_duration};

/// Age of a time, with the exact time as its title. A module keeps it current.
pub(in crate::ui) fn ago(time: DateTime<Utc>) -> Markup {
    let exact = time.to_rfc3339_opts(SecondsFormat::Millis, true);
    html! { time datetime=(exact) title=(exact) { (since(time, clock::now())) } }
}

/// Age of a time, or a dash.
pub(in crate::ui) fn maybe_ago(time: Option<DateTime<Utc>>) -> Markup {
    match time {
        Some(time) => ago(time),
        None => nothing(),
    }
}

/// Placeholder for nothing.
pub(in crate::ui) fn nothing() -> Markup {
    html! { span.muted { "–" } }
}

/// Relative time in the same words as in `assets/console.js`.
fn since(time: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let seconds = now.signed_duration_since(time).num_seconds();
    let (seconds, is_ahead) = (seconds.unsigned_abs(), seconds < 0);
    let text = match seconds {
        0..5 => return "just now".to_owned(),
        5..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..86_400 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    };
    if is_ahead { format!("in {text}") } else { format!("{text} ago") }
}

/// Formats a time in milliseconds.
pub(in crate::ui) fn milliseconds(time: f64) -> String {
    match time {
        time if time < 10.0 => format!("{time:.1} ms"),
        time if time < 1_000.0 => format!("{time:.0} ms"),
        time => show_duration(Duration::from_secs_f64((time / 1e3).clamp(0.0, 1e9))),
    }
}

/// Formats a time in milliseconds, or a dash.
pub(in crate::ui) fn maybe_milliseconds(time: Option<f64>) -> Markup {
    match time {
        Some(time) => html! { (milliseconds(time)) },
        None => nothing(),
    }
}

/// Formats a size.
pub(in crate::ui) fn bytes(bytes: u64) -> String {
    show_bytes(bytes)
}

/// Formats a number with grouped thousands: `1 000 000`.
pub(in crate::ui) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            shown.push('\u{202f}');
        }
        shown.push(digit);
    }
    shown
}

/// Formats a number with its noun.
pub(in crate::ui) fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// Prefix of a long text, such as a digest or an id.
pub(in crate::ui) fn short(text: &str, characters: usize) -> &str {
    text.char_indices().nth(characters).map_or(text, |(end, _)| text.get(..end).unwrap_or(text))
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn times_are_told_in_one_unit() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let shown = |seconds| since(now - TimeDelta::seconds(seconds), now);
        assert_eq!(shown(0), "just now");
        assert_eq!(shown(59), "59 s ago");
        assert_eq!(shown(61), "1 min ago");
        assert_eq!(shown(7_300), "2 h ago");
        assert_eq!(shown(200_000), "2 d ago");
        assert_eq!(shown(-90), "in 1 min");
    }

    #[test]
    fn numbers_are_told_in_thousands() {
        assert_eq!(count(7), "7");
        assert_eq!(count(1_000_000), "1\u{202f}000\u{202f}000");
        assert_eq!(short("äöü", 2), "äö");
        assert_eq!(short("a", 2), "a");
    }
}
