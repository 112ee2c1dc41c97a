//! Scripts: registering, changing and reading them.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};

use super::script_body::ScriptBody;
use super::script_settings::ScriptsQuery;
use super::script_view::{Environments, ScriptView};
use super::sent_script::SentScript;
use crate::domain::registry::RegisteredScript;
use crate::http::auth::Identity;
use crate::http::offload::offload_if_large;
use crate::http::page::{Listed, PageQuery};
use crate::http::path::NamedScript;
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::scripts::source_of;
use crate::http::state::AppState;
use crate::registry::ScriptInput;

/// Registers a script
///
/// Reads the script from a file on the server (`file_path`, below
/// `GANTRY_SCRIPT_ROOTS`) or from the request (`source`, `source_base64`). Its
/// environment is built in the background. A script of many files is sent as
/// `multipart/form-data`: these fields as the part `script`, and its files as the part
/// `bundle` (a tar, tar.gz or zip), or each as a part `file` with its path as the file's
/// name; or it is a folder at `file_path`. `entry` is the file that is run. To copy a script, send what `GET` returned
/// under another name: read-only fields are ignored.
#[utoipa::path(
    post, path = "/api/v1/admin/scripts", tag = "scripts",
    request_body(content = ScriptInput, example = json!({
        "name": "weather",
        "description": "Says how the weather will be",
        "script_type": "shell",
        "source": "#!/bin/bash\njq '{city, sunny: true}'\n"
    })),
    responses(
        (status = 201, description = "The script was registered", body = ScriptView,
            headers(("Location" = String, description = "URL of the script"))),
        (status = 409, description = "The name is taken"),
    )
)]
pub(super) async fn register_script(
    State(state): State<AppState>,
    identity: Identity,
    ScriptBody { json, packed, held: _held }: ScriptBody,
) -> Result<Response, Problem> {
    let sent = offload_if_large(json.len(), move || SentScript::parse(&json)).await?;
    let input = ScriptInput { packed, ..sent.into_input() };
    let script = state.registry.register(&identity.actor(), input).await?;
    let location = format!("/api/v1/admin/scripts/{}", script.id);
    let view = view(&state, &identity, script).await?;
    Ok((StatusCode::CREATED, [(LOCATION, location)], Json(view)).into_response())
}

/// Lists scripts
///
/// Sorted by name, disabled scripts included. Their source is left out.
#[utoipa::path(
    get, path = "/api/v1/admin/scripts", tag = "scripts",
    params(ScriptsQuery, PageQuery),
    responses((status = 200, description = "A page of the list", body = [ScriptView],
        headers(("X-Total-Count" = u64, description = "Total number of entries"))))
)]
pub(super) async fn list_scripts(
    State(state): State<AppState>,
    identity: Identity,
    mut query: Query,
) -> Result<Response, Problem> {
    let wanted = ScriptsQuery::take(&mut query)?;
    let page = query.page()?;
    query.finish()?;
    let filter = wanted.filter(&identity);
    let scripts = state.store.scripts(&filter, page.limit, page.offset).await?;
    let total = state.store.count_scripts(&filter).await?;
    let mut entries = Vec::with_capacity(scripts.len());
    for script in scripts {
        let environments = Environments::of(&state, &script).await?;
        entries.push(ScriptView::new(script, environments, None, identity.role()));
    }
    Ok(Listed { entries, total }.into_response())
}

/// Returns a script
///
/// Only admins see the values of its environment variables.
#[utoipa::path(
    get, path = "/api/v1/admin/scripts/{id}", tag = "scripts",
    params(("id" = String, Path, description = "The script's id or name")),
    responses((status = 200, description = "The script", body = ScriptView))
)]
pub(super) async fn get_script(
    State(state): State<AppState>,
    identity: Identity,
    NamedScript(script): NamedScript,
) -> Result<Json<ScriptView>, Problem> {
    view(&state, &identity, script).await.map(Json)
}

/// Updates a script
///
/// Fields that are left out keep their values. Unless only `is_enabled` is sent, the
/// script's file is read again, and a changed file makes a new version. A new version
/// becomes current as soon as its environment is ready, and is `pending` until then; it
/// becomes current at once if the environment of the current version is not ready either.
/// Operators may change its settings (`ScriptSettings`), which make no version. A client may
/// send back a whole script as `GET` returned it, with its changes: if somebody else
/// changed the script meanwhile, `updated_at` differs and nothing is changed (409).
#[utoipa::path(
    put, path = "/api/v1/admin/scripts/{id}", tag = "scripts",
    params(("id" = String, Path, description = "The script's id or name")),
    request_body(content = ScriptInput, example = json!({"is_enabled": false})),
    responses(
        (status = 200, description = "The script after the change", body = ScriptView),
        (status = 409, description = "The name is taken, or somebody else changed the script meanwhile"),
    )
)]
pub(super) async fn update_script(
    State(state): State<AppState>,
    identity: Identity,
    NamedScript(script): NamedScript,
    ScriptBody { json, packed, held: _held }: ScriptBody,
) -> Result<Json<ScriptView>, Problem> {
    let (id, role) = (script.id, identity.role());
    let sent = offload_if_large(json.len(), move || SentScript::parse(&json)).await?;
    let input = match sent.needs_shown(role) {
        true => sent.into_change(&view(&state, &identity, script).await?, role)?,
        false => sent.into_input(),
    };
    let input = ScriptInput { packed, ..input };
    let script = state.registry.change(&identity.actor(), id, input).await?;
    view(&state, &identity, script).await.map(Json)
}

/// Deactivates a script
///
/// It keeps its versions and its history, and can't be invoked.
#[utoipa::path(
    delete, path = "/api/v1/admin/scripts/{id}", tag = "scripts",
    params(("id" = String, Path, description = "The script's id or name")),
    responses((status = 200, description = "The script after the change", body = ScriptView))
)]
pub(super) async fn deactivate_script(
    State(state): State<AppState>,
    identity: Identity,
    NamedScript(RegisteredScript { id, .. }): NamedScript,
) -> Result<Json<ScriptView>, Problem> {
    let script = state.registry.deactivate(&identity.actor(), id).await?;
    view(&state, &identity, script).await.map(Json)
}

/// Renders a script with its environment, and with its source if that was sent and is a text of
/// moderate size.
pub(super) async fn view(
    state: &AppState,
    identity: &Identity,
    script: RegisteredScript,
) -> Result<ScriptView, Problem> {
    let environments = Environments::of(state, &script).await?;
    let source = source_of(state, &script).await?;
    Ok(ScriptView::new(script, environments, source, identity.role()))
}
