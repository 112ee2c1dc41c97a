//! All routes and their allowed roles. A route can't be registered without roles: the router's own
//! methods are not reachable from the handlers' files.
//!
//! | | admin | operator | runner | viewer |
//! |---|---|---|---|---|
//! | see executions | all | all | of its scripts | all |
//! | submit | yes | | of its scripts | |
//! | cancel | yes | yes | of its scripts | |
//! | send files, let go of them | yes | | yes | |
//! | see files | all | all | its own | all |
//! | see scripts, environments, the audit log | yes | yes | | yes |
//! | limits, time, concurrency, enabled | yes | yes | | |
//! | everything else of scripts, tokens | yes | | | |

use axum::Router;
use axum::extract::{Extension, Request};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter, UtoipaMethodRouterExt};
use utoipa_axum::routes;

use super::{
    artifacts, audit, docs, environments, events, executions, files, health, jobs, openapi,
    scripts, storage, submit, test_run, tokens, trees, uploads, versions,
};
use crate::domain::token::Role;
use crate::http::auth::{Identity, authenticate, authorise};
use crate::http::roles::{ADMIN, ANYBODY, CANCELLING, INVOKING, OPERATING, SEEING};
use crate::http::state::AppState;

/// Routes with their allowed roles.
struct Routes(OpenApiRouter<AppState>);

impl Routes {
    /// Registers a route.
    fn allow(self, allowed: &'static [Role], routes: UtoipaMethodRouter<AppState>) -> Self {
        let (schemas, mut paths, methods) = routes;
        openapi::note_roles(&mut paths, allowed);
        let guard = move |identity: Identity, request: Request, next: Next| {
            authorise(allowed, identity, request, next)
        };
        let guarded = (schemas, paths, methods).map(|it| it.route_layer(from_fn(guard)));
        Self(self.0.routes(guarded))
    }
}

/// Builds the router of the API.
pub fn router(state: AppState) -> Router<AppState> {
    let closed = Routes(OpenApiRouter::default());
    let closed = of_scripts(of_executions(of_files(of_the_rest(closed)))).0;
    let open =
        OpenApiRouter::default().routes(routes!(health::healthz)).routes(routes!(health::readyz));
    let (closed, mut document) = closed.split_for_parts();
    let (open, open_document) = open.split_for_parts();
    document.merge(open_document);
    let document = openapi::finished(document);
    closed
        .layer(from_fn_with_state(state, authenticate))
        .merge(open)
        .layer(Extension(docs::Documents::new(&document)))
}

fn of_scripts(routes: Routes) -> Routes {
    routes
        .allow(ADMIN, routes!(scripts::register_script))
        .allow(SEEING, routes!(scripts::list_scripts))
        .allow(SEEING, routes!(scripts::get_script))
        .allow(OPERATING, routes!(scripts::update_script))
        .allow(ADMIN, routes!(scripts::deactivate_script))
        .allow(ADMIN, routes!(test_run::test_script))
        .allow(SEEING, routes!(versions::list_script_versions))
        .allow(SEEING, routes!(versions::get_script_version))
        .allow(SEEING, routes!(versions::download_script_source))
        .allow(SEEING, routes!(versions::list_script_files))
        .allow(SEEING, routes!(versions::download_script_bundle))
        .allow(ADMIN, routes!(versions::activate_script_version))
        .allow(SEEING, routes!(executions::list_script_executions))
        .allow(SEEING, routes!(executions::get_script_execution))
}

fn of_executions(routes: Routes) -> Routes {
    routes
        .allow(INVOKING, routes!(submit::submit_execution))
        .allow(ANYBODY, routes!(executions::list_executions))
        .allow(ANYBODY, routes!(executions::get_execution))
        .allow(CANCELLING, routes!(executions::cancel_execution))
        .allow(ANYBODY, routes!(events::stream_events))
        .allow(ANYBODY, routes!(artifacts::list_artifacts))
        .allow(ANYBODY, routes!(artifacts::list_outputs))
        .allow(ANYBODY, routes!(artifacts::download_artifact))
}

fn of_files(routes: Routes) -> Routes {
    routes
        .allow(INVOKING, routes!(files::upload_file))
        .allow(ANYBODY, routes!(files::list_files))
        .allow(INVOKING, routes!(files::list_missing_files))
        .allow(INVOKING, routes!(files::put_file))
        .allow(ANYBODY, routes!(files::download_file))
        .allow(INVOKING, routes!(files::release_file))
        .allow(ANYBODY, routes!(uploads::describe_uploads))
        .allow(INVOKING, routes!(uploads::create_upload))
        .allow(INVOKING, routes!(uploads::get_upload))
        .allow(INVOKING, routes!(uploads::append_upload))
        .allow(INVOKING, routes!(uploads::remove_upload))
        .allow(INVOKING, routes!(trees::create_tree))
        .allow(ANYBODY, routes!(trees::get_tree))
        .allow(ANYBODY, routes!(trees::get_tree_file))
        .allow(ANYBODY, routes!(storage::get_storage))
        .allow(CANCELLING, routes!(jobs::release_job_files))
}

fn of_the_rest(routes: Routes) -> Routes {
    routes
        .allow(SEEING, routes!(environments::list_environments))
        .allow(SEEING, routes!(environments::get_environment))
        .allow(SEEING, routes!(environments::get_environment_log))
        .allow(ADMIN, routes!(environments::build_environment))
        .allow(ADMIN, routes!(tokens::create_token))
        .allow(ADMIN, routes!(tokens::list_tokens))
        .allow(ADMIN, routes!(tokens::get_token))
        .allow(ADMIN, routes!(tokens::revoke_token))
        .allow(SEEING, routes!(audit::list_audit_entries))
        .allow(SEEING, routes!(health::metrics))
        .allow(ANYBODY, routes!(docs::get_openapi))
        .allow(ANYBODY, routes!(docs::get_docs))
}
