//! Initial values of a form's fields: the schema's defaults, the input of an earlier execution, or
//! typed values. An input is split without parsing its numbers or building trees: its digits stay
//! unchanged.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;
use serde_json::value::RawValue;

use super::assembly::with_zone;
use super::plan::{Item, Kind, Part, Plan};
use crate::ui::form::FormFields;
use crate::ui::pages::editor::lines::{all_shown, normalize_newlines};

/// Texts by field name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Filled(HashMap<String, String>);

impl Filled {
    /// Defaults of the schema.
    pub(super) fn of_defaults(plan: &Plan) -> Self {
        let mut filled = Self::default();
        filled.put_defaults(&plan.parts);
        filled
    }

    /// Values of an input, and true if the form can represent all of it.
    pub(super) fn of_input(plan: &Plan, input: &str) -> (Self, bool) {
        let mut filled = Self::default();
        let is_whole = filled.put_object(&plan.parts, input);
        (filled, is_whole)
    }

    /// Values as typed.
    pub(super) fn of_fields(plan: &Plan, fields: &FormFields) -> Self {
        let mut filled = Self::default();
        filled.put_typed(&plan.parts, fields);
        filled
    }

    /// Value in the field of a part.
    pub(super) fn text(&self, part: &Part) -> &str {
        self.0.get(&part.name()).map_or("", String::as_str)
    }

    fn put_defaults(&mut self, parts: &[Part]) {
        for part in parts {
            if let Kind::Group(parts) = &part.kind {
                self.put_defaults(parts);
            }
            let default = part.default.as_ref().and_then(|it| text_of(part, &it.to_string()));
            let settled = match &part.kind {
                Kind::Choice(values) if part.is_settled() => values.first().map(Value::to_string),
                _ => None,
            };
            if let Some(text) = default.or(settled) {
                self.0.insert(part.name(), text);
            }
        }
    }

    fn put_object(&mut self, parts: &[Part], json: &str) -> bool {
        let Ok(mut members) = serde_json::from_str::<BTreeMap<String, &RawValue>>(json) else {
            return false;
        };
        let mut is_whole = true;
        for part in parts {
            let Some(member) = members.remove(&part.key) else { continue };
            is_whole &= match &part.kind {
                Kind::Group(parts) => self.put_object(parts, member.get()),
                _ => match text_of(part, member.get()) {
                    Some(text) => self.0.insert(part.name(), text).is_none(),
                    None => false,
                },
            };
        }
        is_whole && members.is_empty()
    }

    fn put_typed(&mut self, parts: &[Part], fields: &FormFields) {
        for part in parts {
            match &part.kind {
                Kind::Group(parts) => self.put_typed(parts, fields),
                _ => {
                    self.0.insert(part.name(), normalize_newlines(fields.text(&part.name())));
                }
            }
        }
    }
}

/// Text of a value in a field; `None` if the field can't represent it exactly.
fn text_of(part: &Part, json: &str) -> Option<String> {
    let text = || serde_json::from_str::<String>(json).ok();
    let shown = match &part.kind {
        Kind::Upload { is_many: true, .. } => list(Item::Text, json),
        Kind::Line { .. } | Kind::Upload { .. } => text().filter(|it| !it.contains(['\n', '\r'])),
        Kind::Time => text().filter(|it| with_zone(it) == *it && !it.contains(['\n', '\r'])),
        Kind::Text => text().filter(|it| !it.contains('\r')),
        Kind::Number { .. } => Some(json).filter(|it| is_number(it)).map(str::to_owned),
        Kind::Choice(values) => {
            let value: Value = serde_json::from_str(json).ok()?;
            values.contains(&value).then(|| value.to_string())
        }
        Kind::Switch => Some(json).filter(|it| matches!(*it, "true" | "false")).map(str::to_owned),
        Kind::Lines(item) => list(*item, json),
        Kind::Json => Some(json.to_owned()),
        Kind::File { .. } | Kind::Group(_) => None,
    };
    // Empty values are omitted, except for required lists.
    let may_be_empty = matches!(part.kind, Kind::Lines(_) | Kind::Upload { is_many: true, .. })
        && part.is_needed();
    shown.filter(|it| may_be_empty || !it.is_empty())
}

