//! Rendering of a script's form. It repeats the typed values after a fault, and shows operators
//! only the fields that they may change.

mod sections;

use maud::{Markup, html};

use super::field::{Field, FieldErrors, Input, radios};
use super::values::{TICKED, Values};
use crate::domain::registry::RegisteredScript;
use crate::ui::layout;
use crate::ui::session::CurrentUser;

/// Contents of the form.
pub(super) struct FormView<'a> {
    pub(super) user: &'a CurrentUser,
    /// The script, if it exists.
    pub(super) script: Option<&'a RegisteredScript>,
    /// True if all fields may be changed.
    pub(super) is_whole: bool,
    pub(super) values: &'a Values,
    pub(super) wrong: &'a FieldErrors,
}

impl FormView<'_> {
    /// Renders the page's content.
    pub(super) fn shown(&self) -> Markup {
        let (title, action) = match self.script {
            Some(script) => {
                (format!("Edit {}", script.name), format!("/scripts/{}/edit", script.name))
            }
            None => ("Register a script".to_owned(), "/register".to_owned()),
        };
        html! {
            nav.crumbs aria-label="Breadcrumb" {
                a href="/scripts" { "Scripts" } span { "/" }
                @if let Some(script) = self.script {
                    a href={ "/scripts/" (script.name.as_str()) } { (script.name.as_str()) }
                    span { "/" }
                }
                span { @if self.script.is_some() { "Edit" } @else { "New" } }
            }
            div.head { h1 { (title) } }
            (self.wrong.summary())
            form.sheet method="post" action=(action) enctype="multipart/form-data"
                data-check={ (action) "/check" } {
                (layout::token(self.user))
                @if let Some(script) = self.script {
                    input type="hidden" name="seen" value=(super::seen(script));
                }
                @if self.is_whole { (sections::of_admins(self)) }
                (self.run_settings())
                (self.end())
            }
        }
    }

    /// Value of a field.
    pub(super) fn text(&self, name: &str) -> &str {
        self.values.text(name)
    }

    /// Renders a field of one line.
    pub(super) fn line(&self, field: Field<'_>, name: &str, placeholder: &str) -> Markup {
        let placeholder = Some(placeholder).filter(|it| !it.is_empty());
        let value = self.text(name);
        field.input(self.wrong, Input { kind: "text", value, placeholder, ..Input::default() })
    }

    /// Renders a field of several lines, whose name is its id.
    pub(super) fn area(&self, name: &str, label: &str, help: &str, rows: u32) -> Markup {
        Field::new(name, label, help).area(self.wrong, rows, self.text(name))
    }

    /// Renders a choice, whose name is its id.
    pub(super) fn choice(
        &self,
        name: &str,
        label: &str,
        help: &str,
        options: &[(&str, &str)],
    ) -> Markup {
        Field::new(name, label, help).select(self.wrong, options, self.text(name))
    }

    /// Renders radio buttons for alternatives.
    pub(super) fn ways(&self, name: &str, legend: &str, options: &[(&str, &str)]) -> Markup {
        radios(name, legend, options, self.text(name))
    }

    fn number(&self, name: &str, label: &str, help: &str, bounds: Bounds) -> Markup {
        let (min, max, step) = bounds;
        let input = Input {
            kind: "number",
            value: self.text(name),
            min: Some(min),
            max: Some(max).filter(|it| !it.is_empty()),
            step: Some(step),
            ..Input::default()
        };
        Field::new(name, label, help).input(self.wrong, input)
    }

    /// Renders the fields that operators may change.
    fn run_settings(&self) -> Markup {
        html! {
            section.card {
                h2 { "Limits" }
                div.fields.two {
                    (self.number("memory_mib", "Memory, in MiB",
                        "With all files in /work and /tmp.", ("16", "", "any")))
                    (self.number("cpus", "CPUs", "0.5 is half of one.", ("0.01", "", "any")))
                    (self.number("timeout_secs", "Time, in seconds",
                        "A run that takes longer is ended; empty is 300.", ("0.1", "86400", "any")))
                    (self.number("pids", "Processes and threads", "", ("8", "32768", "1")))
                    (self.number("scratch_mib", "Files, in MiB",
                        "In /work and /tmp; at most half of the memory.", ("1", "", "any")))
                    (self.number("output_mib", "Kept output, in MiB",
                        "Of stdout and of stderr each.", ("0.001", "256", "any")))
                    (self.number("max_concurrency", "Runs at once, on each node",
                        "Empty is as many as fit.", ("1", "", "1")))
                    (self.number("warm", "Sandboxes held ready, on each node",
                        "Runs that find one start faster; not with mounts.", ("0", "64", "1")))
                }
                (Field::new("is_enabled", "It can be invoked", "")
                    .tick(self.wrong, TICKED, self.text("is_enabled") == TICKED))
            }
        }
    }

    fn end(&self) -> Markup {
        let (label, back) = match self.script {
            Some(script) => ("Save", format!("/scripts/{}", script.name)),
            None => ("Register", "/scripts".to_owned()),
        };
        html! {
            div.actions {
                button.primary type="submit" { (label) }
                a.button href=(back) { "Cancel" }
            }
        }
    }
}

/// Minimum, maximum and step of a number; an empty maximum means none.
type Bounds = (&'static str, &'static str, &'static str);
