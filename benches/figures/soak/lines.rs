//! Lines over a common axis as SVG, readable on light and on dark pages, two panels in
//! a row. It knows nothing of what they stand for.

use std::fmt::Write as _;

/// In pixels.
const WIDTH: f64 = 760.0;
const COLUMN: f64 = 380.0;
const ROW: f64 = 150.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = 366.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 126.0;

/// Colours of text and lines; the second of each on dark pages.
const STYLE: &str = "\
text{fill:#30363d}.title{font-weight:600}.tick{fill:#6e7781;font-size:11px}\
.grid{stroke:#d8dee4}.first,.second{fill:none;stroke-width:1.5}.first{stroke:#1a7f5a}\
.second{stroke:#d9a441}.label{font-size:11px}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.tick{fill:#8d96a0}.grid{stroke:#30363d}\
.first{stroke:#3fb68b}.second{stroke:#b98727}}";

pub(super) struct Line {
    /// What it is, when there are several in a panel.
    pub(super) label: &'static str,
    /// What it is coloured by: `first` or `second`.
    pub(super) class: &'static str,
    pub(super) points: Vec<(f64, f64)>,
}

pub(super) struct Panel {
    pub(super) title: &'static str,
    pub(super) lines: Vec<Line>,
}

impl Panel {
    fn points(&self) -> impl Iterator<Item = (f64, f64)> {
        self.lines.iter().flat_map(|line| line.points.iter().copied())
    }
}

pub(super) fn document(panels: &[Panel]) -> String {
    let most = panels.iter().flat_map(Panel::points).map(|(x, _)| x).fold(1.0, f64::max);
    let mut body = String::new();
    let mut height = 0.0;
    for (row, pair) in (0_u8..).zip(panels.chunks(2)) {
        let top = f64::from(row) * ROW;
        for (panel, left) in pair.iter().zip([0.0, COLUMN]) {
            let _ = writeln!(body, r#"<g transform="translate({left} {top})">"#);
            draw(&mut body, panel, most);
            body.push_str("</g>\n");
        }
        height = top + ROW;
    }
    format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" font-family="system-ui, sans-serif" font-size="12"><style>{STYLE}</style>
{body}</svg>
"#
    )
}

fn draw(body: &mut String, panel: &Panel, most_x: f64) {
    let most_y = nice(panel.points().map(|(_, y)| y).fold(0.0, f64::max));
    let place = |(x, y): (f64, f64)| {
        (LEFT + x / most_x * (RIGHT - LEFT), BOTTOM - y / most_y * (BOTTOM - TOP))
    };
    let _ = writeln!(body, r#"<text class="title" x="12" y="20">{}</text>"#, panel.title);
    for share in [0.0, 0.5, 1.0] {
        let (value, y) = (share * most_y, BOTTOM - share * (BOTTOM - TOP));
        let _ = write!(
            body,
            r#"<line class="grid" x1="{LEFT}" x2="{RIGHT}" y1="{y}" y2="{y}"/><text class="tick" x="{}" y="{}" text-anchor="end">{value}</text>"#,
            LEFT - 6.0,
            y + 4.0,
        );
    }
    let _ = writeln!(
        body,
        r#"<text class="tick" x="{RIGHT}" y="{}" text-anchor="end">{most_x} executions</text>"#,
        BOTTOM + 15.0,
    );
    for line in &panel.lines {
        let points = line.points.iter().map(|point| place(*point));
        let path: Vec<String> = points.map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let _ = write!(body, r#"<polyline class="{}" points="{}"/>"#, line.class, path.join(" "));
        if let Some((x, y)) = line.points.last().map(|point| place(*point)) {
            let _ = writeln!(
                body,
                r#"<text class="label" x="{x:.1}" y="{:.1}" text-anchor="end">{}</text>"#,
                y - 5.0,
                line.label,
            );
        }
    }
}

/// The next of 1, 2, 4, 6, 8 and 10 times a power of ten, so that its half is plain, too.
fn nice(value: f64) -> f64 {
    let power = 10f64.powf(value.max(1e-3).log10().floor());
    let steps = [1.0, 2.0, 4.0, 6.0, 8.0, 10.0];
    steps.into_iter().map(|it| it * power).find(|it| *it >= value).unwrap_or(value)
}
