//! JSON as a collapsible tree. Keys keep their order and repetitions; numbers and strings are shown
//! as written.
//!
//! The input is hostile, and of any size. The output is bounded in nodes, in depth and in bytes.
//! Invalid or too large JSON is shown as text.

use std::fmt::{self, Write as _};

use maud::{Markup, html};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::ansi::{visible, weight};
use super::value::{bytes, count, counted};

/// Longest text parsed, in bytes.
const MAX_BYTES: usize = 256 * 1024;

/// Excerpt of a longer text, in bytes.
const MAX_EXCERPT: usize = 4 * 1024;

/// Most nodes of a tree.
const MAX_NODES: usize = 400;

/// Deepest node; its contents are shown as text.
const MAX_DEPTH: usize = 64;

/// Depth up to which objects and arrays are open.
const OPEN_DEPTH: usize = 2;

/// Longest key, number or string, in characters.
const MAX_CHARACTERS: usize = 300;

/// Most markup, in bytes, plus one node.
const MAX_MARKUP: usize = 14 * 1024;

/// Markup of a node without its texts, in bytes.
const NODE_WEIGHT: usize = 50;

/// Markup of an object or array, in bytes.
const CONTAINER_WEIGHT: usize = 110;

/// Renders a JSON text as a tree.
pub(in crate::ui) fn tree(text: &str) -> Markup {
    let short = Some(text).filter(|text| text.len() <= MAX_BYTES);
    match short.and_then(|text| serde_json::from_str::<&RawValue>(text).ok()) {
        Some(value) => {
            let mut room = Room { nodes: MAX_NODES, bytes: MAX_MARKUP };
            html! { div.json { (room.node(None, value, 0)) } }
        }
        None => beginning(text),
    }
}

/// Members of an object in order, with the raw text of their keys.
struct Members<'a>(Vec<Member<'a>>);

type Member<'a> = (&'a RawValue, &'a RawValue);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Members<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry::<&RawValue, &RawValue>()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

/// Kind of a value.
enum Kind<'a> {
    Object(Vec<Member<'a>>),
    Array(Vec<&'a RawValue>),
    /// Value that does not collapse.
    Plain(&'a str),
}

impl<'a> Kind<'a> {
    fn of(value: &'a RawValue) -> Self {
        let text = value.get();
        let object = || serde_json::from_str::<Members<'_>>(text).ok().map(|it| it.0);
        let array = || serde_json::from_str::<Vec<&RawValue>>(text).ok();
        let kind = match text.as_bytes().first() {
            Some(b'{') => object().filter(|it| !it.is_empty()).map(Self::Object),
            Some(b'[') => array().filter(|it| !it.is_empty()).map(Self::Array),
            _ => None,
        };
        kind.unwrap_or(Self::Plain(text))
    }
}

/// Remaining budget of the output.
struct Room {
    nodes: usize,
    bytes: usize,
}

impl Room {
    fn node(&mut self, key: Option<&RawValue>, value: &RawValue, depth: usize) -> Markup {
        self.nodes = self.nodes.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(NODE_WEIGHT);
        let key = key.map(|key| self.shown(unquoted(key.get())));
        let label = html! { @if let Some(key) = &key { b { (key) } ": " } };
        let kind = if depth < MAX_DEPTH { Kind::of(value) } else { Kind::Plain(value.get()) };
        match kind {
            Kind::Object(members) => {
                let what = counted(members.len() as u64, "member", "members");
                let members = members.into_iter().map(|(key, value)| (Some(key), value));
                self.container(&label, &format!("{{ {what} }}"), members, depth)
            }
            Kind::Array(elements) => {
                let what = counted(elements.len() as u64, "element", "elements");
                let elements = elements.into_iter().map(|value| (None, value));
                self.container(&label, &format!("[ {what} ]"), elements, depth)
            }
            Kind::Plain(text) => html! { (label) span class=(class(text)) { (self.shown(text)) } },
        }
    }

    fn container<'a>(
        &mut self,
        label: &Markup,
        what: &str,
        members: impl ExactSizeIterator<Item = (Option<&'a RawValue>, &'a RawValue)>,
        depth: usize,
    ) -> Markup {
        self.bytes = self.bytes.saturating_sub(CONTAINER_WEIGHT);
        let (total, mut shown) = (members.len(), Vec::new());
        for (key, value) in members {
            if self.nodes == 0 || self.bytes == 0 {
                break;
            }
            shown.push(self.node(key, value, depth + 1));
        }
        let more = total - shown.len();
        html! {
            details open[depth < OPEN_DEPTH] {
                summary { (label) span.muted { (what) } }
                ul {
                    @for node in &shown { li { (node) } }
                    @if more > 0 { li.muted { "… " (count(more as u64)) " more" } }
                }
            }
        }
    }

    /// Start of a text.
    fn shown(&mut self, text: &str) -> String {
        let mut shown = String::new();
        let mut characters = text.chars().map(visible);
        for character in characters.by_ref().take(MAX_CHARACTERS) {
            self.bytes = self.bytes.saturating_sub(weight(character));
            shown.push(character);
        }
        let more = characters.count();
        if more > 0 {
            // Writing to a string can't fail.
            let _ = write!(shown, "…({} more)", count(more as u64));
        }
        shown
    }
}

/// Key without its quotation marks.
fn unquoted(text: &str) -> &str {
    text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text)
}

