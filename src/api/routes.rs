//! All routes, and who may use them. There is no way to register one without
//! saying so: the router's own methods are not reachable from handlers' files.
//!
//! | | admin | operator | runner | viewer |
//! |---|---|---|---|---|
//! | see executions | all | all | of its scripts | all |
//! | submit | yes | | of its scripts | |
//! | cancel | yes | yes | of its scripts | |
//! | see scripts, environments, the audit log | yes | yes | | yes |
//! | limits, time, concurrency, enabled | yes | yes | | |
//! | everything else of scripts, tokens | yes | | | |

use axum::Router;
use axum::extract::{Extension, Request};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use bytes::Bytes;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter, UtoipaMethodRouterExt};
use utoipa_axum::routes;

use super::auth::{Identity, authenticate, authorise};
use super::envelope::{envelope, panicked};
use super::state::AppState;
use super::{
    artifacts, audit, docs, environments, events, executions, health, openapi, scripts, submit,
    tokens, trial, versions,
};
use crate::domain::token::Role::{self, Admin, Operator, Runner, Viewer};

/// Everybody with a token.
pub(crate) const ANYBODY: &[Role] = &[Admin, Operator, Runner, Viewer];

/// Those who see all.
pub(crate) const SEEING: &[Role] = &[Admin, Operator, Viewer];

/// Those who invoke.
pub(crate) const INVOKING: &[Role] = &[Admin, Runner];

/// Those who end what runs.
pub(crate) const CANCELLING: &[Role] = &[Admin, Operator, Runner];

/// Those who say how scripts are run.
pub(crate) const OPERATING: &[Role] = &[Admin, Operator];

/// Those who may do everything.
pub(crate) const ADMIN: &[Role] = &[Admin];

/// The document and the page made of it.
#[derive(Clone)]
pub(crate) struct Documents {
    pub(crate) json: Bytes,
    pub(crate) page: Bytes,
}

/// Routes with who may use them.
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

/// The whole API, with pages beside it, which also say what there is not.
pub fn router(state: AppState, pages: Router<AppState>) -> Router {
    let closed = Routes(OpenApiRouter::default());
    let closed = of_scripts(of_executions(of_the_rest(closed))).0;
    let open =
        OpenApiRouter::default().routes(routes!(health::live)).routes(routes!(health::ready));
    let (closed, mut document) = closed.split_for_parts();
    let (open, open_document) = open.split_for_parts();
    document.merge(open_document);
    let document = openapi::finished(document);
    let documents = Documents {
        page: Bytes::from(docs::page(&document)),
        json: Bytes::from(document.to_string()),
    };
    closed
        .layer(from_fn_with_state(state.clone(), authenticate))
        .merge(open)
        .merge(pages)
        .layer(Extension(documents))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(state.clone(), envelope))
        .with_state(state)
}

fn of_scripts(routes: Routes) -> Routes {
    routes
        .allow(ADMIN, routes!(scripts::register))
        .allow(SEEING, routes!(scripts::list))
        .allow(SEEING, routes!(scripts::show))
        .allow(OPERATING, routes!(scripts::change))
        .allow(ADMIN, routes!(scripts::deactivate))
        .allow(ADMIN, routes!(trial::test))
        .allow(SEEING, routes!(versions::list))
        .allow(SEEING, routes!(versions::show))
        .allow(SEEING, routes!(versions::source))
        .allow(ADMIN, routes!(versions::activate))
        .allow(SEEING, routes!(executions::history))
        .allow(SEEING, routes!(executions::show_any))
}

fn of_executions(routes: Routes) -> Routes {
    routes
        .allow(INVOKING, routes!(submit::submit))
        .allow(ANYBODY, routes!(executions::list))
        .allow(ANYBODY, routes!(executions::show))
        .allow(CANCELLING, routes!(executions::cancel))
        .allow(ANYBODY, routes!(events::follow))
        .allow(ANYBODY, routes!(artifacts::list))
        .allow(ANYBODY, routes!(artifacts::download))
}

fn of_the_rest(routes: Routes) -> Routes {
    routes
        .allow(SEEING, routes!(environments::list))
        .allow(SEEING, routes!(environments::show))
        .allow(SEEING, routes!(environments::log))
        .allow(ADMIN, routes!(environments::build))
        .allow(ADMIN, routes!(tokens::create))
        .allow(ADMIN, routes!(tokens::list))
        .allow(ADMIN, routes!(tokens::show))
        .allow(ADMIN, routes!(tokens::revoke))
        .allow(SEEING, routes!(audit::list))
        .allow(SEEING, routes!(health::metrics))
        .allow(ANYBODY, routes!(docs::document))
        .allow(ANYBODY, routes!(docs::show))
}
