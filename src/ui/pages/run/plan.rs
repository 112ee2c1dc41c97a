//! Plan of a form, derived from the input schema of a script. It only selects the controls: the
//! schema validates the assembled input. A part without a suitable control is entered as JSON.

use serde_json::{Map, Value};

use crate::domain::fault::pointer_to;
use crate::ui::components::value::short;
use crate::ui::pages::script::schema::{is_required, required_first};
use crate::ui::pages::script::words::{constraints, shown};

/// Most fields of a form; a larger schema is entered as JSON.
const MAX_FIELDS: usize = 200;

/// Deepest nesting of objects with fields of their own.
const MAX_DEPTH: usize = 3;

/// Most values of a choice.
const MAX_VALUES: usize = 500;

/// Longest text that has a field of one line, in characters.
const LINE_CHARS: u64 = 200;

/// Longest help, in characters.
const HELP_CHARS: usize = 600;

/// Format of a text that is a file of the execution.
const UPLOADED: &str = "gantry-file";

/// Keywords that no field supports, wherever they are in a schema.
const BEYOND: [&str; 8] =
    ["$ref", "$dynamicRef", "oneOf", "anyOf", "allOf", "not", "if", "dependentSchemas"];

/// Contents of a form.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) parts: Vec<Part>,
}

/// Part of a form.
#[derive(Debug, PartialEq)]
pub(super) struct Part {
    /// Number of the part.
    number: usize,
    /// Name in its object.
    pub(super) key: String,
    /// Position in the input.
    pub(super) pointer: String,
    pub(super) label: String,
    pub(super) help: String,
    pub(super) is_required: bool,
    /// True if it may be null.
    pub(super) is_nullable: bool,
    pub(super) default: Option<Value>,
    pub(super) example: Option<String>,
    pub(super) kind: Kind,
}

/// Control of a part.
#[derive(Debug, PartialEq)]
pub(super) enum Kind {
    /// Text of one line, with the type of its input element.
    Line { kind: &'static str, max_length: Option<String> },
    /// Text of several lines.
    Text,
    /// Date with a time.
    Time,
    /// Number, digit for digit.
    Number { is_whole: bool, min: Option<String>, max: Option<String> },
    /// Choice of values.
    Choice(Vec<Value>),
    /// Yes or no.
    Switch,
    /// List, one entry on each line.
    Lines(Item),
    /// Content of a file in base64, or as a data URL with this media type.
    File { address_of: Option<String> },
    /// Files of the execution by their names, one or, one a line, several.
    Upload { accept: Option<String>, is_many: bool },
    /// Object.
    Group(Vec<Part>),
    /// Any value, as JSON.
    Json,
}

/// Type of a list's entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Item {
    Text,
    Number,
    Switch,
}

impl Part {
    /// Id of its field.
    pub(super) fn id(&self) -> String {
        format!("f{}", self.number)
    }

    /// Name of its field.
    pub(super) fn name(&self) -> String {
        format!("f{}", self.pointer)
    }

    /// True if its field must not be empty.
    pub(super) fn is_needed(&self) -> bool {
        self.is_required && !self.is_nullable
    }

    /// True if it is a checkbox: only yes or no.
    pub(super) fn is_tick(&self) -> bool {
        self.kind == Kind::Switch && self.is_needed()
    }

    /// True if it has only one possible value.
    pub(super) fn is_settled(&self) -> bool {
        matches!(&self.kind, Kind::Choice(values) if values.len() == 1) && self.is_needed()
    }
}

impl Plan {
    /// Plans the form for a schema; `None` unless it describes an object with properties, and not
    /// too many.
    pub(super) fn of(schema: &Value) -> Option<Self> {
        let mut planner = Planner { root: schema, count: 0 };
        let schema = planner.resolved(schema);
        let is_object = schema.get("type").is_none_or(|it| it == "object");
        let parts = planner.parts(&schema, "", 0).filter(|parts| is_object && !parts.is_empty())?;
        (planner.count <= MAX_FIELDS).then_some(Self { parts })
    }

    /// Part for a pointer into the input, or its nearest ancestor.
    pub(super) fn nearest(&self, pointer: &str) -> Option<&Part> {
        nearest(&self.parts, pointer)
    }
}

