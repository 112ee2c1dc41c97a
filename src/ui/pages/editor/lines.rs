//! Lists as typed: one entry a line. An entry that is empty, contains line feeds, or begins with a
//! quotation mark is quoted as a JSON string. So every list can be shown, and reading it back
//! returns the same list.

/// Normalises line ends to `\n`: browsers send `\r\n` (HTML, "constructing the entry list").
pub(in crate::ui::pages) fn normalize_newlines(text: &str) -> String {
    text.replace("\r\n", "\n")
}

/// Writes an entry of a list as a line.
pub(in crate::ui::pages) fn shown(entry: &str) -> String {
    if entry.trim().is_empty() { quoted(entry) } else { shown_value(entry) }
}

/// Writes a value that follows other text on its line, and may be empty.
pub(in crate::ui::pages) fn shown_value(value: &str) -> String {
    match value.starts_with('"') || value.contains(['\n', '\r']) {
        true => quoted(value),
        false => value.to_owned(),
    }
}

fn quoted(text: &str) -> String {
    // Serialising a string can't fail.
    serde_json::to_string(text).unwrap_or_default()
}

/// Writes all entries as lines.
pub(in crate::ui::pages) fn all_shown<'a>(entries: impl IntoIterator<Item = &'a str>) -> String {
    entries.into_iter().map(shown).collect::<Vec<_>>().join("\n")
}

/// Parses a line.
///
/// # Errors
/// Description of the fault, without any part of the line.
pub(in crate::ui::pages) fn read(line: &str) -> Result<String, &'static str> {
    if !line.starts_with('"') {
        return Ok(line.to_owned());
    }
    serde_json::from_str(line.trim_end())
        .map_err(|_| "what begins with a quotation mark must be a string as JSON has it")
}

/// Non-empty lines, numbered from 1.
pub(in crate::ui::pages) fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty())
}

/// Parses all entries of a list.
///
/// # Errors
/// Faults, line by line.
pub(in crate::ui::pages) fn entries(text: &str) -> Result<Vec<String>, Vec<String>> {
    let (mut found, mut wrong) = (Vec::new(), Vec::new());
    for (number, line) in lines(text) {
        match read(line) {
            Ok(entry) => found.push(entry),
            Err(words) => wrong.push(format!("line {number}: {words}")),
        }
    }
    if wrong.is_empty() { Ok(found) } else { Err(wrong) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_list_has_an_entry_on_each_line() {
        assert_eq!(entries("-v\n\n--name=a b\n").unwrap(), ["-v", "--name=a b"]);
        assert_eq!(entries("\"\"\n\"a\\nb\"").unwrap(), ["", "a\nb"]);
        assert_eq!(entries("").unwrap(), Vec::<String>::new());
        assert_eq!(entries("a\n\"b").unwrap_err().len(), 1);
        assert_eq!(normalize_newlines("a\r\nb\rc"), "a\nb\rc");
    }

    proptest! {
        #[test]
        fn every_list_is_the_same_when_it_is_read_again(
            list in prop::collection::vec(any::<String>(), 0..6)
        ) {
            let shown = all_shown(list.iter().map(String::as_str));
            prop_assert_eq!(entries(&shown).unwrap(), list);
        }

        #[test]
        fn every_value_is_the_same_when_it_is_read_again(value in any::<String>()) {
            let shown = shown_value(&value);
            prop_assert!(!shown.contains('\n'));
            prop_assert_eq!(read(&shown).unwrap(), value);
        }
    }
}
