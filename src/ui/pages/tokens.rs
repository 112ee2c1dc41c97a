//! Tokens and their roles. A new one is shown once, on the page that answers the form.

use std::collections::HashMap;

use axum::extract::State;
use axum::response::Response;
use chrono::{DateTime, TimeDelta, Utc};
use maud::{Markup, html};

use crate::access::{AccessError, MAX_SCOPE, TokenRequest};
use crate::clock;
use crate::domain::fault::Fault;
use crate::domain::share::ShareAccess;
use crate::domain::token::{Role, Token};
use crate::http::path::TokenId;
use crate::http::problem::{IsAnswer, Problem};
use crate::http::script_ref::ScriptRef;
use crate::http::share_grants::share_grants;
use crate::http::state::AppState;
use crate::ui::address::redirect;
use crate::ui::components::pager::{PAGE, offset, pages};
use crate::ui::components::value;
use crate::ui::form::{Form, FormFields, PageFields};
use crate::ui::layout::{self, Section};
use crate::ui::session::CurrentUser;

/// Longest lifetime of a token, in days.
const MAX_DAYS: u32 = 36_500;

/// Scripts or shares of one token shown.
const MAX_BADGES: usize = 5;

/// Addition to the page after a form.
enum Answer {
    None,
    Refused(Box<Problem>),
    Created { name: String, secret: String },
}

/// Lists tokens.
pub(in crate::ui) async fn list(
    State(state): State<AppState>,
    user: CurrentUser,
    PageFields(fields): PageFields,
) -> Result<Response, Problem> {
    page(&state, &user, &fields, &Answer::None).await
}

/// Creates a token.
pub(in crate::ui) async fn create(
    State(state): State<AppState>,
    user: CurrentUser,
    form: Form,
) -> Result<Response, Problem> {
    let fields = form.0;
    match created(&state, &user, &fields).await {
        Ok(secret) => {
            let name = fields.text("name").to_owned();
            page(&state, &user, &FormFields::default(), &Answer::Created { name, secret }).await
        }
        Err(problem) if problem.status().is_client_error() => {
            let status = problem.status();
            let answer = Answer::Refused(Box::new(problem));
            let mut response = page(&state, &user, &fields, &answer).await?;
            *response.status_mut() = status;
            response.extensions_mut().insert(IsAnswer);
            Ok(response)
        }
        Err(problem) => Err(problem),
    }
}

async fn created(
    state: &AppState,
    user: &CurrentUser,
    fields: &FormFields,
) -> Result<String, Problem> {
    let role: Role =
        fields.text("role").parse().map_err(|error: crate::domain::token::UnknownRole| {
            Problem::invalid(vec![Fault::new("/role", error.to_string())])
        })?;
    let wanted = TokenRequest {
        name: fields.text("name").to_owned(),
        role,
        scope: scope(state, user, fields.text("scripts")).await?,
        shares: share_grants(state, &entries(fields.text("shares")))?,
        expires_at: end(fields.text("days").trim())?,
    };
    let created = state.access.create(user.identity.name(), wanted).await;
    created.map(|it| it.secret).map_err(|error: AccessError| error.into())
}

/// Expiry for the typed number of days.
fn end(days: &str) -> Result<Option<DateTime<Utc>>, Problem> {
    if days.is_empty() {
        return Ok(None);
    }
    let number = days.parse().ok().filter(|days| (1..=MAX_DAYS).contains(days));
    let number = number.ok_or_else(|| {
        let detail = format!("it is a number of days from 1 to {MAX_DAYS}");
        Problem::invalid(vec![Fault::new("/expires_in_days", detail)])
    })?;
    Ok(Some(clock::now() + TimeDelta::days(number.into())))
}

/// Entries separated by lines or commas.
fn entries(text: &str) -> Vec<String> {
    let entries = text.split([',', '\n']).map(str::trim).filter(|it| !it.is_empty());
    entries.map(str::to_owned).collect()
}

/// Ids of the named scripts, separated by lines or commas.
async fn scope(
    state: &AppState,
    user: &CurrentUser,
    text: &str,
) -> Result<Option<Vec<i64>>, Problem> {
    let refused = |detail: String| Problem::invalid(vec![Fault::new("/scripts", detail)]);
    let names = entries(text);
    if names.len() > MAX_SCOPE {
        return Err(refused(format!("at most {MAX_SCOPE} scripts are possible")));
    }
    let mut ids = Vec::new();
    for name in &names {
        let found = ScriptRef::of_text(name.clone()).find(state, &user.identity).await?;
        let excerpt = crate::domain::sanitize::sanitize(name);
        ids.push(found.ok_or_else(|| refused(format!("there is no script {excerpt:?}")))?.id);
    }
    ids.sort_unstable();
    ids.dedup();
    Ok((!ids.is_empty()).then_some(ids))
}

/// Revokes a token.
pub(in crate::ui) async fn revoke(
    State(state): State<AppState>,
    user: CurrentUser,
    TokenId(id): TokenId,
    _form: Form,
) -> Result<Response, Problem> {
    let revoked = state.access.revoke(user.identity.name(), id).await?;
    revoked.ok_or_else(|| Problem::not_found("token"))?;
    Ok(redirect("/tokens"))
}

