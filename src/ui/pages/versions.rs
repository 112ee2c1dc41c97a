//! Versions of a script and their differences. A version is immutable; only the current one
//! changes.

mod diff;
mod files;

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};
use serde_json::Value;

use super::script::{facts_shown, versions_table};
use crate::domain::registry::{Definition, RegisteredScript, ScriptVersion};
use crate::http::path::{NamedScript, PathText};
use crate::http::problem::Problem;
use crate::http::roles::ADMIN;
use crate::http::scripts::{HIDDEN, room_for_source};
use crate::http::state::AppState;
use crate::ui::address::redirect;
use crate::ui::components::pager::{PAGE, offset, pages};
use crate::ui::components::value;
use crate::ui::form::{Form, FormFields, PageFields};
use crate::ui::layout::{self, Section};
use crate::ui::session::CurrentUser;
use diff::{Diff, visible};
use files::{Differences, Files};

/// Longest source shown, in bytes (48 KiB).
const SHOWN_BYTES: usize = 48 * 1024;

/// Longest source compared, in bytes (256 KiB).
const COMPARED_BYTES: usize = 256 * 1024;

/// Lists the versions of a script.
pub(in crate::ui) async fn list(
    State(state): State<AppState>,
    user: CurrentUser,
    NamedScript(script): NamedScript,
    PageFields(fields): PageFields,
) -> Result<Response, Problem> {
    let start = offset(&fields);
    let versions = state.store.versions(script.id, PAGE, start).await?;
    let total = state.store.count_versions(script.id).await?.unsigned_abs();
    let address = format!("/scripts/{}/versions", script.name);
    let content = html! {
        (crumbs(&script, None))
        div.head {
            h1 { "Versions of " (script.name.as_str()) }
            span.muted { (value::counted(total, "version", "versions")) }
        }
        section.card.flush {
            @if versions.is_empty() {
                div.empty { "There are no versions on this page." }
            } @else {
                (versions_table(&script, &versions))
            }
            (pages(&address, &[], start, total))
        }
    };
    Ok(layout::page(&user, Section::Scripts, &format!("Versions of {}", script.name), content))
}

/// Bytes of a version, as far as they are needed.
enum Source {
    /// Text.
    Text(String),
    /// Size of a source that is too long or not text.
    Bytes(usize),
}

impl Source {
    /// Size in bytes.
    fn size(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Bytes(size) => *size,
        }
    }
}

/// Two versions and their differences.
struct Compared {
    against: i64,
    /// Differences of the sources; `None` if one is too long or not text.
    source: Option<Diff>,
    /// Differences of the files, if one is a bundle.
    files: Option<Differences>,
    definition: Diff,
}

/// Shows a version.
pub(in crate::ui) async fn show(
    State(state): State<AppState>,
    user: CurrentUser,
    NamedScript(script): NamedScript,
    path: PathText,
    PageFields(fields): PageFields,
) -> Result<Response, Problem> {
    let number = path.number("version", "version")?;
    let version = find(&state, &script, number).await?;
    let source = source_of(&state, &user, &version.definition).await?;
    let files = Files::of(&state, &version.definition).await?;
    let is_admin = user.is(ADMIN);
    let against = against(&fields, number)?;
    let compared = match against {
        None => None,
        Some(against) => {
            let other = find(&state, &script, against).await?;
            Some(compare(&state, &user, &other, (&version, &source, files.as_ref())).await?)
        }
    };
    let title = format!("{} version {number}", script.name);
    let content = html! {
        (crumbs(&script, Some(number)))
        (head(&user, &script, &version))
        div.grid.wide-left {
            div.stack {
                (comparison(&script, &version, compared.as_ref()))
                @if let Some(files) = &files {
                    (files.shown(&format!("/scripts/{}/versions/{number}", script.name)))
                }
                (source_shown(&script, &version, &source))
            }
            div.stack {
                section.card {
                    h2 { "Definition" }
                    (made(&version))
                    (facts_shown(&version.definition, is_admin))
                }
            }
        }
    };
    Ok(layout::page(&user, Section::Scripts, &title, content))
}

/// Activates a version.
pub(in crate::ui) async fn activate(
    State(state): State<AppState>,
    user: CurrentUser,
    NamedScript(script): NamedScript,
    path: PathText,
    _form: Form,
) -> Result<Response, Problem> {
    let number = path.number("version", "version")?;
    let script = state.registry.activate(&user.identity.actor(), script.id, number).await?;
    Ok(redirect(&format!("/scripts/{}", script.name)))
}