fn nearest<'a>(parts: &'a [Part], pointer: &str) -> Option<&'a Part> {
    let leads_to = |part: &&Part| {
        let rest = pointer.strip_prefix(part.pointer.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let found = parts.iter().find(leads_to)?;
    match &found.kind {
        Kind::Group(parts) => nearest(parts, pointer).or(Some(found)),
        _ => Some(found),
    }
}

struct Planner<'a> {
    root: &'a Value,
    count: usize,
}

impl Planner<'_> {
    /// Parts of an object, required ones first.
    fn parts(&mut self, schema: &Value, pointer: &str, depth: usize) -> Option<Vec<Part>> {
        let properties = schema.get("properties")?.as_object()?;
        let mut parts = Vec::new();
        for (key, property) in required_first(schema, properties) {
            if self.count > MAX_FIELDS {
                break;
            }
            let pointer = pointer_to(pointer, key);
            parts.push(self.part(key, property, pointer, is_required(schema, key), depth));
        }
        Some(parts)
    }

    fn part(
        &mut self,
        key: &str,
        schema: &Value,
        pointer: String,
        is_required: bool,
        depth: usize,
    ) -> Part {
        let number = self.count;
        self.count += 1;
        let (schema, is_nullable) = self.simplified(schema);
        let kind = self.kind(&schema, &pointer, depth);
        Part {
            number,
            label: text(&schema, "title").unwrap_or_else(|| key.to_owned()),
            help: help(&schema, &kind),
            default: schema.get("default").filter(|it| !it.is_null()).cloned(),
            example: schema.get("examples").and_then(|it| it.get(0)).map(shown),
            key: key.to_owned(),
            pointer,
            is_required,
            is_nullable,
            kind,
        }
    }

    fn kind(&mut self, schema: &Value, pointer: &str, depth: usize) -> Kind {
        if let Some(value) = schema.get("const") {
            return Kind::Choice(vec![value.clone()]);
        }
        if let Some(Value::Array(values)) = schema.get("enum") {
            let is_short = (1..=MAX_VALUES).contains(&values.len());
            return if is_short { Kind::Choice(values.clone()) } else { Kind::Json };
        }
        if BEYOND.iter().any(|name| schema.get(name).is_some()) {
            return Kind::Json;
        }
        match schema.get("type").and_then(Value::as_str) {
            Some("string") => of_text(schema),
            None if is_upload(schema) => of_text(schema),
            Some("integer") => of_number(schema, true),
            Some("number") => of_number(schema, false),
            Some("boolean") => Kind::Switch,
            Some("array") => self.list(schema),
            Some("object") if depth < MAX_DEPTH => {
                let parts = self.parts(schema, pointer, depth + 1);
                parts.filter(|it| !it.is_empty()).map_or(Kind::Json, Kind::Group)
            }
            _ => Kind::Json,
        }
    }

    fn list(&self, schema: &Value) -> Kind {
        let Some(items) = schema.get("items").filter(|_| schema.get("prefixItems").is_none())
        else {
            return Kind::Json;
        };
        let items = self.resolved(items);
        if BEYOND.iter().any(|name| items.get(name).is_some()) {
            return Kind::Json;
        }
        match items.get("type").and_then(Value::as_str) {
            None if is_upload(&items) => upload(&items, true),
            Some("string") => match of_text(&items) {
                Kind::File { .. } => Kind::Json,
                Kind::Upload { accept, .. } => Kind::Upload { accept, is_many: true },
                _ => Kind::Lines(Item::Text),
            },
            Some("integer" | "number") => Kind::Lines(Item::Number),
            Some("boolean") => Kind::Lines(Item::Switch),
            _ => Kind::Json,
        }
    }

    /// Replaces a schema's reference by its definition; only the first of several is followed.
    fn resolved(&self, schema: &Value) -> Value {
        let reference = schema.get("$ref").and_then(Value::as_str);
        let is_local = |it: &&str| it.starts_with("#/$defs/") || it.starts_with("#/definitions/");
        let target = reference.filter(is_local).and_then(|it| self.root.pointer(it.get(1..)?));
        match target {
            Some(target) => over(schema, target, "$ref"),
            None => schema.clone(),
        }
    }

    /// Removes null from a schema, and returns true if it was allowed.
    fn simplified(&self, schema: &Value) -> (Value, bool) {
        let schema = self.resolved(schema);
        for name in ["anyOf", "oneOf"] {
            let Some(Value::Array(forms)) = schema.get(name) else { continue };
            let is_null = |form: &Value| form.get("type").is_some_and(|it| it == "null");
            let other = match forms.as_slice() {
                [form, null] | [null, form] if is_null(null) && !is_null(form) => form,
                _ => continue,
            };
            return (over(&schema, &self.resolved(other), name), true);
        }
        let Some(Value::Array(types)) = schema.get("type") else { return (schema, false) };
        let others: Vec<_> = types.iter().filter(|it| *it != "null").cloned().collect();
        let is_nullable = others.len() < types.len();
        match <[Value; 1]>::try_from(others) {
            Ok([only]) => {
                let mut single = schema;
                if let Value::Object(members) = &mut single {
                    members.insert("type".to_owned(), only);
                }
                (single, is_nullable)
            }
            Err(_) => (schema, is_nullable),
        }
    }
}

