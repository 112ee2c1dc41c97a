//! Input to the registry from a script's form, with only the changed fields. So no change of others
//! is reverted, and an operator's request has no fields for admins only. It checks only that texts
//! can be parsed; the registry validates the rest.

mod source;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::lines::{entries, lines, normalize_newlines, read};
use super::settings::{Control, SETTINGS, Setting};
use super::values::{Values, names};
use crate::domain::fault::{Fault, pointer_to};
use crate::domain::registry::DeclaredOutput;
use crate::domain::sandbox_spec::Network;
use crate::domain::sanitize::sanitize;
use crate::domain::script_type::ScriptType;
use crate::domain::script_type::python::preload::Preload;
use crate::domain::unique_keys::once;
use crate::registry::{MountInput, ScriptInput};
use crate::ui::form::FormFields;

/// Purpose of a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Registers a new script.
    Register,
    /// Changes any field of a script.
    Change,
    /// Changes the fields open to operators.
    Operate,
}

/// Returns the fields that differ from `before`.
///
/// # Errors
/// Unreadable fields, with the registry's pointers.
pub(super) fn input_of(
    fields: &FormFields,
    before: &Values,
    purpose: Purpose,
) -> Result<ScriptInput, Vec<Fault>> {
    let (input, faults) = readable(fields, before, purpose);
    if faults.is_empty() { Ok(input) } else { Err(faults) }
}

/// Returns the readable fields that differ, and the faults of the others.
pub(super) fn readable(
    fields: &FormFields,
    before: &Values,
    purpose: Purpose,
) -> (ScriptInput, Vec<Fault>) {
    let mut reading = Reading { fields, before, purpose, faults: Vec::new() };
    let mut input = reading.settings();
    if purpose != Purpose::Operate {
        reading.basics(&mut input);
        source::read(&mut reading, &mut input);
        reading.contract(&mut input);
        reading.surroundings(&mut input);
    }
    (input, reading.faults)
}

/// Id of the field for a pointer.
pub(super) fn field_of(pointer: &str, source_from: &str) -> Option<String> {
    let first = pointer.strip_prefix('/')?.split('/').next()?;
    if let Some(setting) = SETTINGS.iter().find(|it| it.pointer() == pointer) {
        return Some(setting.name.to_owned());
    }
    let field = match pointer {
        "/source" | "/source_base64" if source_from == "file" => "upload",
        "/source_base64" => "source",
        _ if first == "preload" => "preload_mode",
        _ => names().find(|name| *name == first)?,
    };
    Some(field.to_owned())
}

/// Puts a value at a place in an object.
fn put(object: &mut Map<String, Value>, place: &[&str], value: Value) {
    match place {
        [] => {}
        [name] => {
            object.insert((*name).to_owned(), value);
        }
        [name, rest @ ..] => {
            let inner = object.entry(*name).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(inner) = inner {
                put(inner, rest, value);
            }
        }
    }
}

/// State of reading a form.
pub(super) struct Reading<'a> {
    pub(super) fields: &'a FormFields,
    pub(super) before: &'a Values,
    pub(super) purpose: Purpose,
    faults: Vec<Fault>,
}