async fn find(
    state: &AppState,
    script: &RegisteredScript,
    number: i64,
) -> Result<ScriptVersion, Problem> {
    let version = state.store.version(script.id, number).await?;
    version.ok_or_else(|| Problem::not_found("version"))
}

/// Version to compare with: the requested one, or the previous one.
fn against(fields: &FormFields, number: i64) -> Result<Option<i64>, Problem> {
    let Some(asked) = fields.given("against") else {
        return Ok(Some(number - 1).filter(|before| *before >= 1));
    };
    let asked = asked.parse().ok().filter(|asked| *asked >= 1);
    asked.map(Some).ok_or_else(|| Problem::parameter("against", "it is the number of a version"))
}

async fn source_of(
    state: &AppState,
    user: &CurrentUser,
    definition: &Definition,
) -> Result<Source, Problem> {
    let _held = room_for_source(state, &user.identity, definition).await?;
    let code = state.store.code(&definition.digest).await?;
    let size = code.len();
    if !definition.script_type.is_text() || size > COMPARED_BYTES {
        return Ok(Source::Bytes(size));
    }
    Ok(String::from_utf8(code).map_or(Source::Bytes(size), Source::Text))
}

async fn compare(
    state: &AppState,
    user: &CurrentUser,
    old: &ScriptVersion,
    (new, new_source, new_files): (&ScriptVersion, &Source, Option<&Files>),
) -> Result<Compared, Problem> {
    let is_admin = user.is(ADMIN);
    let old_source = match old.definition.digest == new.definition.digest {
        true => None,
        false => Some(source_of(state, user, &old.definition).await?),
    };
    let texts = match (old_source, new_source) {
        (None, _) => Some((String::new(), String::new())),
        (Some(Source::Text(old)), Source::Text(new)) => Some((old, new.clone())),
        _ => None,
    };
    let definitions =
        (definition_text(&old.definition, is_admin), definition_text(&new.definition, is_admin));
    let (old_files, new_files) = (Files::of(state, &old.definition).await?, new_files.cloned());
    let comparing = tokio::task::spawn_blocking(move || {
        let source = texts.map(|(old, new)| Diff::between(&old, &new));
        let has_files = old_files.is_some() || new_files.is_some();
        let files = || Differences::between(old_files.as_ref(), new_files.as_ref());
        (source, has_files.then(files), Diff::between(&definitions.0, &definitions.1))
    });
    let (source, files, definition) =
        comparing.await.map_err(|error| Problem::internal(format!("a comparison: {error}")))?;
    Ok(Compared { against: old.number, source, files, definition })
}

/// Definition as JSON, one value a line.
fn definition_text(definition: &Definition, is_admin: bool) -> String {
    let mut value = serde_json::to_value(definition).unwrap_or_default();
    if let Some(Value::Array(variables)) = value.get_mut("env").filter(|_| !is_admin) {
        for value in variables.iter_mut().filter_map(|it| it.get_mut("value")) {
            *value = HIDDEN.into();
        }
    }
    serde_json::to_string_pretty(&value).unwrap_or_default() + "\n"
}

fn crumbs(script: &RegisteredScript, number: Option<i64>) -> Markup {
    let address = format!("/scripts/{}", script.name);
    html! {
        nav.crumbs aria-label="Breadcrumb" {
            a href="/scripts" { "Scripts" } span { "/" }
            a href=(address) { (script.name.as_str()) } span { "/" }
            @match number {
                Some(number) => {
                    a href={ (address) "/versions" } { "Versions" } span { "/" } span { (number) }
                },
                None => { span { "Versions" } },
            }
        }
    }
}

fn head(user: &CurrentUser, script: &RegisteredScript, version: &ScriptVersion) -> Markup {
    let address = format!("/scripts/{}/versions/{}", script.name, version.number);
    let is_current = version.number == script.version.number;
    html! {
        div.head {
            h1 { (script.name.as_str()) " version " (version.number) }
            @if is_current { span.badge.completed { "current" } }
            span.grow {}
            div.actions {
                a.button href={ (address) "/source" } { "Download source" }
                @if !is_current && user.is(ADMIN) {
                    (layout::action(user, &format!("{address}/activate"), "primary",
                        html! { "Make current" }))
                }
            }
        }
    }
}

