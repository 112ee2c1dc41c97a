//! The page for running a script: a form made of its schema, and one for the input as
//! JSON. Each says beside its fields what was wrong.

use maud::{Markup, html};

use super::filled::Filled;
use super::plan::Plan;
use super::{RAW, extra, render};
use crate::api::routes::SEEING;
use crate::domain::registry::{RegisteredScript, ScriptVersion};
use crate::ui::door::Visitor;
use crate::ui::form::Fields;
use crate::ui::layout;
use crate::ui::pages::editor::field::{Field, Wrong};
use crate::ui::pieces::badge;

/// What the ids of fields begin with that both forms have.
pub(super) const OF_FORM: &str = "a-";

/// The same of those in the form for JSON.
pub(super) const OF_RAW: &str = "b-";

/// All that the page is made of.
pub(super) struct Sheet<'a> {
    pub(super) visitor: &'a Visitor,
    pub(super) script: &'a RegisteredScript,
    /// The version whose schema is asked for.
    pub(super) version: &'a ScriptVersion,
    /// Whether it was asked for, and not just the current one.
    pub(super) is_pinned: bool,
    /// `None` where the schema makes no form.
    pub(super) plan: Option<&'a Plan>,
    pub(super) filled: &'a Filled,
    /// The input as JSON.
    pub(super) raw: &'a str,
    /// Whether the input as JSON is what somebody has written or has to see.
    pub(super) is_raw: bool,
    /// What was sent.
    pub(super) fields: &'a Fields,
    pub(super) wrong: &'a Wrong,
    /// What there is to know about what stands in the form.
    pub(super) note: Option<&'a str>,
}

impl Sheet<'_> {
    /// The page's content.
    pub(super) fn shown(&self) -> Markup {
        let script = self.script;
        html! {
            nav.crumbs aria-label="Breadcrumb" {
                @if self.visitor.is(SEEING) {
                    a href="/scripts" { "Scripts" } span { "/" }
                    a href={ "/scripts/" (script.name.as_str()) } { (script.name.as_str()) }
                } @else { span { (script.name.as_str()) } }
                span { "/" } span { "Run" }
            }
            div.head {
                h1 { "Run " (script.name.as_str()) }
                (badge::runtime(self.version.definition.script_type))
                @if self.is_pinned { span.muted { "version " (self.version.number) } }
            }
            @if !script.is_enabled {
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
            (layout::token(self.visitor))
            (layout::once())
            input type="hidden" name="seen" value=(self.version.number);
            @if self.is_pinned { input type="hidden" name="version" value=(self.version.number); }
        }
    }

    fn button(&self) -> Markup {
        html! {
            div.actions {
                button.primary type="submit" disabled[!self.script.is_enabled] { "Run" }
            }
        }
    }
}