async fn page(
    state: &AppState,
    user: &CurrentUser,
    fields: &FormFields,
    answer: &Answer,
) -> Result<Response, Problem> {
    let start = offset(fields);
    let tokens = state.store.tokens(PAGE, start).await?;
    let total = state.store.count_tokens().await?.unsigned_abs();
    let scopes: Vec<i64> =
        tokens.iter().flat_map(|it| it.scope.iter().flatten()).copied().take(500).collect();
    let names = state.store.script_names(&scopes).await?;
    let now = clock::now();
    let content = html! {
        div.head { h1 { "Tokens" } span.muted { (value::count(total)) } }
        (shown_once(answer))
        div.grid.wide-left {
            section.card.flush {
                div.table {
                    table {
                        thead {
                            tr { th { "Name" } th { "Role" } th { "Scripts" } th { "Shares" } th { "Last used" } th { "Expires" } th { "Made" } th { "" } }
                        }
                        tbody { @for token in &tokens { (row(user, token, &names, now)) } }
                    }
                }
                (pages("/tokens", &[], start, total))
            }
            (form(user, fields, answer))
        }
    };
    Ok(layout::page(user, Section::Tokens, "Tokens", content))
}

fn shown_once(answer: &Answer) -> Markup {
    html! {
        @match answer {
            Answer::Created { name, secret } => {
                div.note role="status" {
                    p { "This is the token " strong { (name) } ". It is shown this once, and is not kept:" }
                    pre.code.wrap #secret tabindex="0" { (secret) }
                }
            },
            Answer::Refused(problem) => {
                div.alert role="alert" { (problem.detail()) @if let Some(hint) = problem.what_to_do() { ": " (hint) } }
            },
            Answer::None => {},
        }
    }
}

fn row(
    user: &CurrentUser,
    token: &Token,
    names: &HashMap<i64, String>,
    now: DateTime<Utc>,
) -> Markup {
    let is_own = token.id == user.identity.token_id();
    html! {
        tr {
            td.break { strong { (token.shown_name()) } @if is_own { span.muted { " (yours)" } } }
            td { (token.role) }
            td.break { (scope_of(token, names)) }
            td.break { (shares_of(token)) }
            td.nowrap { (value::maybe_ago(token.last_used_at)) }
            td.nowrap {
                @match token.expires_at { Some(end) => (value::ago(end)), None => span.muted { "never" } }
            }
            td.nowrap { (value::ago(token.created_at)) span.sub { "by " (token.created_by) } }
            td {
                @if let Some(at) = token.revoked_at {
                    span.badge.cancelled { "revoked" } " " span.small { (value::ago(at)) }
                } @else if !token.is_valid_at(now) {
                    span.badge.timeout { "expired" }
                } @else {
                    form.action method="post" action={ "/tokens/" (token.id) "/revoke" }
                        data-confirm={ "Revoke the token " (token.shown_name()) "? Whoever uses it is locked out at once." } {
                        (layout::token(user))
                        button.danger type="submit" aria-label={ "Revoke " (token.shown_name()) } { "Revoke" }
                    }
                }
            }
        }
    }
}

fn scope_of(token: &Token, names: &HashMap<i64, String>) -> Markup {
    html! {
        @match &token.scope {
            None => span.muted { "all" },
            Some(scope) => {
                @for id in scope.iter().take(MAX_BADGES) {
                    span.badge { (names.get(id).map_or("?", String::as_str)) } " "
                }
                @if scope.len() > MAX_BADGES { span.muted { "and " (scope.len() - MAX_BADGES) " more" } }
            },
        }
    }
}

fn shares_of(token: &Token) -> Markup {
    html! {
        @match token.share_access() {
            ShareAccess::All => span.muted { "all" },
            ShareAccess::Granted(grants) if grants.is_empty() => span.muted { "none" },
            ShareAccess::Granted(grants) => {
                @for grant in grants.iter().take(MAX_BADGES) { span.badge { (grant) } " " }
                @let more = grants.iter().count().saturating_sub(MAX_BADGES);
                @if more > 0 { span.muted { "and " (more) " more" } }
            },
        }
    }
}

fn form(user: &CurrentUser, fields: &FormFields, answer: &Answer) -> Markup {
    let wrong = |place: &str| match answer {
        Answer::Refused(problem) => problem
            .faults()
            .find(|(at, _)| at.starts_with(place))
            .map(|(_, detail)| detail.to_owned()),
        _ => None,
    };
    let field = |id: &str, place: &str, label: &str, help: &str, input: Markup| {
        html! {
            div.field {
                label for=(id) { (label) }
                (input)
                @if let Some(detail) = wrong(place) { span.wrong { (detail) } }
                span.help { (help) }
            }
        }
    };
    html! {
        section.card {
            h2 { "New token" }
            form.fields method="post" action="/tokens" {
                (layout::token(user))
                (field("name", "/name", "Name", "For people; unique among those that work.", html! {
                    input #name name="name" required maxlength="100" value=(fields.text("name")) autocomplete="off";
                }))
                (field("role", "/role", "Role", "Runners invoke and read executions; viewers see everything.", html! {
                    select #role name="role" {
                        @for role in [Role::Runner, Role::Viewer, Role::Operator, Role::Admin] {
                            option value=(role.name()) selected[fields.text("role") == role.name()] { (role.name()) }
                        }
                    }
                }))
                (field("scripts", "/scripts", "Only these scripts", "For runners: one name in a line. Empty is all.", html! {
                    textarea #scripts name="scripts" rows="3" { (fields.text("scripts")) }
                }))
                (field("shares", "/shares", "Shares", "For runners: what their executions may read, NAME or NAME/PATH, one in a line. Empty is none; admins read all.", html! {
                    textarea #shares name="shares" rows="2" { (fields.text("shares")) }
                }))
                (field("days", "/expires", "Expires in days", "Empty is never.", html! {
                    input #days name="days" type="number" min="1" max=(MAX_DAYS) value=(fields.text("days"));
                }))
                div { button.primary type="submit" { "Make the token" } }
            }
        }
    }
}