impl Reading<'_> {
    /// Adds a fault.
    pub(super) fn fault(&mut self, pointer: &str, detail: impl Into<String>) {
        self.faults.push(Fault::new(pointer, detail));
    }

    /// Typed text, if it differs from the original.
    pub(super) fn changed(&self, name: &str) -> Option<String> {
        if !self.fields.has(name) {
            return None;
        }
        let typed = normalize_newlines(self.fields.text(name));
        (typed != self.before.text(name)).then_some(typed)
    }

    /// Changed text, trimmed. A cleared field is reset to its default by `null`, if it had a value.
    fn optional(&self, name: &str) -> Option<Option<String>> {
        let typed = self.changed(name)?.trim().to_owned();
        self.unless_empty(typed.is_empty(), typed)
    }

    /// Changed value, after parsing.
    pub(super) fn unless_empty<T>(&self, is_empty: bool, value: T) -> Option<Option<T>> {
        match (is_empty, self.purpose) {
            (false, _) => Some(Some(value)),
            (true, Purpose::Register) => None,
            (true, Purpose::Change | Purpose::Operate) => Some(None),
        }
    }

    /// Reads the settings that differ.
    fn settings(&mut self) -> ScriptInput {
        let mut sent = Map::new();
        for setting in &SETTINGS {
            match self.setting(setting) {
                Ok(Some(value)) => put(&mut sent, setting.place, value),
                Ok(None) => {}
                Err(words) => self.fault(&setting.pointer(), words),
            }
        }
        serde_json::from_value(Value::Object(sent)).unwrap_or_else(|error| {
            self.fault("", error.to_string());
            ScriptInput::default()
        })
    }

    /// Changed value of a setting. A cleared one is reset to its default, but a single limit has
    /// none.
    fn setting(&self, setting: &Setting) -> Result<Option<Value>, String> {
        if setting.control == Control::Tick {
            // Browsers do not send unticked boxes.
            let text = self.fields.text(setting.name);
            let is_changed = text != self.before.text(setting.name);
            return is_changed.then(|| setting.read(text)).transpose();
        }
        match self.optional(setting.name) {
            None => Ok(None),
            Some(None) if setting.place.len() > 1 => Err("it takes a number".to_owned()),
            Some(None) => Ok(Some(Value::Null)),
            Some(Some(text)) => setting.read(&text).map(Some),
        }
    }

    fn basics(&mut self, input: &mut ScriptInput) {
        let is_new = self.purpose == Purpose::Register;
        let name = self.changed("name").map(|name| name.trim().to_owned());
        input.name = name.filter(|name| !(is_new && name.is_empty()));
        let description = self.changed("description");
        input.description = description.and_then(|text| self.unless_empty(text.is_empty(), text));
        let script_type = match is_new {
            true => Some(self.fields.text("script_type").to_owned()),
            false => self.changed("script_type"),
        };
        if let Some(name) = script_type {
            match name.parse() {
                Ok(script_type) => input.script_type = Some(script_type),
                Err(_) => {
                    self.fault("/script_type", format!("it is one of {}", ScriptType::names()))
                }
            }
        }
    }

    fn contract(&mut self, input: &mut ScriptInput) {
        input.argument_schema = self.schema("argument_schema", "/argument_schema");
        input.output_schema = self.schema("output_schema", "/output_schema");
        input.outputs = self.outputs();
    }

    fn outputs(&mut self) -> Option<Option<BTreeMap<String, DeclaredOutput>>> {
        let Some(outputs) = self.schema("outputs", "/outputs")? else { return Some(None) };
        match serde_json::from_value(outputs) {
            Ok(outputs) => Some(Some(outputs)),
            Err(error) => {
                self.fault("/outputs", error.to_string());
                None
            }
        }
    }

    fn schema(&mut self, name: &str, pointer: &str) -> Option<Option<Value>> {
        let Some(text) = self.optional(name)? else { return Some(None) };
        let mut reader = serde_json::Deserializer::from_str(&text);
        let read = once(&mut reader).and_then(|schema| reader.end().map(|()| schema));
        match read {
            Ok(schema) => schema,
            Err(error) => {
                self.fault(pointer, format!("it is not JSON: {error}"));
                None
            }
        }
    }

    fn surroundings(&mut self, input: &mut ScriptInput) {
        input.args = self.list("args", "/args");
        input.env = self.variables();
        input.env_allowed = self.list("env_allowed", "/env_allowed");
        input.exec = self.changed("exec").map(|word| Some(word == "on"));
        input.working_directory = self.optional("working_directory");
        input.output_file = self.optional("output_file");
        input.runtime = self.optional("runtime");
        input.mounts = self.mounts();
        input.owner = self.optional("owner");
        input.preload = self.preload();
        input.python = self.optional("python");
        input.sources = self.changed("sources").map(|word| Some(word == "on"));
        input.warm_up = self.list("warm_up", "/warm_up");
        input.network = self.changed("network").and_then(|word| match word.as_str() {
            "none" => Some(Some(Network::None)),
            "egress" => Some(Some(Network::Egress)),
            _ => {
                self.fault("/network", "it is one of none, egress");
                None
            }
        });
    }

    fn list(&mut self, name: &str, pointer: &str) -> Option<Option<Vec<String>>> {
        match entries(&self.changed(name)?) {
            Ok(list) => self.unless_empty(list.is_empty(), list),
            Err(wrong) => {
                wrong.into_iter().for_each(|words| self.fault(pointer, words));
                None
            }
        }
    }

    /// Values may be secrets: no fault repeats one.
    fn variables(&mut self) -> Option<Option<BTreeMap<String, String>>> {
        let text = self.changed("env")?;
        let mut variables = BTreeMap::new();
        for (number, line) in lines(&text) {
            let Some((name, value)) = line.split_once('=') else {
                self.fault("/env", format!("line {number} is not NAME=value"));
                continue;
            };
            let name = name.trim();
            match read(value) {
                Err(words) => self.fault("/env", format!("line {number}: {words}")),
                Ok(value) => {
                    if variables.insert(name.to_owned(), value).is_some() {
                        let detail = format!("{:?} is there more than once", sanitize(name));
                        self.fault(&pointer_to("/env", &sanitize(name)), detail);
                    }
                }
            }
        }
        self.unless_empty(variables.is_empty(), variables)
    }

    fn mounts(&mut self) -> Option<Option<Vec<MountInput>>> {
        let text = self.changed("mounts")?;
        let mut mounts = Vec::new();
        for (number, line) in lines(&text) {
            let parts: Vec<_> = line.trim().split(':').collect();
            let (source, target, read_only) = match parts.as_slice() {
                [source, target] | [source, target, "ro"] => (*source, *target, true),
                [source, target, "rw"] => (*source, *target, false),
                _ => {
                    self.fault("/mounts", format!("line {number} is not SOURCE:TARGET[:rw]"));
                    continue;
                }
            };
            let (source, target) = (source.to_owned(), target.to_owned());
            mounts.push(MountInput { source, target, read_only });
        }
        self.unless_empty(mounts.is_empty(), mounts)
    }

    fn preload(&mut self) -> Option<Option<Preload>> {
        let is_other_list = self.changed("preload").is_some();
        let mode = self.fields.text("preload_mode");
        if self.changed("preload_mode").is_none() && !(mode == "list" && is_other_list) {
            return None;
        }
        let preload = match mode {
            "on" => Ok(Preload::Automatic),
            "off" => Ok(Preload::Off),
            "list" => {
                let text = normalize_newlines(self.fields.text("preload"));
                let names = lines(&text).map(|(_, line)| line.trim().to_owned()).collect();
                Preload::modules(names).map_err(|error| error.to_string())
            }
            _ => Err("it is on, off or a list".to_owned()),
        };
        match preload {
            Ok(preload) => Some(Some(preload)),
            Err(words) => {
                self.fault("/preload", words);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests;
