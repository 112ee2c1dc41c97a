//! Audit log, newest entries first.

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};
use serde_json::Value;

use crate::http::problem::Problem;
use crate::http::state::AppState;
use crate::store::AuditEntry;
use crate::ui::address::query;
use crate::ui::components::pager::{PAGE, offset, pages};
use crate::ui::components::value;
use crate::ui::form::PageFields;
use crate::ui::layout::{self, Section};
use crate::ui::session::CurrentUser;

/// Longest value shown, in characters.
const MAX_VALUE: usize = 240;

/// Most changed fields shown for an entry.
const MAX_FIELDS: usize = 20;

/// Lists changes.
pub(in crate::ui) async fn list(
    State(state): State<AppState>,
    user: CurrentUser,
    PageFields(fields): PageFields,
) -> Result<Response, Problem> {
    let subject = fields.given("subject");
    let start = offset(&fields);
    let entries = state.store.audit(subject, PAGE, start).await?;
    let total = state.store.count_audit(subject).await?.unsigned_abs();
    let content = html! {
        div.head { h1 { "Audit" } span.muted { (value::counted(total, "change", "changes")) } }
        form.filters action="/audit" {
            div.field {
                label for="subject" { "Subject" }
                input #subject type="search" name="subject" value=(subject.unwrap_or_default())
                    placeholder="script:weather" maxlength="200";
            }
            button type="submit" { "Filter" }
            @if subject.is_some() { a.button.quiet href="/audit" { "Clear" } }
        }
        section.card.flush {
            @if entries.is_empty() {
                div.empty {
                    strong { "Nothing was changed" }
                    p { "Changes of scripts and tokens are listed here, with who made them." }
                }
            } @else {
                div.table {
                    table {
                        thead { tr { th { "When" } th { "Who" } th { "What" } th { "Subject" } th { "Change" } } }
                        tbody { @for entry in &entries { (row(entry)) } }
                    }
                }
                (pages("/audit", &[("subject", subject.unwrap_or_default())], start, total))
            }
        }
    };
    Ok(layout::page(&user, Section::Audit, "Audit", content))
}

fn row(entry: &AuditEntry) -> Markup {
    let changes = changes(entry.before.as_ref(), entry.after.as_ref());
    html! {
        tr {
            td.nowrap { (value::ago(entry.at)) }
            td.break { (entry.actor) }
            td.nowrap { (entry.action) }
            td.break { a href={ "/audit" (query(&[("subject", &entry.subject)])) } { (entry.subject) } }
            td {
                @if changes.is_empty() { (value::nothing()) } @else {
                    details {
                        summary { (value::counted(changes.len() as u64, "field", "fields")) }
                        dl.facts {
                            @for (name, before, after) in changes.iter().take(MAX_FIELDS) {
                                dt { (name) }
                                dd {
                                    @if let Some(before) = before { del { (before) } " → " }
                                    @match after { Some(after) => ins { (after) }, None => span.muted { "gone" } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Changed fields: name, before, after.
fn changes(
    before: Option<&Value>,
    after: Option<&Value>,
) -> Vec<(String, Option<String>, Option<String>)> {
    let members =
        |value: Option<&Value>| value.and_then(Value::as_object).cloned().unwrap_or_default();
    let (before, after) = (members(before), members(after));
    let mut names: Vec<_> = before.keys().chain(after.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let differing = names.into_iter().filter(|name| before.get(*name) != after.get(*name));
    let shown = |value: Option<&Value>| value.filter(|it| !it.is_null()).map(text);
    differing.map(|name| (name.clone(), shown(before.get(name)), shown(after.get(name)))).collect()
}

fn text(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    value::short(&text, MAX_VALUE).to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_differs_is_a_change() {
        let (before, after) =
            (json!({"a": 1, "b": "x", "c": null}), json!({"a": 1, "b": "y", "d": [1]}));
        let found = changes(Some(&before), Some(&after));
        let names: Vec<_> = found.iter().map(|(name, ..)| name.as_str()).collect();
        assert_eq!(names, ["b", "c", "d"]);
        assert_eq!(found[0].1.as_deref(), Some("x"));
        assert_eq!(found[2].2.as_deref(), Some("[1]"));
        assert!(changes(None, None).is_empty());
    }
}
