//! Sessions: two tabs of one browser, a token that is revoked, and one that sees less.

use std::time::Duration;

use serde_json::json;

use crate::signed_in;
use crate::testkit::server::{ADMIN, server};

#[tokio::test]
async fn two_tabs_share_a_session_and_lose_it_together() {
    let server = server().start();
    server.register("shared", "shell", "cat", json!({})).await;
    let browser = signed_in(&server, ADMIN, 1440).await;
    let first = browser.client.window().await.unwrap();
    let second = browser.client.new_window(true).await.unwrap().handle;
    browser.client.switch_to_window(second).await.unwrap();
    browser.goto(&server.url("/scripts/shared")).await;
    browser.reads("shared").await;
    // Both change the same script, one after the other, each with its own form.
    browser.client.switch_to_window(first.clone()).await.unwrap();
    browser.goto(&server.url("/scripts")).await;
    browser.click("button[aria-label='Disable shared']").await;
    browser.find("button[aria-label='Enable shared']").await;
    browser.click("form.who button").await;
    browser.find("form.sign-in").await;
    let tabs = browser.client.windows().await.unwrap();
    let other = tabs.into_iter().find(|tab| *tab != first).unwrap();
    browser.client.switch_to_window(other).await.unwrap();
    browser.client.refresh().await.unwrap();
    browser.find("form.sign-in").await;
    let next = browser.run("return document.querySelector('[name=next]').value").await;
    assert_eq!(next, "/scripts/shared");
}

#[tokio::test]
async fn a_session_ends_with_its_token_and_a_form_that_was_open_does_nothing() {
    let server = server().start();
    server.register("kept", "shell", "cat", json!({})).await;
    let named = json!({"name": "operator", "role": "operator"});
    let (_, token) = server.post("/api/v1/admin/tokens", &named).await;
    let browser = signed_in(&server, token["token"].as_str().unwrap(), 1440).await;
    browser.goto(&server.url("/scripts")).await;
    browser.find("button[aria-label='Disable kept']").await;
    server.delete(&format!("/api/v1/admin/tokens/{}", token["id"])).await;
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    browser.click("button[aria-label='Disable kept']").await;
    browser.find("form.sign-in").await;
    let (_, script) = server.get("/api/v1/admin/scripts/kept").await;
    assert_eq!(script["is_enabled"], true);
}

#[tokio::test]
async fn a_viewer_sees_no_buttons_that_it_may_not_press() {
    let server = server().start();
    server.register("seen", "shell", "cat", json!({})).await;
    let execution = server.run(&json!({"script": "seen"})).await;
    let token = server.token("viewer", None).await;
    let browser = signed_in(&server, &token, 1440).await;
    let id = execution["id"].as_str().unwrap();
    for page in ["/", "/scripts", "/scripts/seen", "/scripts/seen/versions", "/environments"] {
        browser.goto(&server.url(page)).await;
        browser.find("main").await;
        let forms = "return document.querySelectorAll('main form[method=post]').length";
        assert_eq!(browser.run(forms).await, json!(0), "{page}");
    }
    browser.goto(&server.url(&format!("/executions/{id}"))).await;
    browser.find("#log").await;
    assert!(!browser.has("main form[method=post]").await);
    assert!(!browser.has("nav a[href='/tokens']").await);
    browser.goto(&server.url("/tokens")).await;
    browser.reads("may not do this").await;
}
