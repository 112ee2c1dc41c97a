//! Page to run a script: a form for its schema, and one for the input as JSON. Each shows faults
//! beside its fields.

use maud::{Markup, html};

use super::filled::Filled;
use super::plan::Plan;
use super::{RAW, extra, render};
use crate::domain::registry::{RegisteredScript, ScriptVersion};
use crate::http::roles::SEEING;
use crate::ui::components::badge;
use crate::ui::form::FormFields;
use crate::ui::layout;
use crate::ui::pages::editor::field::{Field, FieldErrors};
use crate::ui::session::CurrentUser;

/// Prefix of shared fields' ids in the schema's form.
pub(super) const OF_FORM: &str = "a-";

/// Prefix of the same ids in the JSON form.
pub(super) const OF_RAW: &str = "b-";

/// Contents of the page.
pub(super) struct FormView<'a> {
    pub(super) user: &'a CurrentUser,
    pub(super) script: &'a RegisteredScript,
    /// Version whose schema is shown.
    pub(super) version: &'a ScriptVersion,
    /// True if this version was requested explicitly.
    pub(super) is_pinned: bool,
    /// Plan of the form; `None` if the schema has none.
    pub(super) plan: Option<&'a Plan>,
    pub(super) filled: &'a Filled,
    /// Input as JSON.
    pub(super) raw: &'a str,
    /// True if the JSON form is the active one.
    pub(super) is_raw: bool,
    /// Typed fields.
    pub(super) fields: &'a FormFields,
    pub(super) wrong: &'a FieldErrors,
    /// Note about the initial values.
    pub(super) note: Option<&'a str>,
}

impl FormView<'_> {
    /// Renders the page's content.
    pub(super) fn shown(&self) -> Markup {
        let script = self.script;
        html! {
            nav.crumbs aria-label="Breadcrumb" {
                @if self.user.is(SEEING) {
                    a href="/scripts" { "Scripts" } span { "/" }
                    a href={ "/scripts/" (script.name.as_str()) } { (script.name.as_str()) }
                } @else { span { (script.name.as_str()) } }
                span { "/" } span { "Run" }
            }
            div.head {
                h1 { "Run " (script.name.as_str()) }
                (badge::script_type(self.version.definition.script_type))
                @if self.is_pinned { span.muted { "version " (self.version.number) } }
            }
            @if !script.settings.is_enabled {
                p.note.warn { "The script is disabled: an operator can enable it." }
            }
            @if let Some(note) = self.note { p.note { (note) } }
            (self.wrong.summary())
            @match self.plan {
                Some(plan) => {
                    (self.form(plan))
                    details.raw open[self.is_raw] {
                        summary { "Write the input as JSON instead" }
                        (self.raw())
                    }
                },
                None => { (self.raw()) },
            }
        }
    }

    fn form(&self, plan: &Plan) -> Markup {
        html! {
            form.sheet method="post" action=(self.action()) enctype="multipart/form-data" {
                (self.hidden())
                section.card {
                    h2 { "Input" }
                    (render::parts(&plan.parts, self.filled, self.wrong))
                }
                (extra::shown(OF_FORM, self.fields, self.wrong, self.script))
                (self.button())
            }
        }
    }

    fn raw(&self) -> Markup {
        let field = Field::new(
            RAW,
            "Input",
            "One JSON document: the script reads it from stdin, \
             as it stands here.",
        );
        html! {
            form.sheet method="post" action=(self.action()) enctype="multipart/form-data" {
                (self.hidden())
                input type="hidden" name="mode" value=(RAW);
                section.card { (field.area(self.wrong, 12, self.raw)) }
                (extra::shown(OF_RAW, self.fields, self.wrong, self.script))
                (self.button())
            }
        }
    }

    fn action(&self) -> String {
        format!("/scripts/{}/run", self.script.name)
    }

    fn hidden(&self) -> Markup {
        html! {
            (layout::token(self.user))
            (layout::once())
            input type="hidden" name="seen" value=(self.version.number);
            @if self.is_pinned { input type="hidden" name="version" value=(self.version.number); }
        }
    }

    fn button(&self) -> Markup {
        html! {
            div.actions {
                button.primary type="submit" disabled[!self.script.settings.is_enabled] { "Run" }
            }
        }
    }
}
