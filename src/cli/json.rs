//! JSON for people and programs: the server's own values, every number and key as it
//! came, laid out in lines, without control sequences for a terminal.

use std::fmt::Write;

use crate::domain::sanitize::is_invisible;

/// Lays out a valid JSON document. What has no visible form is written as an
/// escape, which means the same.
pub(super) fn laid_out(json: &str) -> String {
    let mut out = String::with_capacity(json.len() + json.len() / 2);
    let (mut depth, mut is_string, mut is_escaped) = (0_usize, false, false);
    let mut characters = json.chars().filter(|c| *c >= ' ').peekable();
    while let Some(c) = characters.next() {
        if is_string {
            put(c, &mut out);
            is_string = is_escaped || c != '"';
            is_escaped = !is_escaped && c == '\\';
            continue;
        }
        match c {
            ' ' => {}
            '[' | '{' => {
                out.push(c);
                while characters.next_if_eq(&' ').is_some() {}
                let close = if c == '[' { ']' } else { '}' };
                if characters.next_if_eq(&close).is_some() {
                    out.push(close);
                } else {
                    depth += 1;
                    break_line(depth, &mut out);
                }
            }
            ']' | '}' => {
                depth = depth.saturating_sub(1);
                break_line(depth, &mut out);
                out.push(c);
            }
            ',' => {
                out.push(c);
                break_line(depth, &mut out);
            }
            ':' => out.push_str(": "),
            c => {
                is_string = c == '"';
                out.push(c);
            }
        }
    }
    out
}

fn break_line(depth: usize, out: &mut String) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", depth));
}

/// A character of a string.
fn put(c: char, out: &mut String) {
    if !is_invisible(c) {
        out.push(c);
        return;
    }
    for unit in c.encode_utf16(&mut [0; 2]) {
        // Writing into a string does not fail.
        let _ = write!(out, "\\u{unit:04x}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    #[test]
    fn documents_are_laid_out_and_not_changed() {
        let json = "{\"a\":[1e999,{},[ ],-0.10],\"b\" : \"x: [\\\"]\\\\\",\r\n\"c\":{\"d\":null}}";
        let expected = "{\n  \"a\": [\n    1e999,\n    {},\n    [],\n    -0.10\n  ],\n  \
                        \"b\": \"x: [\\\"]\\\\\",\n  \"c\": {\n    \"d\": null\n  }\n}";
        assert_eq!(laid_out(json), expected);
    }

    #[test]
    fn nothing_in_it_moves_a_cursor() {
        let document = json!({"a": "\u{9b}31m\u{202e}\u{7f}\u{e0041}é"});
        let shown = laid_out(&document.to_string());
        assert!(!shown.chars().any(|c| c != '\n' && is_invisible(c)), "{shown:?}");
    }

    fn documents() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..5)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn it_means_what_it_meant(document in documents()) {
            for json in [document.to_string(), format!("{document:#}")] {
                let shown = laid_out(&json);
                prop_assert_eq!(serde_json::from_str::<Value>(&shown).unwrap(), document.clone());
            }
        }
    }
}
