//! The console: what admins, operators and creators see in a browser.
//!
//! Pages are rendered here, completely, and can be read without JavaScript; modules in
//! `assets/` bring logs to life and keep times current. A request passes [`door`]
//! (whose session it is, and whether another site sent it), the same roles as the
//! API's, and then a page, which calls the same functions as the API's handlers do.
//! What goes wrong is a [`Problem`](crate::api::problem::Problem) that [`failure`]
//! turns into a page; forms come in through [`form`], which lets none pass without the
//! session's own token.
//!
//! What scripts print, name and return is hostile. It becomes text, and never markup:
//! everything is escaped by [`maud`], `PreEscaped` stands nowhere in here, no page
//! runs anything but the files in `assets/` or loads anything but these and the pictures
//! that a script left, and no style or script stands in a page. Pages decide nothing that outlives the request, and know no SQL.

mod assets;
mod attempts;
mod door;
mod failure;
mod form;
mod layout;
mod pages;
mod pieces;
mod routes;

pub use routes::pages;
