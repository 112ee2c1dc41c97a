//! Line-by-line diff of two texts. It is bounded in time, in lines and in the length of each,
//! whatever the texts are: after its time limit the diff is coarser, but never omits a change.

use std::time::Duration;

use maud::{Markup, html};
use similar::{ChangeTag, TextDiff};

use crate::domain::sanitize::is_invisible;
use crate::ui::components::value::short;

/// Time limit of a comparison.
const WITHIN: Duration = Duration::from_millis(200);

/// Unchanged lines around the changed ones.
const CONTEXT: usize = 3;

/// Most lines shown.
const MAX_LINES: usize = 1_500;

/// Characters of a line shown.
const LINE_CHARS: usize = 400;

/// Texts that contain a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Both,
    Old,
    New,
}

/// Line of one text or of both.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    mark: Mark,
    /// Number in the old text, from 1.
    old: Option<usize>,
    /// Number in the new text, from 1.
    new: Option<usize>,
    text: String,
    /// True for a last line without a line feed.
    is_open: bool,
}

/// Diff of two texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Diff {
    /// Adjacent lines, each group with its position.
    hunks: Vec<(String, Vec<Line>)>,
    /// True if lines were omitted.
    is_cut: bool,
}

impl Diff {
    /// Compares two texts. Takes up to a quarter of a second: not for an async thread.
    pub(super) fn between(old: &str, new: &str) -> Self {
        let diff = TextDiff::configure().timeout(WITHIN).diff_lines(old, new);
        let mut unified = diff.unified_diff();
        unified.context_radius(CONTEXT);
        let (mut hunks, mut left, mut is_cut) = (Vec::new(), MAX_LINES, false);
        for hunk in unified.iter_hunks() {
            let mut lines = Vec::new();
            for change in hunk.iter_changes() {
                if left == 0 {
                    is_cut = true;
                    break;
                }
                left -= 1;
                lines.push(Line {
                    mark: match change.tag() {
                        ChangeTag::Equal => Mark::Both,
                        ChangeTag::Delete => Mark::Old,
                        ChangeTag::Insert => Mark::New,
                    },
                    old: change.old_index().map(|index| index + 1),
                    new: change.new_index().map(|index| index + 1),
                    text: cut(change.value()),
                    is_open: change.missing_newline(),
                });
            }
            if !lines.is_empty() {
                hunks.push((hunk.header().to_string(), lines));
            }
            if is_cut {
                break;
            }
        }
        Self { hunks, is_cut }
    }

    /// Renders the diff as a table.
    pub(super) fn shown(&self) -> Markup {
        html! {
            @if self.hunks.is_empty() {
                p.muted { "Nothing differs." }
            } @else {
                div.table.code-table tabindex="0" {
                    table.diff {
                        tbody {
                            @for (header, lines) in &self.hunks {
                                tr.hunk { td colspan="4" { (header) } }
                                @for line in lines { (row(line)) }
                            }
                        }
                    }
                }
                @if self.is_cut {
                    p.muted { "There is more: the first " (MAX_LINES) " lines are shown." }
                }
            }
        }
    }
}

fn cut(line: &str) -> String {
    let line = line.trim_end_matches(['\n', '\r']);
    match short(line, LINE_CHARS) {
        all if all.len() == line.len() => visible(line),
        cut => format!("{}…", visible(cut)),
    }
}

/// Makes all characters of a line of code visible: none hides or reorders its neighbours.
pub(super) fn visible(line: &str) -> String {
    let mut shown = String::with_capacity(line.len());
    for c in line.chars() {
        match c != '\t' && is_invisible(c) {
            true => shown.extend(c.escape_default()),
            false => shown.push(c),
        }
    }
    shown
}

fn row(line: &Line) -> Markup {
    let (class, sign, word) = match line.mark {
        Mark::Both => ("", " ", None),
        Mark::Old => ("removed", "-", Some("removed")),
        Mark::New => ("added", "+", Some("added")),
    };
    let number = |number: Option<usize>| number.map(|it| it.to_string()).unwrap_or_default();
    html! {
        tr class=(class) {
            td.number { (number(line.old)) }
            td.number { (number(line.new)) }
            td.sign { (sign) @if let Some(word) = word { span.visually-hidden { (word) } } }
            td.source {
                (line.text)
                @if line.is_open { span.muted { " (no line feed at its end)" } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(diff: &Diff) -> String {
        let lines = diff.hunks.iter().flat_map(|(_, lines)| lines);
        lines
            .map(|line| match line.mark {
                Mark::Both => ' ',
                Mark::Old => '-',
                Mark::New => '+',
            })
            .collect()
    }

    #[test]
    fn lines_that_differ_stand_with_some_around_them() {
        let old: String = (1..=20).map(|it| format!("line {it}\n")).collect();
        let diff = Diff::between(&old, &old.replace("line 10\n", "line ten\nand more\n"));
        assert_eq!(marks(&diff), "   -++   ");
        let (header, lines) = &diff.hunks[0];
        assert_eq!(header, "@@ -7,7 +7,8 @@");
        assert_eq!((lines[3].old, lines[3].new), (Some(10), None));
        assert_eq!((lines[8].old, lines[8].new), (Some(13), Some(14)));
        assert!(!diff.is_cut);
    }

    #[test]
    fn no_character_hides() {
        assert_eq!(visible("\ta\u{202e}b\r"), "\ta\\u{202e}b\\r");
    }

    #[test]
    fn equal_texts_have_no_difference() {
        let diff = Diff::between("a\n", "a\n");
        assert_eq!(diff, Diff { hunks: Vec::new(), is_cut: false });
        assert!(diff.shown().into_string().contains("Nothing differs"));
    }

    #[test]
    fn an_end_of_line_that_is_missing_is_a_difference() {
        let diff = Diff::between("a", "a\n");
        let (_, lines) = &diff.hunks[0];
        assert_eq!((lines[0].is_open, lines[1].is_open), (true, false));
    }

    #[test]
    fn what_is_shown_is_bounded_and_text() {
        let long = "x".repeat(10_000);
        let many: String = (0..20).map(|it| format!("{it}{long}\n")).collect();
        let diff = Diff::between("<script>\n", &many);
        assert!(!diff.is_cut);
        let page = diff.shown().into_string();
        assert!(page.contains("&lt;script&gt;") && !page.contains("<script>"));
        assert!(page.len() < 30_000, "{}", page.len());
        let lines: String = (0..5_000).map(|it| format!("{it}\n")).collect();
        let diff = Diff::between("", &lines);
        assert_eq!((marks(&diff).len(), diff.is_cut), (MAX_LINES, true));
    }
}
