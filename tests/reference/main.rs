//! Holds the documentation to the program. What readers look things up in is written
//! by these tests and compared with the files: `INSTA_UPDATE=always cargo test --test
//! reference` writes all of it anew, and the diff shows what users will see.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "part of tests")]

mod configuration;
mod help;
mod links;
mod metrics;
mod openapi;
mod page;
mod scripts;
mod variables;

#[path = "../server/api/server.rs"]
#[allow(dead_code, reason = "the server of the API's tests, of which a part is used")]
mod server;

/// Compares a text with `snapshots/NAME.snap`.
fn assert_snapshot(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}
