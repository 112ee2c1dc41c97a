//! Definition of a version: all settings of its runs. Only admins see values of variables.

use maud::{Markup, html};

use crate::domain::mount::Mount;
use crate::domain::registry::{DeclaredOutput, Definition};
use crate::domain::sandbox_spec::Network;
use crate::domain::sanitize::escaped;
use crate::domain::script_type::python::preload::Preload;
use crate::http::scripts::HIDDEN;
use crate::ui::components::badge;
use crate::ui::components::value::short;

/// Entries of a list shown.
const MAX_ENTRIES: usize = 100;

/// Characters of an entry shown.
const ENTRY_CHARS: usize = 400;

/// Bytes of requirements shown (16 KiB).
const REQUIREMENTS_BYTES: usize = 16 * 1024;

/// Renders a definition. `is_admin` shows values of variables.
pub(in crate::ui::pages) fn shown(definition: &Definition, is_admin: bool) -> Markup {
    html! {
        dl.facts.even {
            dt { "Type" } dd { (badge::script_type(definition.script_type)) }
            dt { "File name" } dd { code { (definition.file_name) } }
            dt { "SHA-256" } dd { code.break { (definition.digest) } }
            @if let (Some(bundle), Some(entry)) = (definition.bundle, &definition.entry) {
                dt { "Bundle" } dd { code.break { (bundle) } }
                dt { "Entry" } dd { code { (escaped(entry)) } }
            }
            dt { "Arguments" }
            dd { (list(definition.args.iter().map(String::as_str))) }
            dt { "Variables" }
            dd { (variables(definition, is_admin)) }
            dt { "Variables of requests" }
            dd { (list(["PARAM_*"].into_iter().chain(definition.env_allowed.iter()))) }
            dt { "Executes its files" } dd { (if definition.exec { "yes" } else { "no" }) }
            dt { "Network" } dd { (network(definition.network)) }
            dt { "Mounts" } dd { (list(definition.mounts.iter().map(mount))) }
            @if let Some(owner) = definition.owner {
                dt { "Runs as" } dd { code { (owner) } }
            }
            dt { "Starts in" }
            dd { (path(definition.working_directory.as_deref(), "/work")) }
            dt { "Result from" } dd { (path(definition.output_file.as_deref(), "stdout")) }
            @if !definition.outputs.is_empty() {
                dt { "Leaves" } dd { (list(definition.outputs.iter().map(output))) }
            }
            dt { "Debian packages" }
            dd { (list(definition.system_packages.iter().map(ToString::to_string))) }
            @if definition.script_type.has_python() {
                dt { "Python" } dd { (python(definition)) }
                dt { "Python packages" }
                dd { (requirements(definition.requirements.as_deref())) }
                @if definition.sources {
                    dt { "Without a wheel" } dd { "built from source" }
                }
                dt { "Imported ahead" } dd { (preload(&definition.preload)) }
            }
            @if !definition.warm_up.is_empty() {
                dt { "Warm-up" } dd { (list(definition.warm_up.iter().map(String::as_str))) }
            }
            @if let Some(runtime) = &definition.runtime {
                dt { "OCI runtime" } dd { code { (runtime.as_str()) } }
            }
        }
    }
}

fn python(definition: &Definition) -> Markup {
    html! {
        @match (definition.python, definition.python_of_shebang) {
            (Some(python), _) => { (python) },
            (None, Some(python)) => { (python) ", as its " code { "#!" } " line says" },
            (None, None) => { "the base image's" },
        }
    }
}

/// A declared output on one line.
fn output((name, output): (&str, &DeclaredOutput)) -> String {
    let required = if output.required { ", required" } else { "" };
    let role = output.role.as_ref().map_or(String::new(), |role| format!(", role {role}"));
    let media_type = output.media_type.as_ref().map_or(String::new(), |it| format!(", {it}"));
    format!("{name}: {}{required}{role}{media_type}", output.path)
}

fn none() -> Markup {
    html! { span.muted { "none" } }
}

fn list<T: AsRef<str>>(entries: impl Iterator<Item = T>) -> Markup {
    let mut entries: Vec<T> = entries.take(MAX_ENTRIES + 1).collect();
    let has_more = entries.len() > MAX_ENTRIES;
    entries.truncate(MAX_ENTRIES);
    html! {
        @if entries.is_empty() {
            (none())
        } @else {
            ul.plain {
                @for entry in &entries {
                    li { code { (escaped(short(entry.as_ref(), ENTRY_CHARS))) } }
                }
                @if has_more { li { "…" } }
            }
        }
    }
}

fn variables(definition: &Definition, is_admin: bool) -> Markup {
    let shown = |value: &str| if is_admin { value.to_owned() } else { HIDDEN.to_owned() };
    let lines = definition.env.iter().map(|it| format!("{}={}", it.name(), shown(it.value())));
    list(lines)
}

fn network(network: Network) -> &'static str {
    match network {
        Network::None => "none",
        Network::Egress => "egress: it reaches the outside",
    }
}

fn mount(mount: &Mount) -> String {
    let can = if mount.read_only { "read only" } else { "writable" };
    format!("{} at {} ({can})", mount.source.to_string_lossy(), mount.target)
}

fn path(path: Option<&str>, otherwise: &str) -> Markup {
    html! {
        @match path {
            Some(path) => { code { "/work/" (path) } },
            None => { (otherwise) },
        }
    }
}

fn requirements(text: Option<&str>) -> Markup {
    let Some(text) = text else { return none() };
    let shown = text.get(..text.floor_char_boundary(REQUIREMENTS_BYTES)).unwrap_or_default();
    html! {
        pre.code tabindex="0" { (shown) @if shown.len() < text.len() { "\n…" } }
    }
}

fn preload(preload: &Preload) -> Markup {
    match preload {
        Preload::Automatic => html! { "what the script imports at its top" },
        Preload::Off => html! { "nothing" },
        Preload::Modules(modules) => list(modules.iter().map(String::as_str)),
    }
}
