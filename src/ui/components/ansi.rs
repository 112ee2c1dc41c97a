//! Terminal output as markup: colours and weights become classes, and every other sequence
//! (ECMA-48, 5.4 and 8.3; OSC and DCS with their contents) is dropped.
//!
//! The input is hostile. No output moves, hides or reorders its surroundings; a line's markup is
//! bounded; and no input causes a panic. `assets/ansi.js` applies the same rules to live output.

use std::str::Chars;

use maud::{Markup, html};

use super::value::count;

/// Most markup of one line, in bytes, without the note about the rest.
const MAX_LINE: usize = 16 * 1024;

/// Markup of a change of style, in bytes.
const STYLE_WEIGHT: usize = 48;

/// Start of a sequence.
const ESCAPE: char = '\u{1b}';

/// Ends of an OSC's or DCS's text, or starts of such ends. A carriage return is not part of one:
/// what it overwrites is known without parsing sequences.
const ENDS_OF_TEXT: [char; 4] = ['\u{7}', '\u{9c}', '\r', ESCAPE];

/// The sixteen colours of xterm, to find the nearest to another one.
const PALETTE: [[u8; 3]; 16] = [
    [0, 0, 0],
    [205, 0, 0],
    [0, 205, 0],
    [205, 205, 0],
    [0, 0, 238],
    [205, 0, 205],
    [0, 205, 205],
    [229, 229, 229],
    [127, 127, 127],
    [255, 0, 0],
    [0, 255, 0],
    [255, 255, 0],
    [92, 92, 255],
    [255, 0, 255],
    [0, 255, 255],
    [255, 255, 255],
];

/// Visible form of a character: controls as their pictures, and marks that reverse text ("Trojan
/// Source", CVE-2021-42574) as visible symbols.
pub(in crate::ui) fn visible(character: char) -> char {
    match character {
        '\t' => character,
        '\0'..='\u{1f}' => {
            char::from_u32(0x2400 + u32::from(character)).unwrap_or(char::REPLACEMENT_CHARACTER)
        }
        '\u{7f}' => '\u{2421}',
        '\u{2028}' | '\u{2029}' => '\u{2424}',
        '\u{80}'..='\u{9f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            char::REPLACEMENT_CHARACTER
        }
        other => other,
    }
}

/// Bytes of a character in markup.
pub(in crate::ui) fn weight(character: char) -> usize {
    match character {
        '"' => "&quot;".len(),
        '&' => "&amp;".len(),
        '<' | '>' => "&lt;".len(),
        other => other.len_utf8(),
    }
}

/// Reader of one stream, line by line: styles carry over to the following lines.
#[derive(Debug, Default)]
pub(in crate::ui) struct Ansi {
    style: Style,
}

impl Ansi {
    /// Renders the next line, given without its end.
    pub(in crate::ui) fn line(&mut self, text: &str) -> Markup {
        let shown = self.read(text);
        html! {
            @for (style, text) in &shown.runs {
                @if *style == Style::default() { (text) }
                @else { span class=(style.classes()) { (text) } }
            }
            @if shown.more > 0 { span.muted { "…(" (count(shown.more)) " more)" } }
        }
    }

    fn read(&mut self, text: &str) -> Shown {
        let mut shown = Shown::default();
        let mut characters = text.trim_end_matches('\r').chars();
        while let Some(character) = characters.next() {
            match character {
                ESCAPE => self.sequence(&mut characters),
                // The following text overwrites it.
                '\r' => shown = Shown::default(),
                other => shown.push(self.style, visible(other)),
            }
        }
        shown
    }

