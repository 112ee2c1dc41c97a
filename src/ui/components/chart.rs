//! Chart of execution outcomes by hour.

use chrono::{DateTime, Timelike, Utc};
use maud::{Markup, html};

use super::value::count;
use crate::store::Counts;

/// Width and height of the picture, in its own units.
const SIZE: (f64, f64) = (720.0, 120.0);

/// Space for the labels of hours below it.
const LABELS: f64 = 24.0;

/// Renders a bar for each span, with each outcome in its colour. `times` has one more entry than
/// `counts`: the start of each span, and the end of the last.
#[expect(clippy::cast_precision_loss, reason = "counts and places of bars")]
pub(in crate::ui) fn bars(times: &[DateTime<Utc>], counts: &[Counts]) -> Markup {
    let most = counts.iter().map(Counts::total).max().unwrap_or(0).max(1) as f64;
    let step = SIZE.0 / counts.len().max(1) as f64;
    let total: u64 = counts.iter().map(Counts::total).sum();
    html! {
        svg.chart viewBox={ "0 0 " (SIZE.0) " " (SIZE.1 + LABELS) } role="img"
            aria-label={ (count(total)) " executions ended in the last 24 hours" } {
            line x1="0" x2=(SIZE.0) y1=(SIZE.1) y2=(SIZE.1) {}
            @for (index, (time, counts)) in times.iter().zip(counts).enumerate() {
                @let x = index as f64 * step;
                g {
                    title { (told(*time, counts)) }
                    rect.touch x=(fixed(x)) y="0" width=(fixed(step)) height=(SIZE.1) {}
                    (stack(x + 1.0, step - 2.0, counts, most))
                }
                @if time.hour().is_multiple_of(6) {
                    text x=(fixed(x + 1.0)) y=(SIZE.1 + LABELS - 6.0) { (time.format("%H:%M")) }
                }
            }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts")]
fn stack(x: f64, width: f64, counts: &Counts, most: f64) -> Markup {
    let parts = [
        ("completed", counts.completed),
        ("cancelled", counts.cancelled),
        ("timeout", counts.timeout),
        ("failed", counts.failed),
    ];
    let mut top = SIZE.1;
    let mut bars = Vec::new();
    for (class, number) in parts.into_iter().filter(|(_, number)| *number > 0) {
        // Non-zero counts are visible.
        let height = (number as f64 / most * (SIZE.1 - 4.0)).max(1.5);
        top -= height;
        bars.push((class, top, height));
    }
    html! {
        @for (class, y, height) in bars {
            rect class=(class) x=(fixed(x)) width=(fixed(width)) y=(fixed(y)) height=(fixed(height)) {}
        }
    }
}

fn told(time: DateTime<Utc>, counts: &Counts) -> String {
    format!(
        "{} UTC: {} completed, {} failed, {} out of time, {} cancelled",
        time.format("%d %b %H:%M"),
        counts.completed,
        counts.failed,
        counts.timeout,
        counts.cancelled
    )
}

fn fixed(number: f64) -> String {
    format!("{number:.1}")
}
