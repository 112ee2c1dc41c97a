//! A script as it is sent to be registered or changed. What was read of one may be sent
//! back as it is: fields that are the server's own are taken when they say what the server
//! says, and no other field is taken that there is not.

use chrono::DateTime;
use serde_json::{Map, Value};

use super::fields::Fields;
use super::problem::{Kind, Problem};
use super::script_view::ScriptView;
use crate::domain::fault::{Fault, pointer_to};
use crate::domain::token::Role;
use crate::registry::ScriptInput;

/// The field by which a change tells which state of the script it was made of.
const UPDATED_AT: &str = "updated_at";

/// Fields that change by themselves, whatever is sent.
const PASSING: [&str; 2] = ["environment", "pending"];

/// The other fields that nobody sets.
const FIXED: [&str; 6] =
    ["id", "version", "digest", "requirements_hash", "created_by", "created_at"];

/// What is said of one of them that is another than the server's.
const READ_ONLY: &str = "the server sets it: leave it out, or send it as it was read";

/// A script that was sent.
pub(super) struct SentScript {
    input: ScriptInput,
    read_only: Map<String, Value>,
}

impl SentScript {
    /// Reads a body.
    pub(super) fn parse(body: &[u8]) -> Result<Self, Problem> {
        let mut fields = Fields::parse(body)?;
        let mut read_only = Map::new();
        for name in PASSING.into_iter().chain(FIXED).chain([UPDATED_AT]) {
            let Some(raw) = fields.take(name) else { continue };
            let value = serde_json::from_str(raw.get()).map_err(|_| fault(name))?;
            read_only.insert(name.to_owned(), value);
        }
        Ok(Self { input: fields.into_value()?, read_only })
    }

    /// True when it can't be taken without a look at what the script is.
    pub(super) fn needs_shown(&self, role: Role) -> bool {
        role != Role::Admin || !self.read_only.is_empty()
    }

    /// What is sent alone. What the server says of another script means nothing to it.
    pub(super) fn into_input(self) -> ScriptInput {
        let is_of_another = !self.read_only.is_empty();
        let mut input = self.input;
        if is_of_another && input.requirements_path.is_some() {
            // Both are shown of requirements that were read from a file.
            input.requirements = None;
        }
        input
    }

    /// What changes a script that is shown to the caller as `shown`: of a script that was
    /// read and is sent back, what is different.
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

/// True for values that mean the same: `1` and `1.0`, and one time in two spellings.
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