/// Class for the colour of a value.
fn class(text: &str) -> &'static str {
    match text.as_bytes().first() {
        Some(b'"') => "j-string",
        Some(b'-' | b'0'..=b'9') => "j-number",
        _ => "j-word",
    }
}

/// Start of an unparsed text.
fn beginning(text: &str) -> Markup {
    let (mut shown, mut weighed, mut end) = (String::new(), 0, 0);
    for (start, character) in text.char_indices() {
        end = start;
        if start >= MAX_EXCERPT || weighed >= MAX_MARKUP {
            break;
        }
        let seen = if character == '\n' { character } else { visible(character) };
        weighed += weight(seen);
        shown.push(seen);
        end = start + character.len_utf8();
    }
    html! {
        pre.code.wrap { (shown) }
        @if end < text.len() {
            p.small.muted { "The first " (bytes(end as u64)) " of " (bytes(text.len() as u64)) "." }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(text: &str) -> String {
        tree(text).into_string()
    }

    /// Text without markup.
    fn words(text: &str) -> String {
        let parts = shown(text);
        parts.split('<').filter_map(|part| part.split_once('>')).map(|(_, text)| text).collect()
    }

    #[test]
    fn values_are_shown_as_they_stand() {
        let text = r#"{"z": 123456789012345678901234567890, "a": 1E+400, "z": "\u00e4"}"#;
        let words = words(text);
        assert_eq!(
            words,
            "{ 3 members }z: 123456789012345678901234567890a: 1E+400z: &quot;\\u00e4&quot;"
        );
    }

    #[test]
    fn objects_and_arrays_fold() {
        let tree = shown(r#"{"a": [{"b": [1]}], "c": {}, "d": null}"#);
        assert_eq!(tree.matches("<details open>").count(), 2, "{tree}");
        assert_eq!(tree.matches("<details>").count(), 2, "{tree}");
        assert!(tree.contains("<span class=\"j-word\">{}</span>"), "{tree}");
        assert!(tree.contains("<span class=\"j-word\">null</span>"), "{tree}");
        assert!(tree.contains("<b>b</b>: "), "{tree}");
    }

    #[test]
    fn a_value_by_itself_is_a_tree_too() {
        assert_eq!(shown(" 7 "), "<div class=\"json\"><span class=\"j-number\">7</span></div>");
    }

    #[test]
    fn keys_that_are_no_text_are_keys() {
        assert!(words(r#"{"\ud800\"": 1}"#).contains("\\ud800\\&quot;: 1"));
        assert!(words(r#"{"<i>": "<b>"}"#).contains("&lt;i&gt;: &quot;&lt;b&gt;&quot;"));
    }

    #[test]
    fn what_is_no_json_is_text() {
        assert_eq!(shown("{\"a\": <"), "<pre class=\"code wrap\">{&quot;a&quot;: &lt;</pre>");
        assert_eq!(shown(""), "<pre class=\"code wrap\"></pre>");
    }

    #[test]
    fn a_tree_is_bounded() {
        let numbers: Vec<_> = (0..10_000).collect();
        let many = shown(&serde_json::to_string(&numbers).unwrap());
        assert!(many.matches("<li>").count() < MAX_NODES && many.contains(" more</li>"));
        let quotes = format!("[{}]", vec!["\"\\\"\\\"\\\"\""; 20_000].join(","));
        let deep = format!("{}{}", "[".repeat(120), "]".repeat(120));
        let long = format!("\"{}\"", "&".repeat(200_000));
        let large = format!("\"{}\"", "&".repeat(MAX_BYTES));
        for text in [many, quotes, deep, long.clone(), large] {
            let tree = shown(&text);
            assert!(tree.len() < MAX_MARKUP + 4_096, "{}", tree.len());
        }
        assert!(words(&long).ends_with("more)"));
    }

    proptest! {
        #[test]
        fn any_text_is_shown(text in "[\\[\\]{}:,\"0-9a-z\\\\ \u{202e}]{0,80}") {
            let is_hidden = !shown(&text).contains('\u{202e}');
            prop_assert!(is_hidden);
        }
    }
}