    /// Skips the rest of a sequence, up to the first character that can't belong to it.
    fn sequence(&mut self, rest: &mut Chars<'_>) {
        let mut ahead = rest.clone();
        match ahead.next() {
            Some('[') => self.control(ahead.as_str(), rest),
            Some(']' | 'P' | 'X' | '^' | '_') => {
                let text = ahead.as_str();
                let end = text.find(ENDS_OF_TEXT).unwrap_or(text.len());
                let behind = text.get(end..).unwrap_or_default();
                let ended = behind.strip_prefix("\u{1b}\\");
                let ended = ended.or_else(|| behind.strip_prefix(['\u{7}', '\u{9c}']));
                *rest = ended.unwrap_or(behind).chars();
            }
            Some(' '..='/') => {
                let text = ahead.as_str().trim_start_matches(|it: char| matches!(it, ' '..='/'));
                *rest =
                    text.strip_prefix(|it: char| matches!(it, '0'..='~')).unwrap_or(text).chars();
            }
            Some('0'..='~') => *rest = ahead,
            _ => {}
        }
    }

    /// Parses a control sequence after its start (ECMA-48, 5.4).
    fn control<'a>(&mut self, text: &'a str, rest: &mut Chars<'a>) {
        let behind = text.trim_start_matches(|it: char| matches!(it, ' '..='?'));
        let parameters = text.get(..text.len() - behind.len()).unwrap_or_default();
        if behind.starts_with('m') {
            self.style.apply(parameters);
        }
        *rest = behind.strip_prefix(|it: char| matches!(it, '@'..='~')).unwrap_or(behind).chars();
    }
}

/// Rendered part of a line.
#[derive(Debug, Default)]
struct Shown {
    runs: Vec<(Style, String)>,
    weight: usize,
    /// Characters omitted.
    more: u64,
}

impl Shown {
    fn push(&mut self, style: Style, character: char) {
        if self.weight >= MAX_LINE {
            self.more += 1;
            return;
        }
        self.weight += weight(character);
        match self.runs.last_mut() {
            Some((last, text)) if *last == style => text.push(character),
            _ => {
                self.weight += STYLE_WEIGHT;
                self.runs.push((style, character.to_string()));
            }
        }
    }
}

/// Style of text (ECMA-48, 8.3.117).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Style {
    fore: Option<u8>,
    back: Option<u8>,
    is_bold: bool,
    is_dim: bool,
    is_italic: bool,
    is_underlined: bool,
    is_inverse: bool,
}

impl Style {
    /// Classes of the style. Text on a background has the colour that is legible on it, whatever
    /// was requested.
    fn classes(self) -> String {
        let mut classes = Vec::new();
        let flags = [
            (self.is_bold, "a-bold"),
            (self.is_dim, "a-dim"),
            (self.is_italic, "a-italic"),
            (self.is_underlined, "a-under"),
        ];
        classes.extend(flags.iter().filter(|(is_set, _)| *is_set).map(|(_, it)| (*it).to_owned()));
        match (self.is_inverse, self.fore, self.back) {
            (true, None, _) => classes.push("a-inverse".to_owned()),
            (true, Some(color), _) | (false, _, Some(color)) => classes.push(format!("bg-{color}")),
            (false, Some(color), None) => classes.push(format!("fg-{color}")),
            (false, None, None) => {}
        }
        classes.join(" ")
    }

    fn apply(&mut self, parameters: &str) {
        let is_known = |it: u8| it.is_ascii_digit() || it == b';' || it == b':';
        if !parameters.bytes().all(is_known) {
            return;
        }
        let mut fields = parameters.split(';');
        while let Some(field) = fields.next() {
            match number(field) {
                _ if field.contains(':') => self.apply_detailed(field),
                38 => self.fore = color(&mut fields).or(self.fore),
                48 => self.back = color(&mut fields).or(self.back),
                other => self.set(other),
            }
        }
    }

    /// Applies a parameter with parts: `38:2::255:0:0`, `4:3`.
    fn apply_detailed(&mut self, field: &str) {
        let parts: Vec<_> = field.split(':').collect();
        match parts.as_slice() {
            ["38", rest @ ..] => self.fore = detailed(rest).or(self.fore),
            ["48", rest @ ..] => self.back = detailed(rest).or(self.back),
            ["4", kind, ..] => self.is_underlined = number(kind) != 0,
            _ => {}
        }
    }

