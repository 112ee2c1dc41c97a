//! A log of ten megabytes: all of it is there, and only what is near to what is seen
//! has elements.

use std::time::Duration;

use serde_json::json;

use crate::signed_in;
use crate::testkit::browser::Browser;
use crate::testkit::server::{ADMIN, server};

/// Some ten megabytes.
const LINES: u64 = 120_000;

async fn becomes(browser: &Browser, script: &str, wanted: impl Fn(&serde_json::Value) -> bool) {
    let begun = std::time::Instant::now();
    loop {
        let seen = browser.run(script).await;
        if wanted(&seen) {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{script}: {seen}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn ten_megabytes_are_looked_through() {
    let server = server().start();
    let source = format!(
        "seq -f 'line %.0f of a log that goes on for long, and says the same in every line' {LINES}"
    );
    server.register("long", "shell", &source, json!({})).await;
    let execution = server.run(&json!({"script": "long"})).await;
    assert!(
        execution["stdout_bytes"].as_u64().unwrap() > 9_000_000,
        "{}",
        execution["stdout_bytes"]
    );
    let id = execution["id"].as_str().unwrap();
    let browser = signed_in(&server, ADMIN, 1440).await;
    browser.goto(&server.url(&format!("/executions/{id}"))).await;
    browser.reads(&format!("line {LINES} of a log")).await;
    browser.reads("120\u{202f}000 lines").await;
    let elements = "return document.querySelectorAll('#log .line').length";
    becomes(&browser, elements, |it| (1..2_000).contains(&it.as_u64().unwrap())).await;

    browser.fill("#log input[type=search]", ":65000\u{e007}").await;
    let seen = "const box = document.querySelector('#log .log').getBoundingClientRect();
         return [...document.querySelectorAll('#log .line')].filter((it) => {
           const at = it.getBoundingClientRect();
           return at.bottom > box.top && at.top < box.bottom;
         }).map((it) => it.textContent).join('\\n')";
    becomes(&browser, seen, |it| it.as_str().unwrap().contains("line 65000 of")).await;
    becomes(&browser, elements, |it| it.as_u64().unwrap() < 2_000).await;

    browser.fill("#log input[type=search]", "line 4711 of").await;
    browser.reads("1 line found").await;
    browser.fill("#log input[type=search]", "line 4711 of\u{e007}").await;
    becomes(&browser, seen, |it| it.as_str().unwrap().contains("line 4711 of")).await;
    // By hand: from the top to the bottom.
    let scroll = "const box = document.querySelector('#log .log'); box.scrollTop = 0;";
    browser.run(scroll).await;
    becomes(&browser, seen, |it| it.as_str().unwrap().contains("line 1 of")).await;
}