fn list(item: Item, json: &str) -> Option<String> {
    let entries: Vec<&RawValue> = serde_json::from_str(json).ok()?;
    let entries = entries.into_iter().map(RawValue::get);
    let texts: Option<Vec<String>> = match item {
        Item::Text => entries.map(|it| serde_json::from_str(it).ok()).collect(),
        Item::Number => entries.map(|it| is_number(it).then(|| it.to_owned())).collect(),
        Item::Switch => {
            entries.map(|it| matches!(it, "true" | "false").then(|| it.to_owned())).collect()
        }
    };
    Some(all_shown(texts?.iter().map(String::as_str)))
}

/// True if a JSON value is a number.
fn is_number(json: &str) -> bool {
    json.starts_with(|c: char| c == '-' || c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::ui::address::encoded;
    use crate::ui::pages::run::assembly::assembled;

    fn plan() -> Plan {
        let schema = json!({
            "type": "object", "required": ["city", "must", "tags"], "properties": {
                "city": {"type": "string", "default": "Turin"},
                "days": {"type": "number", "default": 3},
                "must": {"type": "boolean", "default": true},
                "may": {"type": "boolean"},
                "how": {"enum": ["fast", 7, null]},
                "only": {"const": "x"},
                "tags": {"type": "array", "items": {"type": "string"}},
                "note": {"type": "string", "format": "textarea"},
                "blob": {"type": "string", "contentEncoding": "base64"},
                "any": {},
                "at": {"type": "object", "properties": {"x": {"type": "integer", "default": 1}}}
            }
        });
        Plan::of(&schema).unwrap()
    }

    fn by_pointer<'a>(plan: &'a Plan, pointer: &str) -> &'a Part {
        plan.nearest(pointer).unwrap()
    }

    #[test]
    fn defaults_stand_in_the_form() {
        let plan = plan();
        let filled = Filled::of_defaults(&plan);
        let text = |pointer| filled.text(by_pointer(&plan, pointer));
        assert_eq!((text("/city"), text("/days"), text("/must")), ("Turin", "3", "true"));
        assert_eq!((text("/may"), text("/only"), text("/at/x")), ("", "", "1"));
    }

    /// An earlier input, shown and sent unchanged, results in the same input.
    #[test]
    fn an_input_that_is_shown_is_the_same_when_it_is_sent() {
        let plan = plan();
        let input = r#"{"city":"a \"b\"","must":false,"tags":["", "x\ny", "\"", "z"],
            "any":[1, {"a":1E+400}],"at":{"x":12345678901234567890123},
            "days":1.10,"how":7,"may":true,"note":"\n\na\nb"}"#;
        let (filled, is_whole) = Filled::of_input(&plan, input);
        assert!(is_whole);
        let mut query = String::new();
        for (name, text) in &filled.0 {
            let sent = text.replace('\n', "\r\n");
            let pair = [encoded(name), encoded(&sent)];
            query.push_str(&pair.join("="));
            query.push('&');
        }
        // Browsers do not send unticked boxes.
        let query = query.replace("f%2Fmust=false&", "");
        let sent = assembled(&plan, &FormFields::of_query(&query)).unwrap();
        let without_space = |text: &str| text.replace([' ', '\n'], "");
        let members = |text: &str| -> BTreeMap<String, String> {
            let members: BTreeMap<String, &RawValue> = serde_json::from_str(text).unwrap();
            members.into_iter().map(|(name, it)| (name, without_space(it.get()))).collect()
        };
        assert_eq!(members(&sent), members(input));
    }

    #[test]
    fn what_the_form_can_not_say_is_found() {
        let plan = plan();
        let is_whole = |more: &str| {
            let input = format!(r#"{{"city":"a","must":true,"tags":[]{more}}}"#);
            Filled::of_input(&plan, &input).1
        };
        assert!(is_whole(""));
        for more in [
            r#","other":1"#,
            r#","blob":"aGk=""#,
            r#","days":"3""#,
            r#","note":"""#,
            r#","how":"slow""#,
            r#","may":null"#,
            r#","at":{"x":1,"y":2}"#,
            r#","at":7"#,
        ] {
            assert!(!is_whole(more), "{more}");
        }
        assert!(!Filled::of_input(&plan, "[]").1);
    }
}
