//! Settings of scripts in the console: the fields of the form, with their labels, and what the
//! pages of scripts say of them and can be narrowed by. A setting that is added in the domain is
//! added here, and nowhere else in the console. The registry checks what is typed.

use std::num::NonZeroU32;

use maud::{Markup, html};
use serde_json::{Number, Value};

use super::field::{Field, FieldErrors, Input};
use crate::domain::quantities::NANO_CPUS_PER_CPU;
use crate::domain::registry::ScriptSettings;
use crate::domain::registry::settings::{MAX_TAG_CHARS, MAX_TAGS};
use crate::domain::sanitize::sanitize;
use crate::domain::script_type::ScriptType;
use crate::store::ScriptFilter;
use crate::ui::address::query;
use crate::ui::components::{badge, value};
use crate::ui::form::FormFields;

/// One mebibyte in bytes.
const MIB: f64 = 1_048_576.0;

/// Most bytes in a size: larger floating-point numbers skip integers (2^53).
const MAX_BYTES: f64 = 9_007_199_254_740_992.0;

/// Value of a ticked box.
pub(super) const TICKED: &str = "on";

/// Field of a setting.
pub(super) struct Setting {
    /// Name and id of the field.
    pub(super) name: &'static str,
    /// Place in the registry's input, from the outermost name on.
    pub(super) place: &'static [&'static str],
    label: &'static str,
    help: &'static str,
    /// Control, and the form of what is typed.
    pub(super) control: Control,
    /// Text that shows the value, and is read as the same.
    pub(super) text: fn(&ScriptSettings) -> String,
}

/// Control of a field.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Control {
    /// Whole number within bounds; an empty one is no bound.
    Whole(&'static str, &'static str),
    /// Number within bounds.
    Decimal(&'static str, &'static str),
    /// Bytes, typed in mebibytes.
    Mebibytes(&'static str, &'static str),
    /// Box to tick.
    Tick,
    /// Words, with spaces or commas between them.
    Words,
}
use Control::{Decimal, Mebibytes, Tick, Whole, Words};

/// All settings, in the order of the form.
pub(super) const SETTINGS: [Setting; 12] = [
    Setting {
        name: "memory_mib",
        place: &["limits", "memory_bytes"],
        label: "Memory, in MiB",
        help: "With all files in /work and /tmp.",
        control: Mebibytes("16", ""),
        text: |it| mebibytes(it.limits.memory_bytes),
    },
    Setting {
        name: "cpus",
        place: &["limits", "cpus"],
        label: "CPUs",
        help: "0.5 is half of one.",
        control: Decimal("0.01", ""),
        text: |it| (it.limits.nano_cpus as f64 / NANO_CPUS_PER_CPU as f64).to_string(),
    },
    Setting {
        name: "timeout_secs",
        place: &["timeout_secs"],
        label: "Time, in seconds",
        help: "A run that takes longer is ended; empty is 300.",
        control: Decimal("0.1", "86400"),
        text: |it| it.timeout_secs.duration().as_secs_f64().to_string(),
    },
    Setting {
        name: "pids",
        place: &["limits", "pids"],
        label: "Processes and threads",
        help: "",
        control: Whole("8", "32768"),
        text: |it| it.limits.pids.to_string(),
    },
    Setting {
        name: "scratch_mib",
        place: &["limits", "scratch_bytes"],
        label: "Files in memory, in MiB",
        help: "In /work and /tmp; at most half of the memory.",
        control: Mebibytes("1", ""),
        text: |it| mebibytes(it.limits.scratch_bytes),
    },
    Setting {
        name: "disk_mib",
        place: &["limits", "disk_bytes"],
        label: "Files on disk, in MiB",
        help: "From 16, for /work on the server's disk; 0 keeps it in memory.",
        control: Mebibytes("0", ""),
        text: |it| mebibytes(it.limits.disk_bytes),
    },
    Setting {
        name: "file_count",
        place: &["limits", "file_count"],
        label: "Files left",
        help: "In /work/out; further ones are refused.",
        control: Whole("1", "100000"),
        text: |it| it.limits.file_count.to_string(),
    },
    Setting {
        name: "output_mib",
        place: &["limits", "output_bytes"],
        label: "Kept output, in MiB",
        help: "Of stdout and of stderr each.",
        control: Mebibytes("0.001", "256"),
        text: |it| mebibytes(it.limits.output_bytes),
    },
    Setting {
        name: "max_concurrency",
        place: &["max_concurrency"],
        label: "Runs at once, on each node",
        help: "Empty is as many as fit.",
        control: Whole("1", ""),
        text: |it| {
            it.max_concurrency.map(NonZeroU32::get).map_or(String::new(), |it| it.to_string())
        },
    },
    Setting {
        name: "warm",
        place: &["warm"],
        label: "Sandboxes held ready, on each node",
        help: "Runs that find one start faster; not with mounts.",
        control: Whole("0", "64"),
        text: |it| it.warm.to_string(),
    },
    Setting {
        name: "tags",
        place: &["tags"],
        label: "Tags",
        help: "Words to find it by: of a-z, 0-9, '.', '_' and '-', with spaces between them.",
        control: Words,
        text: |it| it.tags.joined(),
    },
    Setting {
        name: "is_enabled",
        place: &["is_enabled"],
        label: "It can be invoked",
        help: "",
        control: Tick,
        text: |it| if it.is_enabled { TICKED.to_owned() } else { String::new() },
    },
];

/// Words with spaces or commas between them.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c == ',' || c.is_whitespace()).filter(|word| !word.is_empty())
}

/// Writes bytes exactly, so that reading returns the same number: a mebibyte is a power of two, and
/// sizes are below 2^53.
fn mebibytes(bytes: u64) -> String {
    (bytes as f64 / MIB).to_string()
}

