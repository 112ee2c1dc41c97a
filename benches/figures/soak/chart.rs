//! The soak as a chart: what is level looks level, because every axis begins at zero.

use super::findings::Soak;
use super::lines::{self, Line, Panel};
use super::sample::Sample;

/// All samples, a panel for each thing that may grow.
pub(super) fn chart(soak: &Soak) -> String {
    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
    let number = |value: usize| value as f64;
    let line = |label: &'static str, class: &'static str, of: &dyn Fn(&Sample) -> f64| {
        #[expect(clippy::cast_precision_loss, reason = "thousands")]
        let points = soak.samples.iter().map(|it| (it.done as f64, of(it))).collect();
        Line { label, class, points }
    };
    lines::document(&[
        Panel {
            title: "resident memory of the server, MiB",
            lines: vec![line("", "first", &|it| it.rss)],
        },
        Panel {
            title: "until the answer, ms",
            lines: vec![
                line("p95", "second", &|it| it.times.p95()),
                line("median", "first", &|it| it.times.median()),
            ],
        },
        Panel {
            title: "descriptors and threads of the server",
            lines: vec![
                line("descriptors", "first", &|it| number(it.descriptors)),
                line("threads", "second", &|it| number(it.threads)),
            ],
        },
        Panel {
            title: "containers, those of the pool included",
            lines: vec![line("", "first", &|it| number(it.containers))],
        },
        Panel {
            title: "database with all history, MiB",
            lines: vec![line("", "first", &|it| it.database)],
        },
        Panel {
            title: "other files, most of them artifacts, MiB",
            lines: vec![line("", "first", &|it| it.others)],
        },
    ])
}
