//! Rendering of a script's form. It repeats the typed values after a fault, and shows operators
//! only the fields that they may change.

mod sections;

use maud::{Markup, html};

use super::field::{Field, FieldErrors, Input, radios};
use super::settings::{Control, SETTINGS, Setting};
use super::values::Values;
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
                (self.settings())
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

    /// Renders the fields that operators may change.
    fn settings(&self) -> Markup {
        let shown = |setting: &Setting| setting.shown(self.wrong, self.text(setting.name));
        let (ticks, others): (Vec<_>, Vec<_>) =
            SETTINGS.iter().partition(|setting| setting.control == Control::Tick);
        html! {
            section.card {
                h2 { "Settings" }
                div.fields.two { @for setting in others { (shown(setting)) } }
                @for setting in ticks { (shown(setting)) }
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
