//! Pages to register and to change a script. The input goes to the registry, as the API's requests
//! do. If it is refused, the form is shown again with the typed values and the faults beside their
//! fields.
//!
//! Only changed fields are sent ([`input`]), and nothing after a concurrent change: no change is
//! overwritten unseen.

mod check;
pub(in crate::ui::pages) mod field;
mod form;
mod input;
pub(in crate::ui::pages) mod lines;
pub(in crate::ui::pages) mod settings;
mod values;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::SecondsFormat;

use crate::domain::registry::RegisteredScript;
use crate::http::path::NamedScript;
use crate::http::problem::{IsAnswer, Kind, Problem};
use crate::http::roles::ADMIN;
use crate::http::scripts::source_of;
use crate::http::state::AppState;
use crate::registry::ScriptInput;
use crate::ui::address::redirect;
use crate::ui::assets::Asset;
use crate::ui::form::{Form, FormFields};
use crate::ui::layout::{self, Section};
use crate::ui::session::CurrentUser;
use field::FieldErrors;
use form::FormView;
use input::{Purpose, field_of, input_of};
use values::Values;

pub(in crate::ui) use check::{check_change, check_new};

/// Shows the form for a new script.
pub(in crate::ui) async fn new(user: CurrentUser) -> Result<Response, Problem> {
    Ok(shown(&user, None, &Values::of_new(), &FieldErrors::default()))
}

/// Registers a script.
pub(in crate::ui) async fn register(
    State(state): State<AppState>,
    user: CurrentUser,
    form: Form,
) -> Result<Response, Problem> {
    let fields = &form.0;
    match registered(&state, &user, fields).await {
        Ok(script) => Ok(redirect(&format!("/scripts/{}", script.name))),
        Err(problem) => refused(&user, None, fields, problem),
    }
}

async fn registered(
    state: &AppState,
    user: &CurrentUser,
    fields: &FormFields,
) -> Result<RegisteredScript, Problem> {
    let input = input_of(fields, &Values::of_new(), Purpose::Register).map_err(Problem::invalid)?;
    Ok(state.registry.register(&user.identity.actor(), input).await?)
}

/// Shows the form of an existing script.
pub(in crate::ui) async fn edit(
    State(state): State<AppState>,
    user: CurrentUser,
    NamedScript(script): NamedScript,
) -> Result<Response, Problem> {
    let values = values_of(&state, &user, &script).await?;
    Ok(shown(&user, Some(&script), &values, &FieldErrors::default()))
}

/// Changes a script.
pub(in crate::ui) async fn change(
    State(state): State<AppState>,
    user: CurrentUser,
    NamedScript(script): NamedScript,
    form: Form,
) -> Result<Response, Problem> {
    let fields = &form.0;
    match changed(&state, &user, &script, fields).await {
        Ok(name) => Ok(redirect(&format!("/scripts/{name}"))),
        Err(problem) => refused(&user, Some(&script), fields, problem),
    }
}

/// Applies a change, and returns the script's name after it.
async fn changed(
    state: &AppState,
    user: &CurrentUser,
    script: &RegisteredScript,
    fields: &FormFields,
) -> Result<String, Problem> {
    if fields.text("seen") != seen(script) {
        let detail = "somebody has changed the script since this form was opened; save again to \
             put what stands here over it";
        return Err(Problem::new(Kind::Conflict, detail).at(""));
    }
    let before = values_of(state, user, script).await?;
    let purpose = purpose_of(user, Some(script));
    let input = input_of(fields, &before, purpose).map_err(Problem::invalid)?;
    if input == ScriptInput::default() && !reads_files(script, purpose) {
        return Ok(script.name.to_string());
    }
    let script = state.registry.change(&user.identity.actor(), script.id, input).await?;
    Ok(script.name.to_string())
}

/// True if a change without fields may still change something.
fn reads_files(script: &RegisteredScript, purpose: Purpose) -> bool {
    purpose == Purpose::Change && (script.file_path.is_some() || script.requirements_path.is_some())
}

/// Purpose of a form.
fn purpose_of(user: &CurrentUser, script: Option<&RegisteredScript>) -> Purpose {
    match script {
        None => Purpose::Register,
        Some(_) if user.is(ADMIN) => Purpose::Change,
        Some(_) => Purpose::Operate,
    }
}

/// Values in the form of a script. Operators see nothing of its source.
async fn values_of(
    state: &AppState,
    user: &CurrentUser,
    script: &RegisteredScript,
) -> Result<Values, Problem> {
    let script = state.registry.newest(script.clone()).await?;
    let source = match user.is(ADMIN) {
        true => source_of(state, &script).await?,
        false => None,
    };
    Ok(Values::of_script(&script, source))
}

/// Time of the script's last change, as the form sends it.
fn seen(script: &RegisteredScript) -> String {
    script.updated_at.to_rfc3339_opts(SecondsFormat::Micros, true)
}

fn shown(
    user: &CurrentUser,
    script: Option<&RegisteredScript>,
    values: &Values,
    wrong: &FieldErrors,
) -> Response {
    let view = FormView { user, script, is_whole: user.is(ADMIN), values, wrong };
    let title = script.map_or("Register a script".to_owned(), |it| format!("Edit {}", it.name));
    layout::page_with(user, Section::Scripts, &title, &[Asset::Form], view.shown())
}

/// Shows the form again with its faults; a problem without fields gets a page of its own.
fn refused(
    user: &CurrentUser,
    script: Option<&RegisteredScript>,
    fields: &FormFields,
    problem: Problem,
) -> Result<Response, Problem> {
    if problem.faults().next().is_none() {
        return Err(problem);
    }
    let source_from = fields.text("source_from");
    let wrong = FieldErrors::of(&problem, |pointer| field_of(pointer, source_from));
    let response = shown(user, script, &Values::of_fields(fields), &wrong);
    Ok(answered(response, problem.status()))
}

/// Copies a page with another status and all other parts of the response.
pub(in crate::ui::pages) fn answered(mut response: Response, status: StatusCode) -> Response {
    *response.status_mut() = status;
    response.extensions_mut().insert(IsAnswer);
    response
}
