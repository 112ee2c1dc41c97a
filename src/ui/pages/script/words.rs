//! JSON Schema in words, as far as they fit in a table row. They only explain; the schema alone
//! validates.

use serde_json::Value;

use crate::ui::components::value::short;

/// Values of an enumeration shown.
const NAMED: usize = 12;

/// Characters of a value, or of a pattern, shown.
const VALUE_CHARS: usize = 60;

/// Kind of value.
pub(in crate::ui::pages) fn kind(schema: &Value) -> String {
    match schema.get("type") {
        Some(Value::String(name)) if name == "array" => match schema.get("items") {
            Some(items @ Value::Object(_)) => format!("list of {}", kind(items)),
            _ => "list".to_owned(),
        },
        Some(Value::String(name)) => name.clone(),
        Some(Value::Array(names)) => {
            let names: Vec<_> = names.iter().filter_map(Value::as_str).collect();
            names.join(" or ")
        }
        _ => untyped(schema).to_owned(),
    }
}

/// Common kind of the values that a schema lists.
fn among(schema: &Value) -> &'static str {
    let listed = schema.get("enum").and_then(Value::as_array);
    let values: Vec<_> = listed.into_iter().flatten().chain(schema.get("const")).collect();
    let are_all = |is: fn(&Value) -> bool| !values.is_empty() && values.iter().all(|it| is(it));
    if are_all(Value::is_string) {
        "string"
    } else if are_all(Value::is_number) {
        "number"
    } else {
        "value"
    }
}

fn untyped(schema: &Value) -> &'static str {
    let has = |name: &str| schema.get(name).is_some();
    if has("enum") || has("const") {
        among(schema)
    } else if has("oneOf") || has("anyOf") {
        "one of several forms"
    } else if has("$ref") {
        "defined elsewhere in the schema"
    } else if has("properties") {
        "object"
    } else {
        "anything"
    }
}

/// Further constraints and the default.
pub(in crate::ui::pages) fn constraints(schema: &Value) -> String {
    let mut words = Vec::new();
    if let Some(Value::Array(values)) = schema.get("enum") {
        let named: Vec<_> = values.iter().take(NAMED).map(shown).collect();
        let more = if values.len() > NAMED { " …" } else { "" };
        words.push(format!("one of {}{more}", named.join(", ")));
    }
    if let Some(value) = schema.get("const") {
        words.push(format!("always {}", shown(value)));
    }
    words.extend(span(schema, "minimum", "maximum", ""));
    words.extend(limit(schema, "exclusiveMinimum", "more than"));
    words.extend(limit(schema, "exclusiveMaximum", "less than"));
    words.extend(limit(schema, "multipleOf", "a multiple of"));
    words.extend(span(schema, "minLength", "maxLength", "characters"));
    words.extend(span(schema, "minItems", "maxItems", "entries"));
    words.extend(span(schema, "minProperties", "maxProperties", "properties"));
    words.extend(limit(schema, "format", "as"));
    words.extend(limit(schema, "pattern", "matches"));
    words.extend(limit(schema, "contentEncoding", "in"));
    if let Some(value) = schema.get("default") {
        words.push(format!("{} when left out", shown(value)));
    }
    words.join("; ")
}

fn limit(schema: &Value, name: &str, words: &str) -> Option<String> {
    let value = schema.get(name).filter(|it| it.is_number() || it.is_string())?;
    Some(format!("{words} {}", shown(value)))
}

/// `1 to 10 characters`, `at least 1`, `at most 10 entries`.
fn span(schema: &Value, least: &str, most: &str, what: &str) -> Option<String> {
    let number = |name: &str| schema.get(name).filter(|it| it.is_number()).map(shown);
    let words = match (number(least), number(most)) {
        (None, None) => return None,
        (Some(least), Some(most)) if least == most => format!("exactly {least}"),
        (Some(least), Some(most)) => format!("{least} to {most}"),
        (Some(least), None) => format!("at least {least}"),
        (None, Some(most)) => format!("at most {most}"),
    };
    Some(if what.is_empty() { words } else { format!("{words} {what}") })
}

/// Value for a person: strings as they are, all else as JSON; long values are cut.
pub(in crate::ui::pages) fn shown(value: &Value) -> String {
    let text = match value {
        Value::String(text) if text.is_empty() => "\"\"".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match short(&text, VALUE_CHARS) {
        all if all.len() == text.len() => text,
        cut => format!("{cut}…"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_type_is_told_in_words() {
        for (schema, words) in [
            (json!({"type": "string"}), "string"),
            (json!({"type": ["string", "null"]}), "string or null"),
            (json!({"type": "array", "items": {"type": "integer"}}), "list of integer"),
            (json!({"type": "array"}), "list"),
            (json!({"enum": [1, 2.5]}), "number"),
            (json!({"enum": ["a", "b"]}), "string"),
            (json!({"const": "a"}), "string"),
            (json!({"enum": ["a", null]}), "value"),
            (json!({"enum": []}), "value"),
            (json!({"anyOf": []}), "one of several forms"),
            (json!({}), "anything"),
            (json!(true), "anything"),
        ] {
            assert_eq!(kind(&schema), words, "{schema}");
        }
    }

    #[test]
    fn what_it_has_to_be_is_told_in_words() {
        for (schema, words) in [
            (json!({"minimum": 1, "maximum": 10}), "1 to 10"),
            (json!({"minLength": 1}), "at least 1 characters"),
            (json!({"minItems": 2, "maxItems": 2}), "exactly 2 entries"),
            (json!({"enum": ["a", "b", 3, null]}), "one of a, b, 3, null"),
            (json!({"const": "x"}), "always x"),
            (json!({"exclusiveMinimum": 0, "default": 5}), "more than 0; 5 when left out"),
            (json!({"format": "email", "pattern": "^a"}), "as email; matches ^a"),
            (json!({"minimum": "x", "format": {}}), ""),
        ] {
            assert_eq!(constraints(&schema), words, "{schema}");
        }
        let long = json!({"pattern": "x".repeat(500), "enum": vec!["y".repeat(100); 100]});
        assert!(constraints(&long).chars().count() < 1_000);
    }
}
