//! Fields of a JSON object as they are in the body: names once, values unparsed. So a field kept
//! byte for byte is parsed once, and repeated names are detected, which parsed values would hide.

use std::fmt;

use serde::de::value::MapDeserializer;
use serde::de::{DeserializeOwned, Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::error::Category;
use serde_json::value::RawValue;
use serde_path_to_error::Segment;

use super::problem::{Kind, Problem};
use crate::domain::fault::{Fault, pointer_to};
use crate::domain::json_input::{JsonInput, JsonInputError};
use crate::domain::json_schema::MAX_SCHEMA_BYTES;
use crate::domain::json_shape::Shape;
use crate::domain::sanitize::{escaped, sanitize};

/// Most fields of a body.
const MAX_FIELDS: usize = 100;

/// Most values of one field, including nested ones: parsed, they take many times their size. A
/// schema has no space for more.
const MAX_VALUES: usize = MAX_SCHEMA_BYTES / 2;

/// Longest detail about a value, in characters.
const MAX_DETAIL_CHARS: usize = 400;

/// Prefix of the error about a repeated name.
const TWICE: &str = "twice: ";

/// Fields of a body.
pub(crate) struct BodyFields<'a>(Vec<(String, &'a RawValue)>);

impl<'a> BodyFields<'a> {
    /// Parses an object.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, Problem> {
        let text = std::str::from_utf8(bytes).map_err(|_| not_json(bytes))?;
        serde_json::from_str(text).map_err(|error| match error.classify() {
            Category::Data => {
                let words = without_place(&error);
                match words.strip_prefix(TWICE) {
                    Some(name) => {
                        Problem::new(Kind::Malformed, format!("the body has {name} more than once"))
                    }
                    None => Problem::invalid(vec![Fault::new("", words)]),
                }
            }
            _ => not_json(bytes),
        })
    }

    /// Removes a field and returns its raw value.
    pub(crate) fn take(&mut self, name: &str) -> Option<&'a RawValue> {
        let at = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.remove(at).1)
    }

    /// Refuses lists and objects with too many values.
    fn check_size(&self) -> Result<(), Problem> {
        for (name, value) in &self.0 {
            let is_large = value.get().len() > MAX_VALUES;
            if is_large && !value.get().starts_with('"') {
                let values = Shape::of(value.get()).values();
                if values > MAX_VALUES {
                    let detail = format!("it has {values} values, at most {MAX_VALUES} are read");
                    let pointer = pointer_to("", &sanitize(name));
                    return Err(Problem::invalid(vec![Fault::new(pointer, detail)]));
                }
            }
        }
        Ok(())
    }

    /// Parses the remaining fields into a value.
    pub(crate) fn into_value<T: DeserializeOwned>(self) -> Result<T, Problem> {
        self.check_size()?;
        let fields = MapDeserializer::<_, serde_json::Error>::new(self.0.into_iter());
        serde_path_to_error::deserialize(fields).map_err(|error| {
            let pointer =
                error.path().iter().fold(String::new(), |pointer, segment| match segment {
                    Segment::Seq { index } => pointer_to(&pointer, &index.to_string()),
                    Segment::Map { key } => pointer_to(&pointer, &sanitize(key)),
                    Segment::Enum { .. } | Segment::Unknown => pointer,
                });
            let words = without_place(error.inner());
            match error.inner().classify() {
                Category::Data => Problem::invalid(vec![Fault::new(pointer, words)]),
                _ => Problem::new(Kind::Malformed, words).at(&pointer),
            }
        })
    }
}

/// Text of an error, bounded, without a position relative to the field's start.
fn without_place(error: &serde_json::Error) -> String {
    let words = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let words = escaped(words.strip_suffix(&place).unwrap_or(&words));
    match words.char_indices().nth(MAX_DETAIL_CHARS) {
        Some((end, _)) => format!("{}…", words.get(..end).unwrap_or_default()),
        None => words,
    }
}

