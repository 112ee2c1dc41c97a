//! Rendering of a plan as a form. Field names are JSON pointers and ids are numbers, because
//! property names may contain anything.

use chrono::NaiveDateTime;
use maud::{Markup, html};
use serde_json::Value;

use super::filled::Filled;
use super::plan::{Kind, Part};
use crate::ui::pages::editor::field::{Field, FieldErrors, Input};
use crate::ui::pages::script::words::shown;
use crate::ui::upload_form::UPLOAD;

/// Renders all fields of an object.
pub(super) fn parts(parts: &[Part], filled: &Filled, wrong: &FieldErrors) -> Markup {
    html! {
        div.fields { @for it in parts { (part(it, filled, wrong)) } }
    }
}

fn part(part: &Part, filled: &Filled, wrong: &FieldErrors) -> Markup {
    let (id, name) = (part.id(), part.name());
    let field = Field::new(&id, &part.label, &part.help).named(&name).required(part.is_needed());
    let text = filled.text(part);
    match &part.kind {
        Kind::Group(inner) => {
            let field = Field::new(&id, &part.label, &part.help);
            field.group(wrong, part.is_required, &parts(inner, filled, wrong))
        }
        Kind::Line { kind, max_length } => field
            .input(wrong, Input { max_length: max_length.as_deref(), ..input(kind, text, part) }),
        Kind::Time => time(field, wrong, text, part),
        Kind::Number { is_whole, min, max } => {
            let step = Some(if *is_whole { "1" } else { "any" });
            let (min, max) = (min.as_deref(), max.as_deref());
            field.input(wrong, Input { min, max, step, ..input("number", text, part) })
        }
        Kind::Text => field.area(wrong, 4, text),
        Kind::Json => field.area(wrong, 3, text),
        // An empty list is also a value.
        Kind::Lines(_) => field.required(false).area(wrong, 3, text),
        Kind::File { .. } => field.file(wrong, None),
        Kind::Upload { accept, is_many } => upload(field, wrong, text, part, (accept, *is_many)),
        Kind::Choice(values) => choice(field, wrong, values, text, part),
        Kind::Switch if part.is_tick() => field.tick(wrong, "true", text == "true"),
        Kind::Switch => {
            let options = [("", left_out(part)), ("true", "yes"), ("false", "no")];
            field.select(wrong, &options, text)
        }
    }
}

fn input<'a>(kind: &'a str, value: &'a str, part: &'a Part) -> Input<'a> {
    Input { kind, value, placeholder: part.example.as_deref(), ..Input::default() }
}

/// Renders a field for the names of files, and beside it a control that fills it. Neither has to be
/// filled in by itself.
fn upload(
    field: Field<'_>,
    wrong: &FieldErrors,
    text: &str,
    part: &Part,
    (accept, is_many): (&Option<String>, bool),
) -> Markup {
    let field = field.required(false);
    let named = match is_many {
        true => field.area(wrong, 3, text),
        false => field.input(wrong, input("text", text, part)),
    };
    html! {
        div.upload {
            (named)
            input type="file" name={ (UPLOAD) (part.name()) } accept=[accept.as_deref()]
                multiple[is_many] aria-label={ "Choose files for " (part.label) };
        }
    }
}

/// Renders a time picker, unless it would lose a part of the value.
fn time(field: Field<'_>, wrong: &FieldErrors, text: &str, part: &Part) -> Markup {
    let is = |text: &str, format: &str| NaiveDateTime::parse_from_str(text, format).is_ok();
    let is_exact = |text: &&str| is(text, "%Y-%m-%dT%H:%M:%S");
    let local = match text.strip_suffix('Z') {
        Some(local) => Some(local).filter(is_exact),
        None if text.is_empty() || is(text, "%Y-%m-%dT%H:%M") => Some(text),
        None => Some(text).filter(is_exact),
    };
    match local {
        Some(local) => {
            let step = Some("1");
            field.input(wrong, Input { step, ..input("datetime-local", local, part) })
        }
        None => field.input(wrong, input("text", text, part)),
    }
}

fn choice(
    field: Field<'_>,
    wrong: &FieldErrors,
    values: &[Value],
    text: &str,
    part: &Part,
) -> Markup {
    let known: Vec<_> = values.iter().map(|value| (value.to_string(), shown(value))).collect();
    let mut options: Vec<(&str, &str)> = Vec::new();
    if !part.is_settled() {
        options.push(("", if part.is_needed() { "choose one" } else { left_out(part) }));
    }
    options.extend(known.iter().map(|(value, label)| (value.as_str(), label.as_str())));
    field.select(wrong, &options, text)
}

/// Label for no choice.
fn left_out(part: &Part) -> &'static str {
    if part.is_required { "null" } else { "left out" }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::ui::pages::run::plan::Plan;

    fn page(schema: Value) -> String {
        let plan = Plan::of(&schema).unwrap();
        let filled = Filled::of_defaults(&plan);
        parts(&plan.parts, &filled, &FieldErrors::default()).into_string()
    }

    #[test]
    fn what_a_schema_says_is_text() {
        let hostile = "\"><script>alert(1)</script>";
        let page = page(json!({"type": "object", "properties": {
            hostile: {"type": "string", "title": hostile, "description": hostile,
                "default": hostile, "examples": [hostile]},
            "e": {"enum": [hostile]},
            "g": {"type": "object", "title": hostile, "properties": {hostile: {"type": "boolean"}}}
        }}));
        assert!(!page.contains("<script"), "{page}");
        assert!(page.contains("&quot;&gt;&lt;script&gt;"), "{page}");
    }

    #[test]
    fn fields_have_labels_bounds_and_what_stands_in_them() {
        let page = page(json!({"type": "object", "required": ["n", "ok"], "properties": {
            "n": {"type": "integer", "minimum": 1, "maximum": 10, "default": 3},
            "ok": {"type": "boolean", "default": true},
            "how": {"enum": ["a", "b"], "default": "b"},
            "at": {"type": "string", "format": "date-time", "default": "2026-11-29T10:05:07Z"}
        }}));
        for part in [
            "<label for=\"f0\">",
            "name=\"f/n\" type=\"number\" value=\"3\" min=\"1\" max=\"10\" step=\"1\" required",
            "name=\"f/ok\" type=\"checkbox\" value=\"true\" checked",
            "<option value=\"&quot;b&quot;\" selected>b</option>",
            "type=\"datetime-local\" value=\"2026-11-29T10:05:07\"",
        ] {
            assert!(page.contains(part), "{part} is not in {page}");
        }
    }
}
