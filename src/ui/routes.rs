//! All pages and their allowed roles, which are the same as the API's.

use axum::Router;
use axum::extract::{DefaultBodyLimit, Extension, Request};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::routing::{MethodRouter, get, post};

use super::pages::{
    audit, editor, environments, execution, executions, files, job, overview, run, script, scripts,
    storage, system, tokens, versions,
};
use super::{assets, failure, session, sign_in};
use crate::domain::token::Role;
use crate::http::artifacts::send_artifact;
use crate::http::auth::{Identity, authorise};
use crate::http::environments::send_environment_log;
use crate::http::events::stream_events;
use crate::http::roles::{ADMIN, ANYBODY, CANCELLING, INVOKING, OPERATING, SEEING};
use crate::http::scripts::{send_bundle, send_source};
use crate::http::state::AppState;

/// Pages with their allowed roles.
struct Pages(Router<AppState>);

impl Pages {
    fn allow(
        self,
        allowed: &'static [Role],
        address: &str,
        handler: MethodRouter<AppState>,
    ) -> Self {
        let guard = move |identity: Identity, request: Request, next: Next| {
            authorise(allowed, identity, request, next)
        };
        Self(self.0.route(address, handler.route_layer(from_fn(guard))))
    }
}

/// Builds the router of the console.
pub fn pages(state: AppState) -> Router<AppState> {
    let closed = of_scripts(of_executions(of_the_rest(Pages(Router::new())))).0;
    let closed = closed
        .layer(Extension(overview::Day::default()))
        .layer(from_fn(failure::as_pages))
        .layer(from_fn_with_state(state, session::enter))
        .layer(from_fn(failure::as_pages));
    let open = Router::new()
        .route("/sign-in", get(sign_in::ask).post(sign_in::sign_in))
        .layer(from_fn(failure::as_pages))
        .route("/assets/{version}/{name}", get(assets::send));
    // Forms have their own bounds.
    closed.merge(open).layer(DefaultBodyLimit::disable()).fallback(failure::missing)
}

fn of_scripts(pages: Pages) -> Pages {
    pages
        .allow(SEEING, "/scripts", get(scripts::list))
        .allow(ADMIN, "/register", get(editor::new).post(editor::register))
        .allow(ADMIN, "/register/check", post(editor::check_new))
        .allow(SEEING, "/scripts/{id}", get(script::show))
        .allow(OPERATING, "/scripts/{id}/edit", get(editor::edit).post(editor::change))
        .allow(OPERATING, "/scripts/{id}/edit/check", post(editor::check_change))
        .allow(OPERATING, "/scripts/{id}/enable", post(scripts::enable))
        .allow(OPERATING, "/scripts/{id}/disable", post(scripts::disable))
        .allow(INVOKING, "/scripts/{id}/run", get(run::show).post(run::submit))
        .allow(SEEING, "/scripts/{id}/versions", get(versions::list))
        .allow(SEEING, "/scripts/{id}/versions/{version}", get(versions::show))
        .allow(ADMIN, "/scripts/{id}/versions/{version}/activate", post(versions::activate))
        .allow(SEEING, "/scripts/{id}/versions/{version}/source", get(send_source))
        .allow(SEEING, "/scripts/{id}/versions/{version}/bundle", get(send_bundle))
}

fn of_executions(pages: Pages) -> Pages {
    pages
        .allow(ANYBODY, "/executions", get(executions::list))
        .allow(ANYBODY, "/executions/{id}", get(execution::show))
        .allow(ANYBODY, "/executions/{id}/events", get(stream_events))
        .allow(ANYBODY, "/executions/{id}/log", get(execution::download_log))
        .allow(ANYBODY, "/executions/{id}/input", get(execution::download_input))
        .allow(ANYBODY, "/executions/{id}/output", get(execution::download_output))
        .allow(ANYBODY, "/executions/{id}/outputs.zip", get(execution::download_outputs))
        .allow(ANYBODY, "/executions/{id}/artifacts/{*name}", get(send_artifact))
        .allow(CANCELLING, "/executions/{id}/cancel", post(execution::cancel))
        .allow(INVOKING, "/executions/{id}/run-again", post(execution::run_again))
        .allow(INVOKING, "/files", post(files::upload))
        .allow(ANYBODY, "/files/{digest}", get(files::send))
        .allow(ANYBODY, "/jobs", get(job::show))
}

fn of_the_rest(pages: Pages) -> Pages {
    pages
        .allow(ANYBODY, "/", get(overview::show))
        .allow(SEEING, "/environments", get(environments::list))
        .allow(SEEING, "/environments/{key}", get(environments::show))
        .allow(SEEING, "/environments/{key}/log", get(send_environment_log))
        .allow(ADMIN, "/environments/{key}/build", post(environments::build))
        .allow(SEEING, "/storage", get(storage::show))
        .allow(ADMIN, "/tokens", get(tokens::list).post(tokens::create))
        .allow(ADMIN, "/tokens/{id}/revoke", post(tokens::revoke))
        .allow(SEEING, "/audit", get(audit::list))
        .allow(SEEING, "/system", get(system::show))
        .allow(SEEING, "/system/examine", post(system::examine))
        .allow(ANYBODY, "/sign-out", post(sign_in::sign_out))
}