    fn set(&mut self, code: u8) {
        match code {
            0 => *self = Self::default(),
            1 => self.is_bold = true,
            2 => self.is_dim = true,
            3 => self.is_italic = true,
            4 | 21 => self.is_underlined = true,
            7 => self.is_inverse = true,
            22 => (self.is_bold, self.is_dim) = (false, false),
            23 => self.is_italic = false,
            24 => self.is_underlined = false,
            27 => self.is_inverse = false,
            30..=37 => self.fore = Some(code - 30),
            39 => self.fore = None,
            40..=47 => self.back = Some(code - 40),
            49 => self.back = None,
            90..=97 => self.fore = Some(code - 90 + 8),
            100..=107 => self.back = Some(code - 100 + 8),
            _ => {}
        }
    }
}

/// Parses a parameter: empty is 0, and too large is the maximum.
fn number(field: &str) -> u8 {
    if field.is_empty() { 0 } else { field.parse().unwrap_or(u8::MAX) }
}

/// Colour in the parameters after 38 and 48: `5;INDEX` or `2;RED;GREEN;BLUE`.
fn color<'a>(fields: &mut impl Iterator<Item = &'a str>) -> Option<u8> {
    match fields.next()? {
        "5" => fields.next().map(|index| indexed(number(index))),
        "2" => {
            let (red, green, blue) = (fields.next()?, fields.next()?, fields.next()?);
            Some(nearest([number(red), number(green), number(blue)]))
        }
        _ => None,
    }
}

/// The same with colons, where the colour space may precede the colour.
fn detailed(parts: &[&str]) -> Option<u8> {
    match parts {
        ["5", index, ..] => Some(indexed(number(index))),
        ["2", .., red, green, blue] => Some(nearest([number(red), number(green), number(blue)])),
        _ => None,
    }
}

/// Nearest of the sixteen colours to one of the 256: sixteen, a cube of 6 × 6 × 6, and 24 greys.
fn indexed(index: u8) -> u8 {
    let level = |step: u8| if step == 0 { 0 } else { 55 + 40 * step };
    match index {
        0..=15 => index,
        16..=231 => {
            let place = index - 16;
            nearest([level(place / 36), level(place / 6 % 6), level(place % 6)])
        }
        232..=255 => nearest([8 + 10 * (index - 232); 3]),
    }
}

fn nearest(wanted: [u8; 3]) -> u8 {
    let colors = (0_u8..).zip(PALETTE);
    let nearest = colors.min_by_key(|(_, color)| distance(wanted, *color));
    nearest.map_or(7, |(index, _)| index)
}

