//! The console: web pages for admins, operators and creators.
//!
//! Pages are rendered completely here and work without JavaScript; modules in `assets/` update logs
//! live and keep times current. A request passes [`session`] (session and origin), the same roles as
//! in the API, and then a page. The console stands beside the API, which it does not know; what
//! they share is in [`crate::http`]. Failures are [`Problem`](crate::http::problem::Problem)s that
//! [`failure`] renders as pages. Forms are parsed by [`form`], which refuses those without the
//! session's own token.
//!
//! Output, names and results of scripts are hostile. They become text, never markup: [`maud`]
//! escapes everything, and `PreEscaped` is not used here. Pages run only the files in `assets/`,
//! and load only these and the pictures of artifacts; no page contains styles or scripts. Pages
//! decide nothing that outlives the request, and know no SQL.

mod address;
mod assets;
mod components;
mod failure;
mod form;
mod layout;
mod pages;
mod routes;
mod session;
mod sign_in;
mod upload_form;

pub use routes::pages;
