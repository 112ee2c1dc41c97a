//! Lines of a requirements file as pip reads them ("Requirements File Format"):
//! a `\` at the end continues a line, `#` at the beginning or after white space
//! begins a comment, and a comment is never continued.

use super::error::at;
use super::{LineFault, MAX_JOINED_BYTES, MAX_LINE_BYTES, RequirementsError};

/// Line after joining, without comment and outer white space; never empty.
pub(super) struct Line {
    /// Number of its first line, from 1.
    pub(super) number: usize,
    pub(super) text: String,
}

/// Lines that are neither empty nor comments.
///
/// # Errors
/// [`LineFault::TooLong`] and [`LineFault::JoinedTooLong`].
pub(super) fn logical_lines(text: &str) -> Result<Vec<Line>, RequirementsError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = Vec::new();
    let mut open: Option<Line> = None;
    for (index, physical) in text.split('\n').enumerate() {
        let physical = physical.strip_suffix('\r').unwrap_or(physical);
        let mut line = open.take().unwrap_or(Line { number: index + 1, text: String::new() });
        if physical.len() > MAX_LINE_BYTES {
            let too_long = Line { number: index + 1, text: physical.to_owned() };
            return Err(at(&too_long, LineFault::TooLong(physical.len())));
        }
        let is_comment = physical.trim_start().starts_with('#');
        let continued = if is_comment { None } else { physical.strip_suffix('\\') };
        if is_comment {
            line.text.push(' ');
        }
        line.text.push_str(continued.unwrap_or(physical));
        if line.text.len() > MAX_JOINED_BYTES {
            let bytes = line.text.len();
            return Err(at(&line, LineFault::JoinedTooLong(bytes)));
        }
        match continued {
            Some(_) => open = Some(line),
            None => lines.extend(finished(line)),
        }
    }
    lines.extend(open.and_then(finished));
    Ok(lines)
}

/// Line without its comment, unless nothing is left.
fn finished(line: Line) -> Option<Line> {
    let text = without_comment(&line.text).trim();
    (!text.is_empty()).then(|| Line { number: line.number, text: text.to_owned() })
}

fn without_comment(text: &str) -> &str {
    let mut is_after_space = true;
    for (offset, c) in text.char_indices() {
        if c == '#' && is_after_space {
            return text.get(..offset).unwrap_or_default();
        }
        is_after_space = c.is_whitespace();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<(usize, String)> {
        let lines = logical_lines(text).unwrap_or_else(|error| panic!("{error}"));
        lines.into_iter().map(|line| (line.number, line.text)).collect()
    }

    #[test]
    fn comments_and_blank_lines_say_nothing() {
        let text = "\u{feff}# all\r\n\r\n a # one\n\t#two\\\nb#c\n";
        assert_eq!(lines(text), [(3, "a".to_owned()), (5, "b#c".to_owned())]);
    }

    #[test]
    fn a_backslash_continues_a_line() {
        let text = "a==1 \\\r\n  --hash=x \\\n # y\nb\\\n";
        assert_eq!(lines(text), [(1, "a==1   --hash=x".to_owned()), (4, "b".to_owned())]);
        assert_eq!(lines("a\\\nb"), [(1, "ab".to_owned())]);
    }

    #[test]
    fn lines_are_bounded() {
        assert!(logical_lines(&"a".repeat(MAX_LINE_BYTES)).is_ok());
        assert!(logical_lines(&"a".repeat(MAX_LINE_BYTES + 1)).is_err());
        let joined = format!("{}\\\n", "a".repeat(4_000)).repeat(20);
        assert!(logical_lines(&joined).is_err());
    }
}
