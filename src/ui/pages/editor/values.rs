//! Values of a script's form: a text for each field. Only this module converts a script into texts,
//! so that changed fields can be told from unchanged ones. Nothing is parsed or checked.

use std::collections::HashMap;

use serde_json::Value;

use super::lines::{all_shown, normalize_newlines, shown_value};
use super::settings::SETTINGS;
use crate::domain::mount::Mount;
use crate::domain::registry::{Definition, RegisteredScript, ScriptSettings};
use crate::domain::sandbox_spec::Network;
use crate::domain::script_type::ScriptType;
use crate::domain::script_type::python::PythonVersion;
use crate::domain::script_type::python::preload::Preload;
use crate::domain::variables::Variables;
use crate::ui::form::FormFields;

/// Fields for admins, by name.
const FIELDS: [&str; 29] = [
    "name",
    "description",
    "script_type",
    "source_from",
    "source",
    "file_path",
    "file_name",
    "requirements_from",
    "requirements",
    "requirements_path",
    "python",
    "sources",
    "warm_up",
    "system_packages",
    "argument_schema",
    "output_schema",
    "outputs",
    "args",
    "env",
    "env_allowed",
    "exec",
    "working_directory",
    "output_file",
    "network",
    "mounts",
    "owner",
    "preload_mode",
    "preload",
    "runtime",
];

/// All fields by name, which is also their id. The file input is not among them: a browser can't
/// show a chosen file again.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    FIELDS.into_iter().chain(SETTINGS.iter().map(|setting| setting.name))
}

/// Texts of the fields.
#[derive(Debug, Clone, Default)]
pub(super) struct Values(HashMap<&'static str, String>);

impl Values {
    /// Values for a new script.
    pub(super) fn of_new() -> Self {
        let mut values = Self::default();
        values.put("script_type", ScriptType::default().name());
        values.put("source_from", "text");
        values.put("requirements_from", "text");
        values.put("network", network(Network::default()));
        values.put("preload_mode", preload_mode(&Preload::default()));
        values.put("exec", switch(true));
        values.put("sources", switch(false));
        values.put_settings(&ScriptSettings::default());
        values
    }

    /// Values of an existing script, with its source if that was sent and can be shown.
    pub(super) fn of_script(script: &RegisteredScript, source: Option<String>) -> Self {
        let mut values = Self::default();
        values.put("name", script.name.as_str());
        values.put("description", &script.description);
        let from = match (&script.file_path, &source) {
            (Some(_), _) => "path",
            (None, Some(_)) => "text",
            (None, None) => "keep",
        };
        values.put("source_from", from);
        values.put("source", &source.unwrap_or_default());
        values.put("file_path", script.file_path.as_deref().unwrap_or_default());
        let is_by_path = script.requirements_path.is_some();
        values.put("requirements_from", if is_by_path { "path" } else { "text" });
        let path = script.requirements_path.as_deref();
        values.put("requirements_path", path.unwrap_or_default());
        values.put_definition(&script.version.definition);
        values.put_settings(&script.settings);
        values
    }

    /// Values as typed.
    pub(super) fn of_fields(fields: &FormFields) -> Self {
        let mut values = Self::default();
        for name in names() {
            values.put(name, fields.text(name));
        }
        values
    }

    /// Value of a field.
    pub(super) fn text(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    fn put(&mut self, name: &'static str, text: &str) {
        self.0.insert(name, normalize_newlines(text));
    }

    fn put_definition(&mut self, definition: &Definition) {
        self.put("script_type", definition.script_type.name());
        self.put("file_name", &definition.file_name);
        self.put("requirements", definition.requirements.as_deref().unwrap_or_default());
        self.put("python", definition.python.map_or("", PythonVersion::name));
        self.put("sources", switch(definition.sources));
        self.put("warm_up", &all_shown(definition.warm_up.iter().map(String::as_str)));
        let packages: Vec<_> = definition.system_packages.iter().map(ToString::to_string).collect();
        self.put("system_packages", &packages.join("\n"));
        self.put("argument_schema", &schema(&definition.argument_schema));
        self.put("output_schema", &schema(&definition.output_schema));
        let outputs = serde_json::to_value(&definition.outputs).unwrap_or_default();
        self.put("outputs", &schema(&outputs));
        self.put("args", &all_shown(definition.args.iter().map(String::as_str)));
        self.put("env", &variables(&definition.env));
        let allowed: Vec<_> = definition.env_allowed.iter().collect();
        self.put("env_allowed", &allowed.join("\n"));
        self.put("exec", switch(definition.exec));
        self.put("working_directory", definition.working_directory.as_deref().unwrap_or_default());
        self.put("output_file", definition.output_file.as_deref().unwrap_or_default());
        self.put("network", network(definition.network));
        self.put("mounts", &mounts(&definition.mounts));
        let owner = definition.owner.map(|it| it.to_string());
        self.put("owner", &owner.unwrap_or_default());
        self.put("preload_mode", preload_mode(&definition.preload));
        if let Preload::Modules(modules) = &definition.preload {
            self.put("preload", &modules.join("\n"));
        }
        self.put("runtime", definition.runtime.as_ref().map_or("", |it| it.as_str()));
    }

    fn put_settings(&mut self, settings: &ScriptSettings) {
        for setting in &SETTINGS {
            self.put(setting.name, &(setting.text)(settings));
        }
    }
}

/// A schema that accepts everything is shown as none.
fn schema(schema: &Value) -> String {
    match schema {
        Value::Object(members) if members.is_empty() => String::new(),
        schema => serde_json::to_string_pretty(schema).unwrap_or_default(),
    }
}

fn variables(variables: &Variables) -> String {
    let line = |(name, value): (&str, &str)| format!("{name}={}", shown_value(value));
    let lines: Vec<_> = variables.iter().map(|it| line((it.name(), it.value()))).collect();
    lines.join("\n")
}

fn mounts(mounts: &[Mount]) -> String {
    let line = |mount: &Mount| {
        let end = if mount.read_only { "" } else { ":rw" };
        format!("{}:{}{end}", mount.source.to_string_lossy(), mount.target)
    };
    mounts.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Name of a network in the API.
fn network(network: Network) -> &'static str {
    match network {
        Network::None => "none",
        Network::Egress => "egress",
    }
}

fn switch(is_on: bool) -> &'static str {
    if is_on { "on" } else { "off" }
}

fn preload_mode(preload: &Preload) -> &'static str {
    match preload {
        Preload::Automatic => "on",
        Preload::Off => "off",
        Preload::Modules(_) => "list",
    }
}
