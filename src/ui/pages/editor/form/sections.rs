//! Sections of a script's form for admins.

use maud::{Markup, html};

use super::super::field::Field;
use super::FormView;
use crate::domain::script_type::ScriptType;

/// Renders all sections.
pub(super) fn of_admins(view: &FormView<'_>) -> Markup {
    html! {
        (basics(view))
        (source(view))
        (needed(view))
        (contract(view))
        (run(view))
    }
}

fn basics(view: &FormView<'_>) -> Markup {
    let name = Field::new(
        "name",
        "Name",
        "A letter, then letters, digits, '.', '_' and '-'; pipelines call it by this name.",
    );
    let types = ScriptType::ALL.map(|it| (it.name(), it.name()));
    html! {
        section.card {
            h2 { "Script" }
            div.fields {
                div.fields.two {
                    (view.line(name.required(true), "name", "weather"))
                    (view.choice("script_type", "Type", "", &types))
                }
                (view.area("description", "Description",
                    "For people: what it does, what it needs, whom to ask.", 3))
            }
        }
    }
}

fn source(view: &FormView<'_>) -> Markup {
    let file = view.script.and_then(|script| script.file_path.as_deref());
    let mut ways = Vec::new();
    if view.script.is_some() && file.is_none() {
        ways.push(("keep", "Keep what there is"));
    }
    ways.extend([
        ("text", "Write it here"),
        ("file", "Upload a file"),
        ("path", "A file on the server"),
    ]);
    let path = Field::new(
        "file_path",
        "Path on the server",
        "Below one of GANTRY_SCRIPT_ROOTS. The file is read now, and again at each change.",
    );
    let name = Field::new("file_name", "File name", "What the script sees as its own name.");
    html! {
        section.card {
            h2 { "Source" }
            @if file.is_some() {
                p.note { "Saving reads the file again, as it is then." }
            }
            div.fields.ways {
                (view.ways("source_from", "Where the source comes from", &ways))
                div.way.text { (view.area("source", "Source", "", 16)) }
                div.way.file {
                    (Field::new("upload", "File", "A script or a binary, at most 64 MiB. It has to \
                        be chosen again when something else was wrong.").file(view.wrong, None))
                }
                div.way.path { (view.line(path, "file_path", "/srv/scripts/weather.sh")) }
                (view.line(name, "file_name", ""))
            }
        }
    }
}

fn needed(view: &FormView<'_>) -> Markup {
    let ways = [("text", "Write them here"), ("path", "A file on the server")];
    let path = Field::new(
        "requirements_path",
        "Path on the server",
        "A requirements.txt below one of GANTRY_SCRIPT_ROOTS.",
    );
    html! {
        section.card {
            h2 { "Requirements" }
            div.fields {
                fieldset.ways {
                    legend { "Python packages" }
                    (view.ways("requirements_from", "Where the requirements come from", &ways))
                    div.way.text {
                        (view.area("requirements", "Requirements",
                            "As in a requirements.txt; Python only.", 4))
                    }
                    div.way.path { (view.line(path, "requirements_path", "")) }
                }
                div.fields.two {
                    (view.choice("python", "Python", "Python only.", &[
                        ("", "as its #! line says, or the base image's"),
                        ("3.10", "3.10"),
                        ("3.11", "3.11"),
                        ("3.12", "3.12"),
                        ("3.13", "3.13"),
                        ("3.14", "3.14"),
                    ]))
                    (view.choice("sources", "Packages without a wheel", "Of the requirements. \
                        Building one from source runs its code.", &[
                        ("off", "are refused, unless the server allows them"),
                        ("on", "are built from source"),
                    ]))
                }
                (view.area("system_packages", "Debian packages",
                    "One a line: name or name=version.", 3))
                (view.choice("preload_mode", "Imported ahead", "Python only: what a waiting \
                    interpreter has imported before a run comes.", &[
                    ("on", "what the script imports at its top"),
                    ("off", "nothing"),
                    ("list", "these modules"),
                ]))
                (view.area("preload", "Modules", "One a line, for \u{201c}these modules\u{201d}.", 2))
                (view.area("warm_up", "Warm-up", "A program and its arguments, one a line, that \
                    run once when the environment is built: the caches that they fill become \
                    part of it.", 3))
            }
        }
    }
}

fn contract(view: &FormView<'_>) -> Markup {
    html! {
        section.card {
            h2 { "Input and output" }
            div.fields.two {
                (view.area("argument_schema", "Schema of inputs",
                    "JSON Schema; empty accepts everything. The form for running is made of it.", 10))
                (view.area("output_schema", "Schema of outputs",
                    "JSON Schema; empty accepts everything. An output that does not match fails.", 10))
                (view.area("outputs", "Files that it leaves",
                    "JSON: names, each with path, required, role and media_type.", 6))
            }
        }
    }
}

fn run(view: &FormView<'_>) -> Markup {
    let folder =
        Field::new("working_directory", "Working directory", "Below /work; empty is /work.");
    let output = Field::new("output_file", "Output file", "Below /work; empty is stdout.");
    let owner = Field::new(
        "owner",
        "Runs as",
        "UID:GID out of GANTRY_OWNERS, who then own what it writes to a mount; empty is a user \
         of the sandbox.",
    );
    let runtime = Field::new("runtime", "OCI runtime", "Empty is the server's.");
    html! {
        section.card {
            h2 { "Execution" }
            div.fields {
                div.fields.two {
                    (view.area("args", "Arguments", "One a line. In quotation marks, as JSON has \
                        strings, one may be empty or have several lines.", 3))
                    (view.area("env", "Environment variables", "NAME=value, one a line; values may \
                        stand in quotation marks, too.", 3))
                }
                (view.area("env_allowed", "Variables of requests", "Names that a request may set \
                    beside PARAM_*, one a line; a * at the end stands for anything.", 2))
                div.fields.two {
                    (view.line(folder, "working_directory", ""))
                    (view.line(output, "output_file", "out/result.json"))
                    (view.choice("network", "Network", "", &[
                        ("none", "none"),
                        ("egress", "egress: it reaches the outside"),
                    ]))
                    (view.choice("exec", "Files that it writes", "In /work and /tmp.", &[
                        ("on", "can be executed and loaded"),
                        ("off", "can't be executed"),
                    ]))
                    (view.line(runtime, "runtime", "runsc"))
                }
                (view.line(owner, "owner", "1000:1000"))
                (view.area("mounts", "Mounts", "One a line: /on/the/server:/in/the/sandbox, with \
                    :rw at its end when the script may write there. Below one of \
                    GANTRY_MOUNT_ROOTS.", 2))
            }
        }
    }
}
