//! Layout of every page: head, navigation, and content security policy.

use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};
use uuid::Uuid;

use super::assets::Asset;
use super::form::{ONCE_FIELD, TOKEN_FIELD};
use super::session::CurrentUser;
use crate::access::AccessError;
use crate::domain::token::Role;
use crate::http::roles::{ADMIN, SEEING};

/// Content security policy: pages load, show and send only this server's own content.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; \
     media-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Section of a page in the navigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    /// Current activity.
    Overview,
    /// Scripts.
    Scripts,
    /// Executions, and jobs.
    Executions,
    /// Environments.
    Environments,
    /// Room that files take.
    Storage,
    /// Tokens.
    Tokens,
    /// Audit log.
    Audit,
    /// Health of the server's dependencies.
    System,
    /// Outside of the navigation.
    None,
}

impl Section {
    const ALL: [Self; 8] = [
        Self::Overview,
        Self::Scripts,
        Self::Executions,
        Self::Environments,
        Self::Storage,
        Self::Tokens,
        Self::Audit,
        Self::System,
    ];

    /// Address, title and allowed roles; `None` means all.
    fn entry(self) -> (&'static str, &'static str, Option<&'static [Role]>) {
        match self {
            Self::Overview | Self::None => ("/", "Overview", None),
            Self::Scripts => ("/scripts", "Scripts", Some(SEEING)),
            Self::Executions => ("/executions", "Executions", None),
            Self::Environments => ("/environments", "Environments", Some(SEEING)),
            Self::Storage => ("/storage", "Storage", Some(SEEING)),
            Self::Tokens => ("/tokens", "Tokens", Some(ADMIN)),
            Self::Audit => ("/audit", "Audit", Some(SEEING)),
            Self::System => ("/system", "System", Some(SEEING)),
        }
    }
}

/// A page of the console.
pub(super) fn page(user: &CurrentUser, section: Section, title: &str, content: Markup) -> Response {
    page_with(user, section, title, &[], content)
}

/// Page of the console with its own modules.
pub(super) fn page_with(
    user: &CurrentUser,
    section: Section,
    title: &str,
    modules: &[Asset],
    content: Markup,
) -> Response {
    let body = html! {
        a.skip href="#main" { "Skip to content" }
        header.bar {
            a.brand href="/" { (mark()) span { "Gantry" } }
            nav aria-label="Main" {
                @for entry in Section::ALL {
                    @let (address, title, roles) = entry.entry();
                    @if roles.is_none_or(|roles| user.is(roles)) {
                        a href=(address) aria-current=[(entry == section).then_some("page")] {
                            (title)
                        }
                    }
                }
            }
            form.who method="post" action="/sign-out" {
                (token(user))
                span { (user.identity.name()) " " span.muted { (user.identity.role()) } }
                button.quiet type="submit" { "Sign out" }
            }
        }
        main id="main" tabindex="-1" { (content) }
    };
    document(title, modules, body)
}

/// Page for a client without a session.
pub(super) fn bare(title: &str, content: Markup) -> Response {
    document(title, &[], html! { main.bare id="main" { (content) } })
}

/// Sign-in page, with the reason of a failed attempt.
pub(super) fn sign_in(next: &str, error: Option<&AccessError>) -> Response {
    let content = html! {
        form.sign-in method="post" action="/sign-in" {
            div.brand { (mark()) span { "Gantry" } }
            h1 { "Sign in" }
            @if let Some(error) = error {
                p.alert role="alert" {
                    (error)
                    @if let Some(hint) = error.hint() { ": " (hint) }
                }
            }
            input type="hidden" name="next" value=(next);
            label for="token" { "Token" }
            input #token type="password" name="token" required autofocus
                autocomplete="current-password" spellcheck="false" aria-describedby="token-help";
            p.muted #token-help {
                "The first admin's token was printed when the server first started. An admin \
                 makes others on the page Tokens, or with " code { "gantry token create" } "."
            }
            button.primary type="submit" { "Sign in" }
        }
    };
    let mut response = bare("Sign in", content);
    if error.is_some() {
        *response.status_mut() = StatusCode::UNAUTHORIZED;
        response.extensions_mut().insert(crate::http::problem::IsAnswer);
    }
    response
}

/// Hidden field with the session's token.
pub(super) fn token(user: &CurrentUser) -> Markup {
    html! { input type="hidden" name=(TOKEN_FIELD) value=(user.form_token); }
}

/// Hidden field with the idempotency key of a form that runs something.
pub(super) fn once() -> Markup {
    html! { input type="hidden" name=(ONCE_FIELD) value=(Uuid::new_v4()); }
}

/// Form with one button for one action.
pub(super) fn action(user: &CurrentUser, address: &str, class: &str, content: Markup) -> Markup {
    html! {
        form.action method="post" action=(address) {
            (token(user))
            button type="submit" class=(class) { (content) }
        }
    }
}

fn document(title: &str, modules: &[Asset], body: Markup) -> Response {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · Gantry" }
                link rel="icon" href=(Asset::Icon.address()) type="image/svg+xml";
                link rel="stylesheet" href=(Asset::Style.address());
                script type="module" src=(Asset::Console.address()) {}
                @for module in modules { script type="module" src=(module.address()) {} }
            }
            body { (body) }
        }
    };
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (CACHE_CONTROL, "no-store"),
    ];
    (headers, page.into_string()).into_response()
}

fn mark() -> Markup {
    html! {
        svg.mark viewBox="0 0 32 32" aria-hidden="true" {
            path d="M7 24V9h18M7 14h5M21 9v6" {}
            rect x="16.5" y="16" width="9" height="8" rx="1.5" {}
        }
    }
}
