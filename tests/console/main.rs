//! The console in a real browser, on the real engine: what an admin, an operator and a
//! creator do there, and what a hostile script can't.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "part of tests")]

mod accessible;
mod files;
mod hostile;
mod long_log;
mod sessions;
#[path = "../testkit/mod.rs"]
mod testkit;
mod workday;

use testkit::browser::Browser;
use testkit::server::Server;

/// A browser with a window of this width that is signed in with a token.
async fn signed_in(server: &Server, token: &str, width: u32) -> Browser {
    let browser = Browser::start(width).await;
    sign_in(&browser, server, token).await;
    browser
}

async fn sign_in(browser: &Browser, server: &Server, token: &str) {
    browser.goto(&server.url("/sign-in")).await;
    browser.fill("#token", token).await;
    browser.click("form.sign-in button").await;
    browser.find("nav[aria-label=Main]").await;
}
