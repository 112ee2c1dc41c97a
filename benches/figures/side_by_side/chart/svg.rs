//! Horizontal bars as SVG, readable on light and on dark pages. It knows nothing of
//! what they stand for.

use std::fmt::Write as _;

/// In pixels.
const WIDTH: f64 = 760.0;
const LEFT: f64 = 232.0;
const RIGHT: f64 = 664.0;
const ROW: f64 = 20.0;
const BAR: f64 = 12.0;
const TITLE: f64 = 30.0;
const HEAD: f64 = 52.0;

/// Colours of bars, of text and of lines; the second of each on dark pages.
const STYLE: &str = "\
text{fill:#30363d}.title{font-weight:600}.head{font-size:13px;font-weight:600}\
.tick{fill:#6e7781;font-size:11px}.grid{stroke:#d8dee4}.whisker{stroke:#30363d;fill:none}\
.warm{fill:#1a7f5a}.cold{fill:#7cc5a5}.other{fill:#a9b1ba}.bare{fill:#d9a441}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.tick{fill:#8d96a0}.grid{stroke:#30363d}\
.whisker{stroke:#e6edf3}.warm{fill:#3fb68b}.cold{fill:#22684f}.other{fill:#656e78}\
.bare{fill:#b98727}}";

pub(super) struct Bar {
    pub(super) label: &'static str,
    /// What it is coloured by: `warm`, `cold`, `other` or `bare`.
    pub(super) class: &'static str,
    pub(super) value: f64,
    /// Where the whisker ends.
    pub(super) whisker: Option<f64>,
}

impl Bar {
    fn most(&self) -> f64 {
        self.whisker.unwrap_or_default().max(self.value)
    }
}

pub(super) struct Panel {
    pub(super) title: String,
    pub(super) bars: Vec<Bar>,
}

/// A logarithmic axis.
struct Scale {
    least: f64,
    most: f64,
}

impl Scale {
    fn of(panels: &[Panel]) -> Self {
        let bars = || panels.iter().flat_map(|panel| &panel.bars);
        let least = bars().map(|bar| bar.value).fold(f64::INFINITY, f64::min);
        let most = bars().map(Bar::most).fold(1.0, f64::max);
        Self { least: 10f64.powf(least.log10().floor()), most: most * 1.05 }
    }

    fn x(&self, value: f64) -> f64 {
        let share = (value / self.least).ln() / (self.most / self.least).ln();
        LEFT + share.clamp(0.0, 1.0) * (RIGHT - LEFT)
    }

    /// The powers of ten on it.
    fn ticks(&self) -> impl Iterator<Item = f64> {
        let first = Some(self.least);
        std::iter::successors(first, |it| Some(it * 10.0)).take_while(|it| *it <= self.most)
    }
}

/// Sections, each with a head, a unit, and panels that share an axis.
pub(super) fn document(sections: &[(&str, &str, Vec<Panel>)]) -> String {
    let mut body = String::new();
    let mut y = 0.0;
    for (head, unit, panels) in sections.iter().filter(|(_, _, panels)| !panels.is_empty()) {
        y = section(&mut body, y, head, unit, panels);
    }
    let height = y + 12.0;
    format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" font-family="system-ui, sans-serif" font-size="12"><style>{STYLE}</style>
{body}</svg>
"#
    )
}

/// Draws a section and answers where it ends.
fn section(body: &mut String, top: f64, head: &str, unit: &str, panels: &[Panel]) -> f64 {
    let scale = Scale::of(panels);
    let mut y = top + HEAD;
    let _ =
        writeln!(body, r#"<text class="head" x="12" y="{}">{}</text>"#, top + 24.0, escaped(head));
    for tick in scale.ticks() {
        let (x, y) = (scale.x(tick), y - 4.0);
        let _ = writeln!(
            body,
            r#"<text class="tick" x="{x:.1}" y="{y}" text-anchor="middle">{tick} {unit}</text>"#
        );
    }
    for panel in panels {
        let (title, end) = (y + TITLE - 10.0, y + height(panel));
        let _ = writeln!(
            body,
            r#"<text class="title" x="12" y="{title}">{}</text>"#,
            escaped(&panel.title)
        );
        for x in scale.ticks().map(|tick| scale.x(tick)) {
            let _ = write!(
                body,
                r#"<line class="grid" x1="{x:.1}" x2="{x:.1}" y1="{}" y2="{}"/>"#,
                y + TITLE - 4.0,
                end - 4.0,
            );
        }
        body.push('\n');
        for (bar, row) in panel.bars.iter().zip(0_u8..) {
            draw(body, &scale, y + TITLE + f64::from(row) * ROW, bar, unit);
        }
        y = end;
    }
    y
}

fn height(panel: &Panel) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a few")]
    let rows = panel.bars.len() as f64;
    TITLE + rows * ROW
}

fn draw(body: &mut String, scale: &Scale, y: f64, bar: &Bar, unit: &str) {
    let Bar { label, class, value, whisker } = bar;
    let (middle, baseline) = (y + BAR / 2.0, y + BAR - 2.0);
    let end = scale.x(*value);
    let _ = write!(
        body,
        r#"<text x="{}" y="{baseline}" text-anchor="end">{}</text><rect class="{class}" x="{LEFT}" y="{y}" width="{:.1}" height="{BAR}" rx="2"/>"#,
        LEFT - 8.0,
        escaped(label),
        (end - LEFT).max(1.0),
    );
    if let Some(whisker) = whisker.map(|it| scale.x(it)) {
        let _ = write!(
            body,
            r#"<path class="whisker" d="M{end:.1} {middle}H{whisker:.1}M{whisker:.1} {}V{}"/>"#,
            middle - 3.5,
            middle + 3.5,
        );
    }
    let digits = usize::from(*value < 100.0);
    let _ = writeln!(
        body,
        r#"<text x="{:.1}" y="{baseline}">{value:.digits$} {unit}</text>"#,
        scale.x(bar.most()) + 7.0,
    );
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