fn made(version: &ScriptVersion) -> Markup {
    html! {
        dl.facts.even {
            dt { "Made" } dd { (value::ago(version.created_at)) " by " (version.created_by) }
            @if let Some(key) = &version.environment_key {
                dt { "Environment" }
                dd { a.mono href={ "/environments/" (key) } { (value::short(key, 12)) } }
            }
        }
    }
}

fn comparison(
    script: &RegisteredScript,
    version: &ScriptVersion,
    compared: Option<&Compared>,
) -> Markup {
    let address = format!("/scripts/{}/versions/{}", script.name, version.number);
    let against = compared.map(|it| it.against.to_string()).unwrap_or_default();
    html! {
        section.card {
            h2 {
                @if let Some(compared) = compared {
                    "What differs from version " (compared.against)
                } @else { "What differs" }
            }
            form.filters action=(address) {
                div.field {
                    label for="against" { "Compare with version" }
                    input #against name="against" type="number" min="1" step="1" required value=(against);
                }
                button type="submit" { "Compare" }
            }
            @match compared {
                None => { p.muted { "It is the first one." } },
                Some(Compared { source, files, definition, .. }) => {
                    @if let Some(files) = files {
                        h3 { "Files" }
                        (files.shown())
                    }
                    h3 { "Source" }
                    @match source {
                        Some(diff) => { (diff.shown()) },
                        None => {
                            p.muted { "It is another one; both can be downloaded. Texts of up to "
                                (value::bytes(COMPARED_BYTES as u64)) " are compared here." }
                        },
                    }
                    h3 { "Definition" }
                    (definition.shown())
                },
            }
        }
    }
}

fn source_shown(script: &RegisteredScript, version: &ScriptVersion, source: &Source) -> Markup {
    let size = source.size();
    html! {
        section.card {
            div.card-head {
                h2 { "Source" }
                span.muted.small { (value::bytes(size as u64)) }
            }
            @match source {
                Source::Text(text) if size <= SHOWN_BYTES => { (numbered(text)) },
                _ => {
                    p { "It is a binary, or more than is shown here. "
                        a href={ "/scripts/" (script.name.as_str()) "/versions/" (version.number) "/source" } {
                            "Download it"
                        } }
                    p.muted { "SHA-256 " code.break { (version.definition.digest) } }
                },
            }
        }
    }
}

/// Text with line numbers, which are not copied with it.
fn numbered(text: &str) -> Markup {
    html! {
        div.table.code-table tabindex="0" {
            table.lines {
                tbody {
                    @for (number, line) in (1_usize..).zip(text.lines()) {
                        tr { td.number { (number) } td.source { (visible(line)) } }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn definition() -> Definition {
        serde_json::from_value(json!({
            "script_type": "shell", "digest": "d", "file_name": "a.sh", "working_directory": null,
            "requirements": null, "requirements_hash": null, "system_packages": [],
            "argument_schema": {}, "output_schema": {}, "args": [],
            "env": [{"name": "TOKEN", "value": "secret"}], "output_file": null,
            "network": "none", "mounts": [], "preload": false, "runtime": null
        }))
        .unwrap()
    }

    #[test]
    fn values_of_variables_are_for_admins() {
        assert!(definition_text(&definition(), true).contains("\"secret\""));
        let masked = definition_text(&definition(), false);
        assert!(masked.contains("TOKEN") && masked.contains("***"), "{masked}");
        assert!(!masked.contains("secret"), "{masked}");
    }

    #[test]
    fn a_version_is_compared_with_the_one_before_or_the_one_asked_for() {
        let of = |query: &str, number| against(&FormFields::of_query(query), number).ok();
        assert_eq!(of("", 3), Some(Some(2)));
        assert_eq!(of("", 1), Some(None));
        assert_eq!(of("against=7", 3), Some(Some(7)));
        assert_eq!(of("against=0", 3), None);
        assert_eq!(of("against=x", 3), None);
    }

    #[test]
    fn lines_are_numbered_and_text() {
        let shown = numbered("echo 1\n<b>\n").into_string();
        assert!(shown.contains("<td class=\"number\">2</td>"), "{shown}");
        assert!(shown.contains("&lt;b&gt;"), "{shown}");
    }
}
