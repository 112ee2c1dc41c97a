//! The one rule for names of artifacts. PID 1 sends no file whose name breaks it, and
//! Gantry takes none.
//!
//! A name is a path that stays below the folder it is put into, on any file system, and
//! text that a terminal, a log or a URL shows as it is: UTF-8, no `\`, no control
//! characters, no empty component, no `.` or `..`.

/// Longest name in bytes, separators included: that of one component on Linux
/// (`NAME_MAX`, limits.h).
pub const MAX_NAME_BYTES: usize = 255;

/// True for a name that an artifact may have.
#[must_use]
pub fn is_allowed(name: &str) -> bool {
    name.len() <= MAX_NAME_BYTES
        && !name.contains(|c: char| c.is_control() || c == '\\')
        && name.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

/// The name of an entry in a directory, whose own name is empty for the root; `None`
/// when no artifact may have it.
#[must_use]
pub fn joined(directory: &str, entry: &[u8]) -> Option<String> {
    let entry = std::str::from_utf8(entry).ok()?;
    let name = if directory.is_empty() { entry.into() } else { format!("{directory}/{entry}") };
    is_allowed(&name).then_some(name)
}

/// A name that is not allowed, as it may be shown: one line of text, and short.
#[must_use]
pub fn shown(directory: &str, entry: &[u8]) -> String {
    let entry = String::from_utf8_lossy(entry);
    let name = match (directory, &*entry) {
        ("", "") => ".".to_owned(),
        ("", name) | (name, "") => name.to_owned(),
        (directory, entry) => format!("{directory}/{entry}"),
    };
    let mut name = name.replace(char::is_control, "\u{fffd}");
    name.truncate(name.floor_char_boundary(MAX_NAME_BYTES));
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_stays_below_its_folder_and_is_printable() {
        let long = "x".repeat(MAX_NAME_BYTES);
        for name in ["a", "a/b.txt", "…/ü", "a b", "..a/b..", ".hidden", "...", "-rf", "~", &long]
        {
            assert!(is_allowed(name), "{name:?}");
        }
        let longer = "x".repeat(MAX_NAME_BYTES + 1);
        let wide = "ü".repeat(128);
        for name in [
            "", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/..", "./a", "a/./b",
            "a\\b", "\\", "..\\a", "a\0", "a\nb", "a\rb", "\x1b[2J", "a\u{7f}", "a\u{85}", &longer,
            &wide,
        ] {
            assert!(!is_allowed(name), "{name:?}");
        }
    }

    #[test]
    fn an_entry_has_the_name_of_its_directory_before_it() {
        assert_eq!(joined("", b"a").as_deref(), Some("a"));
        assert_eq!(joined("a/b", b"c d").as_deref(), Some("a/b/c d"));
        assert_eq!(joined("", b"\xff"), None);
        assert_eq!(joined(&"d".repeat(254), b"f"), None);
        assert!(joined(&"d".repeat(253), b"f").is_some());
    }

    #[test]
    fn what_is_not_allowed_can_be_shown() {
        assert_eq!(shown("", b""), ".");
        assert_eq!(shown("d", b""), "d");
        assert_eq!(shown("d", b"a\\b"), "d/a\\b");
        assert_eq!(shown("", b"a\n\xff\x1b"), "a\u{fffd}\u{fffd}\u{fffd}");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_bytes_are_a_name_or_can_be_shown(
            directory in "([a-z]{1,100}/){0,3}[a-z]",
            entry in proptest::collection::vec(any::<u8>(), 1..300),
        ) {
            if let Some(name) = joined(&directory, &entry) {
                prop_assert!(is_allowed(&name));
                prop_assert_eq!(name.as_bytes(), [directory.as_bytes(), b"/", &entry].concat());
            }
            let shown = shown(&directory, &entry);
            prop_assert!(shown.len() <= MAX_NAME_BYTES && !shown.contains(char::is_control));
        }
    }
}