/// Problem with the position of a body's syntax error.
fn not_json(bytes: &[u8]) -> Problem {
    match JsonInput::parse(bytes.to_vec()) {
        Err(JsonInputError::Invalid(fault)) => {
            let problem = Problem::new(Kind::Malformed, format!("the body is not JSON: {fault}"));
            problem.hint(format!("it stands in: {}", fault.excerpt))
        }
        Err(JsonInputError::Empty) => {
            Problem::new(Kind::Malformed, "the body is empty, it must be a JSON object")
        }
        Err(_) | Ok(_) => Problem::new(Kind::Malformed, "the body is not JSON"),
    }
}

impl<'de> Deserialize<'de> for BodyFields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = BodyFields<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<BodyFields<'de>, A::Error> {
                let mut fields: Vec<(String, &'de RawValue)> = Vec::new();
                while let Some(name) = map.next_key::<String>()? {
                    if fields.iter().any(|(known, _)| *known == name) {
                        return Err(A::Error::custom(format!("{TWICE}{:?}", sanitize(&name))));
                    }
                    if fields.len() == MAX_FIELDS {
                        return Err(A::Error::custom(format!("more than {MAX_FIELDS} fields")));
                    }
                    fields.push((name, map.next_value()?));
                }
                Ok(BodyFields(fields))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        #[allow(dead_code, reason = "read by nobody")]
        a: Option<u8>,
        #[allow(dead_code, reason = "read by nobody")]
        list: Option<Vec<String>>,
    }

    fn answer(body: &str) -> (u16, String) {
        let read = BodyFields::parse(body.as_bytes()).and_then(BodyFields::into_value::<Body>);
        match read {
            Ok(_) => (200, String::new()),
            Err(problem) => (problem.status().as_u16(), format!("{problem:?}")),
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        assert_eq!(answer(r#"{"a": 1, "list": ["x"]}"#).0, 200);
        for (body, status, words) in [
            ("", 400, "empty"),
            ("{\"a\": 1,}", 400, "line 1, column 9"),
            ("{\"a\": 1\n \"b\"", 400, "line 2"),
            ("{\"a\": 1, \"a\": 2}", 400, "more than once"),
            ("[]", 422, "JSON object"),
            ("{\"a\": 300}", 422, "/a"),
            ("{\"a\": 99999999999999999999999}", 422, "/a"),
            ("{\"list\": [\"x\", 1]}", 422, "/list/1"),
            ("{\"b~/\": 1}", 422, "/b~0~1"),
            ("{\"list\": [\"\\ud800\"]}", 400, "/list/0"),
        ] {
            let (got, text) = answer(body);
            assert_eq!(got, status, "{body}: {text}");
            assert!(text.contains(words), "{body}: {text}");
        }
    }

    #[test]
    fn depth_and_size_make_no_trouble() {
        let deep = format!("{{\"list\": {}{}}}", "[".repeat(10_000), "]".repeat(10_000));
        assert!(matches!(answer(&deep).0, 400 | 422));
        let long = format!("{{\"{}\": 1}}", "x".repeat(1_000_000));
        let (status, text) = answer(&long);
        assert_eq!(status, 422);
        assert!(text.len() < 2_000, "{}", text.len());
    }

    #[test]
    fn values_of_a_field_are_counted_before_they_are_read() {
        let list = |count: usize| format!("{{\"list\": [{}\"\"]}}", "\"\",".repeat(count - 1));
        assert_eq!(answer(&list(MAX_VALUES - 1)).0, 200);
        let (status, text) = answer(&list(MAX_VALUES));
        assert_eq!(status, 422);
        assert!(text.contains("131073 values") && text.contains("/list"), "{text}");
        let long = format!("{{\"list\": [\"{}\"]}}", "[,".repeat(MAX_VALUES));
        assert_eq!(answer(&long).0, 200);
    }

    #[test]
    fn what_is_taken_out_is_what_was_sent() {
        let body = br#"{"input": {"n": 1e400, "n": 2.50, "s": "\u00e4"} , "a": 1}"#;
        let mut fields = BodyFields::parse(body).unwrap();
        let input = fields.take("input").unwrap();
        assert_eq!(input.get(), r#"{"n": 1e400, "n": 2.50, "s": "\u00e4"}"#);
        fields.into_value::<Body>().unwrap();
    }
}