fn distance(one: [u8; 3], other: [u8; 3]) -> u32 {
    one.into_iter().zip(other).map(|(one, other)| u32::from(one.abs_diff(other)).pow(2)).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(text: &str) -> String {
        Ansi::default().line(text).into_string()
    }

    #[test]
    fn colours_become_classes() {
        assert_eq!(shown("\u{1b}[31mred\u{1b}[0m plain"), "<span class=\"fg-1\">red</span> plain");
        assert_eq!(shown("\u{1b}[1;92mok\u{1b}[m."), "<span class=\"a-bold fg-10\">ok</span>.");
        assert_eq!(shown("\u{1b}[37;41mx"), "<span class=\"bg-1\">x</span>");
        assert_eq!(shown("\u{1b}[7mx"), "<span class=\"a-inverse\">x</span>");
        assert_eq!(shown("\u{1b}[7;32mx\u{1b}[27my").matches("bg-2").count(), 1);
        assert_eq!(shown("\u{1b}[2;3;4mx"), "<span class=\"a-dim a-italic a-under\">x</span>");
    }

    #[test]
    fn colours_of_larger_palettes_are_the_nearest_of_sixteen() {
        for red in ["38;5;9", "38;5;196", "38;2;250;5;5", "38:2::255:0:0", "38:2:255:0:0", "38:5:9"]
        {
            assert_eq!(shown(&format!("\u{1b}[{red}mx")), "<span class=\"fg-9\">x</span>", "{red}");
        }
        assert_eq!(shown("\u{1b}[38;5;255mx"), "<span class=\"fg-7\">x</span>");
        assert_eq!(shown("\u{1b}[48;5;21mx"), "<span class=\"bg-4\">x</span>");
        assert_eq!(shown("\u{1b}[38;5;1;1mx"), "<span class=\"a-bold fg-1\">x</span>");
        for nothing in ["38", "38;5", "38;2;1;2", "38:7", "38:"] {
            assert_eq!(shown(&format!("\u{1b}[{nothing}mx")), "x", "{nothing}");
        }
    }

    #[test]
    fn styles_hold_until_they_are_changed() {
        let mut ansi = Ansi::default();
        ansi.line("\u{1b}[33mfirst");
        assert_eq!(ansi.line("second").into_string(), "<span class=\"fg-3\">second</span>");
        assert_eq!(ansi.line("\u{1b}[39mthird").into_string(), "third");
    }

    #[test]
    fn other_sequences_are_dropped() {
        let link = "\u{1b}]8;;https://evil\u{1b}\\a\u{1b}]8;;\u{7}b";
        for (text, left) in [
            (link, "ab"),
            ("\u{1b}[2J\u{1b}[1;1Ha\u{1b}[?25lb\u{1b}[>4;1mc", "abc"),
            ("\u{1b}Pq#0;2;0\u{1b}\\a\u{1b}_x\u{9c}b", "ab"),
            ("\u{1b}(Ba\u{1b}7b\u{1b}=c", "abc"),
            ("\u{1b}\u{1b}[31", ""),
            ("a\u{1b}]0;title", "a"),
            ("a\u{1b}", "a"),
            ("\u{1b}[31ä", "ä"),
        ] {
            assert_eq!(shown(text), left, "{text:?}");
        }
    }

    #[test]
    fn what_was_written_over_is_gone() {
        assert_eq!(shown("10%\r20%\r100%"), "100%");
        assert_eq!(shown("all\r"), "all");
        assert_eq!(shown("\u{1b}[31ma\rb"), "<span class=\"fg-1\">b</span>");
    }

    #[test]
    fn nothing_invisible_acts() {
        assert_eq!(shown("a\0\u{8}\tb\u{7f}"), "a\u{2400}\u{2408}\tb\u{2421}");
        assert_eq!(shown("\u{202e}a\u{2066}b\u{9b}"), "\u{fffd}a\u{fffd}b\u{fffd}");
        assert_eq!(shown("<b>&\""), "&lt;b&gt;&amp;&quot;");
    }

    #[test]
    fn lines_are_bounded() {
        let long = shown(&"\"".repeat(1_000_000));
        assert!(long.len() < MAX_LINE + 200, "{}", long.len());
        assert!(long.ends_with("more)</span>"));
        let restless = shown(&"\u{1b}[1mx\u{1b}[22my".repeat(100_000));
        assert!(restless.len() < MAX_LINE + 200, "{}", restless.len());
    }

    proptest! {
        #[test]
        fn no_text_makes_a_terminal_of_a_page(text in "(\\PC|\u{1b}|\u{1b}\\[|[\\x00-\\x1f0-9;:mP\\]]){0,60}") {
            let mut ansi = Ansi::default();
            let runs = ansi.read(&text).runs;
            let is_quiet = |it: char| it == '\t' || !it.is_control();
            prop_assert!(runs.iter().all(|(_, text)| text.chars().all(is_quiet)), "{runs:?}");
            let markup = ansi.line(&text).into_string();
            prop_assert!(!markup.contains(ESCAPE));
        }
    }
}