/// Merges a schema over the target of its reference by `name`.
fn over(schema: &Value, target: &Value, name: &str) -> Value {
    let members = |value: &Value| value.as_object().cloned().unwrap_or_else(Map::new);
    let mut merged = members(target);
    merged.extend(members(schema).into_iter().filter(|(member, _)| member != name));
    Value::Object(merged)
}

fn text(schema: &Value, name: &str) -> Option<String> {
    schema.get(name).and_then(Value::as_str).filter(|it| !it.is_empty()).map(str::to_owned)
}

/// Help text: purpose and constraints.
fn help(schema: &Value, kind: &Kind) -> String {
    let constraints = match kind {
        Kind::Choice(_) | Kind::Switch | Kind::Upload { .. } => String::new(),
        _ => constraints(schema),
    };
    let how = match kind {
        Kind::Json => "As JSON.",
        Kind::Lines(_) => "One a line.",
        Kind::Time => "In UTC.",
        Kind::File { .. } => "A file of at most 16 MiB.",
        Kind::Upload { is_many: false, .. } => {
            "A file: choose one, or name one of the execution's files, or write sha256:…, \
             execution:ID/PATH or share:NAME/PATH."
        }
        Kind::Upload { is_many: true, .. } => {
            "Files, one a line: choose some, or name those of the execution, or write sha256:…, \
             execution:ID/PATH or share:NAME/PATH."
        }
        _ => "",
    };
    let all = [text(schema, "description").unwrap_or_default(), how.to_owned(), constraints];
    let all: Vec<_> = all.into_iter().filter(|it| !it.is_empty()).collect();
    short(&all.join(" "), HELP_CHARS).to_owned()
}

/// True for a text that is a file of the execution, with or without its type.
fn is_upload(schema: &Value) -> bool {
    schema.get("format").and_then(Value::as_str) == Some(UPLOADED)
}

fn upload(schema: &Value, is_many: bool) -> Kind {
    Kind::Upload { accept: text(schema, "contentMediaType"), is_many }
}

fn of_text(schema: &Value) -> Kind {
    let word = |name: &str| schema.get(name).and_then(Value::as_str);
    let format = word("format").unwrap_or_default();
    if word("contentEncoding") == Some("base64") || matches!(format, "binary" | "byte" | "base64") {
        return Kind::File { address_of: None };
    }
    let max_length = schema.get("maxLength").and_then(Value::as_u64);
    let line =
        |kind: &'static str| Kind::Line { kind, max_length: max_length.map(|it| it.to_string()) };
    match format {
        "data-url" => {
            let media_type = word("contentMediaType").unwrap_or("application/octet-stream");
            Kind::File { address_of: Some(media_type.to_owned()) }
        }
        UPLOADED => upload(schema, false),
        "date-time" => Kind::Time,
        "date" => line("date"),
        "email" => line("email"),
        "uri" | "url" => line("url"),
        "password" => line("password"),
        "textarea" | "multiline" | "markdown" => Kind::Text,
        _ if max_length.is_some_and(|it| it > LINE_CHARS) => Kind::Text,
        _ if word("contentMediaType").is_some() => Kind::Text,
        _ => line("text"),
    }
}

/// A fractional bound would exclude whole numbers, because browsers step from it.
fn of_number(schema: &Value, is_whole: bool) -> Kind {
    let bound = |name: &str| {
        let value = schema.get(name).filter(|it| it.is_number())?;
        let is_kept = !is_whole || value.is_i64() || value.is_u64();
        is_kept.then(|| value.to_string())
    };
    Kind::Number { is_whole, min: bound("minimum"), max: bound("maximum") }
}

#[cfg(test)]
mod tests;