impl Setting {
    /// Pointer of the registry's faults.
    pub(super) fn pointer(&self) -> String {
        format!("/{}", self.place.join("/"))
    }

    /// Renders the field with a typed text.
    pub(super) fn shown(&self, wrong: &FieldErrors, text: &str) -> Markup {
        let field = Field::new(self.name, self.label, self.help);
        let (min, max, step) = match self.control {
            Whole(min, max) => (min, max, "1"),
            Decimal(min, max) | Mebibytes(min, max) => (min, max, "any"),
            Tick => return field.tick(wrong, TICKED, text == TICKED),
            Words => {
                return field.input(wrong, Input { kind: "text", value: text, ..Input::default() });
            }
        };
        let max = Some(max).filter(|it| !it.is_empty());
        let number = Input { kind: "number", value: text, min: Some(min), max, ..Input::default() };
        field.input(wrong, Input { step: Some(step), ..number })
    }

    /// Parses a typed text that is not empty.
    ///
    /// # Errors
    /// Description of the fault.
    pub(super) fn read(&self, text: &str) -> Result<Value, String> {
        let not = |what: &str| format!("{:?} is not {what}", sanitize(text));
        let number = || text.parse::<f64>().map_err(|_| not("a number"));
        match self.control {
            Tick => Ok(Value::Bool(text == TICKED)),
            Words => Ok(words(text).collect()),
            Whole(..) => match text.parse::<u32>() {
                Ok(number) => Ok(number.into()),
                Err(_) => Err(not("a whole number")),
            },
            Decimal(..) => match Number::from_f64(number()?) {
                Some(number) => Ok(Value::Number(number)),
                None => Err("it is not a number".to_owned()),
            },
            Mebibytes(..) => match (number()? * MIB).round() {
                bytes if (0.0..=MAX_BYTES).contains(&bytes) => Ok((bytes as u64).into()),
                _ => Err("it is not a size".to_owned()),
            },
        }
    }
}

/// Renders what a script's page says of the settings, beside the limits that have figures.
pub(in crate::ui::pages) fn facts(settings: &ScriptSettings) -> Markup {
    let limits = settings.limits;
    html! {
        dt { "Processes" } dd { "at most " (limits.pids) }
        dt { "Files" }
        dd {
            @match limits.disk_bytes {
                0 => { "at most " (value::bytes(limits.scratch_bytes)) " in /work and /tmp" },
                disk => { "at most " (value::bytes(disk)) " in /work, on the server's disk" },
            }
            ", " (value::count(limits.file_count.into())) " of them left"
        }
        dt { "Output" }
        dd { (value::bytes(limits.output_bytes)) " of stdout and of stderr are kept" }
        dt { "At once" }
        dd {
            @match settings.max_concurrency {
                Some(most) => { (most.get()) " on each node" },
                None => { "as many as fit" },
            }
        }
        @if settings.warm > 0 { dt { "Held ready" } dd { (settings.warm) " on each node" } }
    }
}

/// Renders the state of a script in the list and at the head of its page.
pub(in crate::ui::pages) fn state(settings: &ScriptSettings) -> Markup {
    badge::enabled(settings.is_enabled)
}

/// Renders the words about a script below its name, each with a link to those that share it.
pub(in crate::ui::pages) fn tags(settings: &ScriptSettings) -> Markup {
    html! {
        @if settings.tags.iter().next().is_some() {
            span.tags {
                @for tag in settings.tags.iter() {
                    a.badge.type href={ "/scripts" (query(&[("tag", tag)])) } { (tag) }
                }
            }
        }
    }
}

/// Names of the filters in a list's query.
pub(in crate::ui::pages) const FILTERS: [&str; 4] = ["search", "type", "enabled", "tag"];

/// Filter of a query, leniently where it makes no sense.
pub(in crate::ui::pages) fn filter(fields: &FormFields) -> ScriptFilter {
    ScriptFilter {
        search: fields.given("search").map(|text| text.chars().take(200).collect()),
        script_type: fields.text("type").parse().ok(),
        is_enabled: fields.text("enabled").parse().ok(),
        tags: wanted_tags(fields).map(str::to_owned).collect(),
        ..ScriptFilter::default()
    }
}

/// Tags of a query. Longer ones and more than a script can have find nothing, cut or not.
fn wanted_tags(fields: &FormFields) -> impl Iterator<Item = &str> {
    let words = fields.all("tag").flat_map(words);
    words.map(|word| value::short(word, MAX_TAG_CHARS + 1)).take(MAX_TAGS + 1)
}

/// Renders the filters of the list.
pub(in crate::ui::pages) fn filters(fields: &FormFields) -> Markup {
    let option = |name: &str, value: &str, words: &str| {
        html! { option value=(value) selected[fields.text(name) == value] { (words) } }
    };
    html! {
        form.filters role="search" action="/scripts" {
            div.field {
                label for="search" { "Search" }
                input #search type="search" name="search" value=(fields.text("search"))
                    placeholder="Name or description ( / )" maxlength="200";
            }
            div.field {
                label for="type" { "Type" }
                select #type name="type" {
                    (option("type", "", "any"))
                    @for it in ScriptType::ALL { (option("type", it.name(), it.name())) }
                }
            }
            div.field {
                label for="enabled" { "State" }
                select #enabled name="enabled" {
                    (option("enabled", "", "any"))
                    (option("enabled", "true", "enabled"))
                    (option("enabled", "false", "disabled"))
                }
            }
            div.field {
                label for="tag" { "Tags" }
                input #tag name="tag" placeholder="All of these"
                    value=(wanted_tags(fields).collect::<Vec<_>>().join(" "));
            }
            button type="submit" { "Filter" }
        }
    }
}
