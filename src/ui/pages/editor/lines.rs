//! Lists as they are typed: one entry a line. An entry that has line feeds, or is empty,
//! or begins with a quotation mark, stands in quotation marks, as JSON has strings. So
//! every list can be shown, and is the same after it was read again.

/// A text as forms have it everywhere but here: browsers send `\r\n` for each end of a
/// line (HTML, "constructing the entry list").
pub(in crate::ui::pages) fn unix(text: &str) -> String {
    text.replace("\r\n", "\n")
}

/// An entry of a list as a line.
pub(in crate::ui::pages) fn shown(entry: &str) -> String {
    if entry.trim().is_empty() { quoted(entry) } else { shown_value(entry) }
}

/// The same of what stands behind something else on its line, and may be empty.
pub(in crate::ui::pages) fn shown_value(value: &str) -> String {
    match value.starts_with('"') || value.contains(['\n', '\r']) {
        true => quoted(value),
        false => value.to_owned(),
    }
}

fn quoted(text: &str) -> String {
    // A string can always be written.
    serde_json::to_string(text).unwrap_or_default()
}

/// All entries as lines.
pub(in crate::ui::pages) fn all_shown<'a>(entries: impl IntoIterator<Item = &'a str>) -> String {
    entries.into_iter().map(shown).collect::<Vec<_>>().join("\n")
}

/// What a line means.
///
/// # Errors
/// What is wrong with it, in words that repeat nothing of it.
pub(in crate::ui::pages) fn read(line: &str) -> Result<String, &'static str> {
    if !line.starts_with('"') {
        return Ok(line.to_owned());
    }
    serde_json::from_str(line.trim_end())
        .map_err(|_| "what begins with a quotation mark must be a string as JSON has it")
}

/// The lines that are not empty, with their numbers from 1.
pub(in crate::ui::pages) fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty())
}

/// All entries of a list.
///
/// # Errors
/// What is wrong, line by line.
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
        assert_eq!(unix("a\r\nb\rc"), "a\nb\rc");
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
