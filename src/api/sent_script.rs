//! Script in a request to register or change it. A script may be sent back as it was read:
//! read-only fields are accepted if they equal the server's values. Unknown fields are refused.

use chrono::DateTime;
use serde_json::{Map, Value};

use super::script_view::ScriptView;
use crate::domain::fault::{Fault, pointer_to};
use crate::domain::token::Role;
use crate::http::fields::BodyFields;
use crate::http::problem::{Kind, Problem};
use crate::registry::ScriptInput;

/// Field with the state of the script that a change is based on.
const UPDATED_AT: &str = "updated_at";

/// Read-only fields that change by themselves; any value is accepted.
const PASSING: [&str; 2] = ["environment", "pending"];

/// Other read-only fields.
const FIXED: [&str; 6] =
    ["id", "version", "digest", "requirements_hash", "created_by", "created_at"];

/// Fault of a read-only field that differs from the server's value.
const READ_ONLY: &str = "the server sets it: leave it out, or send it as it was read";

/// A script as sent.
pub(super) struct SentScript {
    input: ScriptInput,
    read_only: Map<String, Value>,
}

impl SentScript {
    /// Parses a body.
    pub(super) fn parse(body: &[u8]) -> Result<Self, Problem> {
        let mut fields = BodyFields::parse(body)?;
        let mut read_only = Map::new();
        for name in PASSING.into_iter().chain(FIXED).chain([UPDATED_AT]) {
            let Some(raw) = fields.take(name) else { continue };
            let value = serde_json::from_str(raw.get()).map_err(|_| fault(name))?;
            read_only.insert(name.to_owned(), value);
        }
        Ok(Self { input: fields.into_value()?, read_only })
    }

    /// True if validation needs the script as shown.
    pub(super) fn needs_shown(&self, role: Role) -> bool {
        role != Role::Admin || !self.read_only.is_empty()
    }

    /// Returns the input alone. Read-only fields of another script have no meaning for it.
    pub(super) fn into_input(self) -> ScriptInput {
        let is_of_another = !self.read_only.is_empty();
        let mut input = self.input;
        if is_of_another && input.requirements_path.is_some() {
            // Requirements read from a file are shown in both fields.
            input.requirements = None;
        }
        input
    }

    /// Returns the change to a script that the caller sees as `shown`: the fields that differ.
    pub(super) fn into_change(
        self,
        shown: &ScriptView,
        role: Role,
    ) -> Result<ScriptInput, Problem> {
        let Ok(Value::Object(shown)) = serde_json::to_value(shown) else { return Ok(self.input) };
        let is_shown = |name: &str| {
            let sent = self.read_only.get(name);
            sent.is_none_or(|sent| shown.get(name).is_some_and(|shown| are_same(sent, shown)))
        };
        if !is_shown(UPDATED_AT) {
            let detail = "the script was changed after it was read";
            return Err(Problem::new(Kind::Conflict, detail)
                .at("/updated_at")
                .hint("read it again, or leave updated_at out"));
        }
        let others: Vec<_> = FIXED.into_iter().filter(|name| !is_shown(name)).collect();
        if !others.is_empty() {
            let faults = others.into_iter().map(|name| Fault::new(pointer(name), READ_ONLY));
            return Err(Problem::invalid(faults.collect()));
        }
        if role == Role::Admin && !self.read_only.contains_key(UPDATED_AT) {
            return Ok(self.input);
        }
        Ok(without_unchanged(self.input, &shown))
    }
}

fn without_unchanged(input: ScriptInput, shown: &Map<String, Value>) -> ScriptInput {
    let Ok(Value::Object(mut fields)) = serde_json::to_value(&input) else { return input };
    fields.retain(|name, sent| !shown.get(name).is_some_and(|shown| are_same(sent, shown)));
    serde_json::from_value(Value::Object(fields)).unwrap_or(input)
}

fn pointer(name: &str) -> String {
    pointer_to("", name)
}

fn fault(name: &str) -> Problem {
    Problem::invalid(vec![Fault::new(pointer(name), READ_ONLY)])
}

/// True if both values mean the same: `1` and `1.0`, or one time in two spellings.
fn are_same(sent: &Value, shown: &Value) -> bool {
    match (sent, shown) {
        (Value::Number(sent), Value::Number(shown)) => {
            sent == shown || ((sent.is_f64() || shown.is_f64()) && sent.as_f64() == shown.as_f64())
        }
        (Value::String(sent), Value::String(shown)) => {
            let time = |text: &str| DateTime::parse_from_rfc3339(text).ok();
            sent == shown || time(sent).is_some_and(|sent| time(shown) == Some(sent))
        }
        (Value::Array(sent), Value::Array(shown)) => {
            sent.len() == shown.len()
                && sent.iter().zip(shown).all(|(sent, shown)| are_same(sent, shown))
        }
        (Value::Object(sent), Value::Object(shown)) => {
            let is_there = |(name, sent): (&String, &Value)| {
                shown.get(name).is_some_and(|shown| are_same(sent, shown))
            };
            sent.len() == shown.len() && sent.iter().all(is_there)
        }
        (sent, shown) => sent == shown,
    }
}
