//! Arbitrary bytes as a JSON document: a script's input, and what it printed.

use gantry::domain::json_form::canonical;
use gantry::domain::json_input::{JsonFault, JsonInput, JsonInputError, parse_output};
use gantry::domain::unique_keys::once;
use serde_json::Value;
use serde_json::value::RawValue;

/// What is taken is kept byte for byte and is the same document for every reader;
/// what is refused is shown where it is wrong.
pub fn hold(input: &[u8]) -> bool {
    let printed = parse_output(input);
    match JsonInput::parse(input.to_vec()) {
        Ok(document) => {
            assert_eq!(document.as_str().as_bytes(), input);
            is_kept(document.as_str(), printed.ok().as_deref());
            true
        }
        Err(error) => {
            let printed = printed.expect_err("both take the same documents");
            is_shown(&printed.fault, input);
            super::is_short(&error.to_string());
            if let JsonInputError::Invalid(fault) = &error {
                is_shown(fault, input);
            }
            false
        }
    }
}

fn is_kept(text: &str, printed: Option<&RawValue>) {
    let raw: &RawValue = serde_json::from_str(text).expect("it is JSON");
    assert_eq!(printed.map(RawValue::get), Some(raw.get()));
    let part = JsonInput::from_raw(raw).expect("what is taken as a whole is taken as a part");
    assert_eq!(part.as_str(), text.trim_ascii());

    let read = once(&mut serde_json::Deserializer::from_str(text));
    // A number, or half of a character, that no value holds.
    let Ok(value) = serde_json::from_str::<Value>(text) else { return assert!(read.is_err()) };
    match read {
        // `null` and what is not there are told apart by the field.
        Ok(read) => assert_eq!(read.flatten().unwrap_or(Value::Null), value),
        Err(error) => assert!(error.to_string().contains("more than once"), "{error}"),
    }
    let form = canonical(value);
    assert_eq!(canonical(form.clone()), form);
    let again: Value = serde_json::from_str(&form.to_string()).expect("it was written as JSON");
    assert_eq!(again, form, "what a database gives back is the same");
}

fn is_shown(fault: &JsonFault, input: &[u8]) {
    assert!((1..=1 + input.iter().filter(|it| **it == b'\n').count()).contains(&fault.line));
    assert!((1..=input.len() + 1).contains(&fault.column));
    let shown = fault.excerpt.chars().count();
    assert!(shown <= 70 && fault.caret <= shown, "{fault:?}");
    super::is_visible(&fault.excerpt);
    assert_eq!(fault.pointed().lines().count(), 2, "{fault:?}");
}
