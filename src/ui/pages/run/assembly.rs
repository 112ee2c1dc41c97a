//! Assembly of an input from a filled-in form, as text: numbers keep their typed digits, and empty
//! fields are omitted. Pure; the schema validates the input afterwards.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::NaiveDateTime;
use serde_json::Value;
use serde_json::value::RawValue;

use super::plan::{Item, Kind, Part, Plan};
use crate::domain::fault::{Fault, pointer_to};
use crate::domain::sanitize::sanitize;
use crate::ui::form::FormFields;
use crate::ui::pages::editor::lines::{lines, normalize_newlines, read};

/// Largest file in an input, in bytes (16 MiB).
const MAX_FILE_BYTES: usize = 16 * 1024 * 1024;

/// Assembles the input.
///
/// # Errors
/// Unreadable fields, with pointers below `/input`.
pub(super) fn assembled(plan: &Plan, fields: &FormFields) -> Result<String, Vec<Fault>> {
    let mut assembly = Assembly { fields, faults: Vec::new() };
    let input = assembly.object(&plan.parts);
    if assembly.faults.is_empty() { Ok(input) } else { Err(assembly.faults) }
}

struct Assembly<'a> {
    fields: &'a FormFields,
    faults: Vec<Fault>,
}

impl Assembly<'_> {
    fn fault(&mut self, pointer: &str, detail: impl Into<String>) {
        self.faults.push(Fault::new(pointer, detail).below("/input"));
    }

    fn object(&mut self, parts: &[Part]) -> String {
        let mut members = Vec::new();
        for part in parts {
            if let Some(json) = self.value(part) {
                members.push(format!("{}:{json}", string(&part.key)));
            }
        }
        format!("{{{}}}", members.join(","))
    }

    /// Value of a part; `None` if it is omitted.
    fn value(&mut self, part: &Part) -> Option<String> {
        let fields = self.fields;
        match &part.kind {
            Kind::Group(parts) => {
                let is_there = part.is_needed() || parts.iter().any(|it| self.is_filled(it));
                if is_there { Some(self.object(parts)) } else { self.nothing(part) }
            }
            Kind::Lines(item) => self.list(part, *item),
            Kind::Upload { is_many: true, .. } => self.list(part, Item::Text),
            Kind::File { address_of } => self.file(part, address_of.as_deref()),
            Kind::Switch if part.is_tick() => {
                Some((fields.text(&part.name()) == "true").to_string())
            }
            Kind::Line { .. }
            | Kind::Text
            | Kind::Time
            | Kind::Number { .. }
            | Kind::Choice(_)
            | Kind::Switch
            | Kind::Upload { .. }
            | Kind::Json => {
                let text = normalize_newlines(fields.text(&part.name()));
                // The file that came with the form stands below what was typed.
                let text = match &part.kind {
                    Kind::Upload { .. } => text.lines().last().unwrap_or_default().trim(),
                    _ => text.as_str(),
                };
                if text.is_empty() { self.nothing(part) } else { self.single(part, text) }
            }
        }
    }

    /// True if anything was filled in, except values without an alternative.
    fn is_filled(&self, part: &Part) -> bool {
        match &part.kind {
            Kind::Group(parts) => parts.iter().any(|it| self.is_filled(it)),
            Kind::File { .. } => self.fields.file(&part.name()).is_some(),
            _ => !part.is_settled() && !self.fields.text(&part.name()).is_empty(),
        }
    }

    /// Value of an empty part: null if it is required.
    fn nothing(&mut self, part: &Part) -> Option<String> {
        if part.is_needed() {
            self.fault(&part.pointer, "it is needed");
        }
        part.is_required.then(|| "null".to_owned())
    }

    fn single(&mut self, part: &Part, text: &str) -> Option<String> {
        let read = match &part.kind {
            Kind::Number { .. } => number(text).ok_or("it is not a number"),
            Kind::Choice(values) => chosen(values, text).ok_or("it is not one of the choices"),
            Kind::Switch => switch(text).ok_or("it is yes or no"),
            Kind::Time => Ok(string(&with_zone(text.trim()))),
            Kind::Json => match serde_json::from_str::<&RawValue>(text) {
                Ok(value) => Ok(value.get().to_owned()),
                Err(error) => {
                    self.fault(&part.pointer, format!("it is not JSON: {error}"));
                    return None;
                }
            },
            _ => Ok(string(text)),
        };
        read.map_err(|words| self.fault(&part.pointer, words)).ok()
    }

    fn list(&mut self, part: &Part, item: Item) -> Option<String> {
        let text = normalize_newlines(self.fields.text(&part.name()));
        let mut entries = Vec::new();
        for (index, (_, line)) in lines(&text).enumerate() {
            let entry = match item {
                Item::Text => read(line).map(|it| string(&it)),
                Item::Number => number(line).ok_or("it is not a number"),
                Item::Switch => switch(line.trim()).ok_or("it is true or false"),
            };
            match entry {
                Ok(entry) => entries.push(entry),
                Err(words) => {
                    let detail = format!("{:?}: {words}", sanitize(line));
                    self.fault(&pointer_to(&part.pointer, &index.to_string()), detail);
                }
            }
        }
        match entries.is_empty() && !part.is_needed() {
            true => self.nothing(part),
            false => Some(format!("[{}]", entries.join(","))),
        }
    }

    fn file(&mut self, part: &Part, address_of: Option<&str>) -> Option<String> {
        let fields = self.fields;
        let Some(upload) = fields.file(&part.name()) else { return self.nothing(part) };
        if upload.bytes.len() > MAX_FILE_BYTES {
            self.fault(&part.pointer, "the file has more than 16 MiB");
            return None;
        }
        let content = STANDARD.encode(&upload.bytes);
        Some(match address_of {
            Some(media_type) => string(&format!("data:{media_type};base64,{content}")),
            None => string(&content),
        })
    }
}

/// Writes a text as JSON.
fn string(text: &str) -> String {
    // Serialising a string can't fail.
    serde_json::to_string(text).unwrap_or_default()
}

fn switch(text: &str) -> Option<String> {
    matches!(text, "true" | "false").then(|| text.to_owned())
}

fn chosen(values: &[Value], text: &str) -> Option<String> {
    values.iter().map(Value::to_string).find(|it| it == text)
}

/// Converts a number as people and browsers write it (`+1`, `.5`, `007`) to JSON.
fn number(text: &str) -> Option<String> {
    let text = text.trim();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    let (whole, rest) = digits.split_at(end);
    if whole.is_empty() && !rest.starts_with('.') {
        return None;
    }
    let whole = match whole.trim_start_matches('0') {
        "" => "0",
        whole => whole,
    };
    let number = format!("{sign}{whole}{rest}");
    // Valid JSON that begins with a digit is a number.
    let is_number = serde_json::from_str::<&RawValue>(&number).is_ok();
    is_number.then_some(number)
}

/// Adds UTC to a time from a browser, unless it has a zone.
pub(super) fn with_zone(text: &str) -> String {
    let is = |format: &str| NaiveDateTime::parse_from_str(text, format).is_ok();
    if is("%Y-%m-%dT%H:%M") {
        format!("{text}:00Z")
    } else if is("%Y-%m-%dT%H:%M:%S%.f") {
        format!("{text}Z")
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests;
