//! The one rule for names of artifacts. PID 1 sends no file whose name breaks it, and
//! Gantry takes none.
//!
//! A name is a path that stays below the folder it is put into, on any file system, and
//! text that a terminal, a log or a URL shows as it is: UTF-8, no `\`, no control
//! characters, no empty component, no `.` or `..`.

/// Longest name in bytes, separators included.
pub const MAX_NAME_BYTES: usize = 1024;

/// Longest component of a name in bytes: that of a file's name on Linux (`NAME_MAX`,
/// limits.h).
pub const MAX_COMPONENT_BYTES: usize = 255;

/// Most components of a name.
pub const MAX_DEPTH: usize = 32;

/// Most bytes that are shown of a name that is not allowed.
pub const MAX_SHOWN_BYTES: usize = 255;

/// True for a name that an artifact may have.
#[must_use]
pub fn is_allowed(name: &str) -> bool {
    name.len() <= MAX_NAME_BYTES
        && !name.contains(|c: char| c.is_control() || c == '\\')
        && name.split('/').count() <= MAX_DEPTH
        && name.split('/').all(is_component)
}

fn is_component(part: &str) -> bool {
    part.len() <= MAX_COMPONENT_BYTES && !matches!(part, "" | "." | "..")
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
    name.truncate(name.floor_char_boundary(MAX_SHOWN_BYTES));
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_stays_below_its_folder_and_is_printable() {
        let long = ["x".repeat(MAX_COMPONENT_BYTES), "y".repeat(200)].join("/");
        for name in ["a", "a/b.txt", "…/ü", "a b", "..a/b..", ".hidden", "...", "-rf", "~", &long]
        {
            assert!(is_allowed(name), "{name:?}");
        }
        let longer = "x".repeat(MAX_COMPONENT_BYTES + 1);
        let deep = ["d"; MAX_DEPTH + 1].join("/");
        let long_path = vec!["x".repeat(200); 6].join("/");
        assert!(is_allowed(&["d"; MAX_DEPTH].join("/")));
        let wide = "ü".repeat(128);
        for name in [
            "", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/..", "./a", "a/./b",
            "a\\b", "\\", "..\\a", "a\0", "a\nb", "a\rb", "\x1b[2J", "a\u{7f}", "a\u{85}", &longer,
            &wide, &deep, &long_path,
        ] {
            assert!(!is_allowed(name), "{name:?}");
        }
    }

    #[test]
    fn an_entry_has_the_name_of_its_directory_before_it() {
        assert_eq!(joined("", b"a").as_deref(), Some("a"));
        assert_eq!(joined("a/b", b"c d").as_deref(), Some("a/b/c d"));
        assert_eq!(joined("", b"\xff"), None);
        assert!(joined(&"d".repeat(255), b"f").is_some());
        assert_eq!(joined(&"d".repeat(256), b"f"), None);
        let deep = ["d"; MAX_DEPTH - 1].join("/");
        assert!(joined(&deep, b"f").is_some());
        assert_eq!(joined(&format!("{deep}/d"), b"f"), None);
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
            directory in "([a-z]{1,100}/){0,35}[a-z]",
            entry in proptest::collection::vec(any::<u8>(), 1..300),
        ) {
            if let Some(name) = joined(&directory, &entry) {
                prop_assert!(is_allowed(&name));
                prop_assert_eq!(name.as_bytes(), [directory.as_bytes(), b"/", &entry].concat());
            }
            let shown = shown(&directory, &entry);
            prop_assert!(shown.len() <= MAX_SHOWN_BYTES && !shown.contains(char::is_control));
        }
    }
}
