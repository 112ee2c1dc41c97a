//! Schema as a table of properties, so that callers need not read JSON Schema. The schema itself is
//! shown below it.

use maud::{Markup, html};
use serde_json::{Map, Value};

use super::words;
use crate::ui::components::value::short;

/// Most rows.
const MAX_ROWS: usize = 100;

/// Characters of a description shown.
const DESCRIPTION_CHARS: usize = 400;

/// Row of a property.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    /// Name, prefixed with that of its object.
    name: String,
    kind: String,
    is_required: bool,
    description: String,
    constraints: String,
}

/// Properties of a schema, with nested objects one level deep; true if there are more.
fn rows_of(schema: &Value) -> (Vec<Row>, bool) {
    let mut rows = Vec::new();
    add(schema, "", &mut rows);
    let has_more = rows.len() > MAX_ROWS;
    rows.truncate(MAX_ROWS);
    (rows, has_more)
}

fn add(schema: &Value, before: &str, rows: &mut Vec<Row>) {
    let Some(Value::Object(properties)) = schema.get("properties") else { return };
    for (name, property) in required_first(schema, properties) {
        if rows.len() > MAX_ROWS {
            return;
        }
        let said = text(property, "description").or_else(|| text(property, "title"));
        rows.push(Row {
            name: format!("{before}{name}"),
            kind: words::kind(property),
            is_required: is_required(schema, name),
            description: said.unwrap_or_default(),
            constraints: words::constraints(property),
        });
        if before.is_empty() {
            add(property, &format!("{name}."), rows);
        }
    }
}

/// Properties, required ones first.
pub(in crate::ui::pages) fn required_first<'a>(
    schema: &Value,
    properties: &'a Map<String, Value>,
) -> Vec<(&'a String, &'a Value)> {
    let mut sorted: Vec<_> = properties.iter().collect();
    sorted.sort_by_key(|(name, _)| !is_required(schema, name));
    sorted
}

/// True if a property is required.
pub(in crate::ui::pages) fn is_required(schema: &Value, name: &str) -> bool {
    let required = schema.get("required").and_then(Value::as_array);
    required.is_some_and(|names| names.iter().any(|it| it.as_str() == Some(name)))
}

fn text(schema: &Value, name: &str) -> Option<String> {
    let text = schema.get(name)?.as_str()?;
    Some(short(text, DESCRIPTION_CHARS).to_owned())
}

/// True if a schema accepts everything.
fn accepts_all(schema: &Value) -> bool {
    schema.as_object().is_some_and(Map::is_empty)
}

/// Renders a schema in words and as JSON.
pub(super) fn shown(title: &str, schema: &Value) -> Markup {
    let (rows, has_more) = rows_of(schema);
    html! {
        section.card {
            h2 { (title) }
            @if accepts_all(schema) {
                p.muted { "Anything: there is no schema." }
            } @else {
                @if rows.is_empty() { p { (sentence(schema)) } } @else { (table(&rows)) }
                @if has_more { p.muted { "The first " (MAX_ROWS) " properties are shown." } }
                details.raw {
                    summary { "The schema itself" }
                    pre.code tabindex="0" { (serde_json::to_string_pretty(schema).unwrap_or_default()) }
                }
            }
        }
    }
}

fn sentence(schema: &Value) -> String {
    match words::constraints(schema) {
        constraints if constraints.is_empty() => words::kind(schema),
        constraints => format!("{}: {constraints}", words::kind(schema)),
    }
}

fn table(rows: &[Row]) -> Markup {
    html! {
        div.table {
            table {
                thead {
                    tr { th { "Name" } th { "Type" } th { "Needed" } th { "What it is" } }
                }
                tbody {
                    @for row in rows {
                        tr {
                            td { code { (row.name) } }
                            td { (row.kind) }
                            td { @if row.is_required { "yes" } @else { span.muted { "no" } } }
                            td.break {
                                (row.description)
                                @if !row.description.is_empty() && !row.constraints.is_empty() { br; }
                                span.muted { (row.constraints) }
                            }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn properties_are_rows_and_those_that_are_needed_come_first() {
        let schema = json!({
            "type": "object", "required": ["city"], "properties": {
                "address": {"type": "object", "required": ["zip"], "properties": {
                    "zip": {"type": "string", "maxLength": 5},
                    "deep": {"type": "object", "properties": {"x": {}}}
                }},
                "city": {"type": "string", "description": "Where"},
                "days": {"type": "integer", "minimum": 1, "maximum": 10}
            }
        });
        let (rows, has_more) = rows_of(&schema);
        let names: Vec<_> = rows.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(names, ["city", "address", "address.zip", "address.deep", "days"]);
        let needed: Vec<_> = rows.iter().map(|row| row.is_required).collect();
        assert_eq!(needed, [true, false, true, false, false]);
        assert_eq!(rows[0].description, "Where");
        assert_eq!(rows[4].constraints, "1 to 10");
        assert!(!has_more);
    }

    #[test]
    fn a_table_is_bounded() {
        let properties: Map<_, _> = (0..500).map(|it| (format!("p{it}"), json!({}))).collect();
        let (rows, has_more) = rows_of(&json!({"properties": properties}));
        assert_eq!((rows.len(), has_more), (MAX_ROWS, true));
        assert!(rows_of(&json!(false)).0.is_empty());
        assert!(rows_of(&json!({"properties": 7})).0.is_empty());
    }

    #[test]
    fn what_a_schema_says_is_text() {
        let schema = json!({"properties": {"<b>": {"description": "<script>alert(1)</script>"}}});
        let page = shown("Input", &schema).into_string();
        assert!(!page.contains("<script>") && !page.contains("<b>"), "{page}");
    }
}
