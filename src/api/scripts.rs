//! Scripts: registering, changing, seeing them.

use std::convert::Infallible;
use std::num::NonZeroU32;
use std::str::FromStr;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Deserializer};
use utoipa::openapi::{OneOfBuilder, RefOr, Schema};
use utoipa::{IntoParams, PartialSchema, ToSchema};

use super::auth::Identity;
use super::extract::{JsonBytes, WITH_SCRIPT, aside};
use super::page::{Listed, PageQuery};
use super::path::NamedScript;
use super::problem::Problem;
use super::query::Query;
use super::script_view::{Environments, ScriptView, source_of};
use super::sent_script::SentScript;
use super::state::AppState;
use crate::domain::registry::{RegisteredScript, ScriptName};
use crate::domain::runtime::Runtime;
use crate::registry::ScriptInput;
use crate::store::ScriptFilter;

/// A script by its name or its id: no name is a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ScriptRef {
    Id(i64),
    Name(String),
}

impl PartialSchema for ScriptRef {
    fn schema() -> RefOr<Schema> {
        let description = "A script's name, or its id";
        let either = OneOfBuilder::new().item(String::schema()).item(i64::schema());
        Schema::OneOf(either.description(Some(description)).build()).into()
    }
}

impl ToSchema for ScriptRef {}

impl ScriptRef {
    pub(crate) fn of_text(text: String) -> Self {
        match text.parse() {
            Ok(id) if text.bytes().all(|byte| byte.is_ascii_digit()) => Self::Id(id),
            _ => Self::Name(text),
        }
    }

    /// The script, if there is one for this caller.
    pub(crate) async fn find(
        &self,
        state: &AppState,
        identity: &Identity,
    ) -> Result<Option<RegisteredScript>, Problem> {
        let found = match self {
            Self::Id(id) => state.store.script(*id).await?,
            // What can't be a name is the name of nothing.
            Self::Name(name) => match ScriptName::new(name) {
                Ok(name) => state.store.script_named(name.as_str()).await?,
                Err(_) => None,
            },
        };
        Ok(found.filter(|script| identity.knows_script(script.id)))
    }
}

impl FromStr for ScriptRef {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self::of_text(text.to_owned()))
    }
}

impl<'de> Deserialize<'de> for ScriptRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl serde::de::Visitor<'_> for Reader {
            type Value = ScriptRef;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("a script's name or id")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<ScriptRef, E> {
                Ok(ScriptRef::of_text(text.to_owned()))
            }

            fn visit_i64<E: serde::de::Error>(self, id: i64) -> Result<ScriptRef, E> {
                Ok(ScriptRef::Id(id))
            }

            fn visit_u64<E: serde::de::Error>(self, id: u64) -> Result<ScriptRef, E> {
                // One that is beyond all ids is the id of nothing.
                Ok(ScriptRef::Id(i64::try_from(id).unwrap_or(i64::MAX)))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

/// Which scripts are wanted.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ScriptsQuery {
    /// Those with this in their name or description, in any case.
    #[param(max_length = 200)]
    search: Option<String>,
    /// Those of this type: shell, python or binary.
    #[param(value_type = Option<String>, example = "python")]
    r#type: Option<Runtime>,
    /// Those that can be invoked, or those that can't.
    enabled: Option<bool>,
}

/// Longest text that is searched for, in characters.
const MAX_SEARCH_CHARS: usize = 200;

/// Registers a script
///
/// Reads the script from a file on the server (`file_path`, below
/// `GANTRY_SCRIPT_ROOTS`) or from the request (`source`, `source_base64`). Its
/// environment is built in the background. To copy a script, send what `GET` returned
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
    JsonBytes(body, _held): JsonBytes<WITH_SCRIPT>,
) -> Result<Response, Problem> {
    let input = aside(body.len(), move || SentScript::parse(&body)).await?.into_input();
    let script = state.registry.register(&identity.actor(), input).await?;
    state.executions.scripts_changed();
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
    let wanted = ScriptsQuery {
        search: query.text("search")?,
        r#type: query.parsed("type")?,
        enabled: query.parsed("enabled")?,
    };
    let page = query.page()?;
    query.finish()?;
    if wanted.search.as_ref().is_some_and(|it| it.chars().count() > MAX_SEARCH_CHARS) {
        let detail = format!("search has more than {MAX_SEARCH_CHARS} characters");
        return Err(Problem::parameter("search", detail));
    }
    let filter = ScriptFilter {
        search: wanted.search,
        script_type: wanted.r#type,
        is_enabled: wanted.enabled,
        scope: identity.scope().cloned(),
    };
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
/// Operators may change limits, timeout, concurrency, `warm` and `is_enabled`. A client may
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
    JsonBytes(body, _held): JsonBytes<WITH_SCRIPT>,
) -> Result<Json<ScriptView>, Problem> {
    let (id, role) = (script.id, identity.role());
    let sent = aside(body.len(), move || SentScript::parse(&body)).await?;
    let input = match sent.needs_shown(role) {
        true => sent.into_change(&view(&state, &identity, script).await?, role)?,
        false => sent.into_input(),
    };
    let script = state.registry.change(&identity.actor(), id, input).await?;
    // The queue has it for those that wait already.
    let limit = script.run_settings.max_concurrency.map(NonZeroU32::get);
    state.executions.set_max_concurrency(id, limit);
    state.executions.scripts_changed();
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
    state.executions.scripts_changed();
    view(&state, &identity, script).await.map(Json)
}

/// A script with its environment and, where it is a text of moderate size that
/// was sent, its source.
pub(super) async fn view(
    state: &AppState,
    identity: &Identity,
    script: RegisteredScript,
) -> Result<ScriptView, Problem> {
    let environments = Environments::of(state, &script).await?;
    let source = source_of(state, &script).await?;
    Ok(ScriptView::new(script, environments, source, identity.role()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_an_id_and_everything_else_is_a_name() {
        let read = |json: &str| serde_json::from_str::<ScriptRef>(json);
        assert_eq!(read("7").unwrap(), ScriptRef::Id(7));
        assert_eq!(read("\"7\"").unwrap(), ScriptRef::Id(7));
        assert_eq!(read("\"a7\"").unwrap(), ScriptRef::Name("a7".to_owned()));
        assert_eq!(read("\"-7\"").unwrap(), ScriptRef::Name("-7".to_owned()));
        assert_eq!(read("\"\"").unwrap(), ScriptRef::Name(String::new()));
        assert_eq!(read("18446744073709551615").unwrap(), ScriptRef::Id(i64::MAX));
        assert!(read("1.5").is_err() && read("null").is_err() && read("[]").is_err());
    }
}
