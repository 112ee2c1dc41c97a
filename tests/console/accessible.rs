//! Every page by axe-core's rules, by day and in the dark, wide and narrow. With
//! `GANTRY_SCREENSHOTS` set to a folder, a picture of each is kept there.

use serde_json::json;

use crate::signed_in;
use crate::testkit::server::{ADMIN, Server, server};

/// Scripts and executions as a studio has them, some of which fail.
async fn furnish(server: &Server) -> Vec<String> {
    let schema = json!({
        "type": "object", "required": ["city"], "title": "A question about the weather",
        "properties": {
            "city": {"type": "string", "description": "Where", "examples": ["Turin"]},
            "days": {"type": "integer", "minimum": 1, "maximum": 14, "default": 3},
            "units": {"enum": ["metric", "imperial"]},
            "detailed": {"type": "boolean"},
            "stations": {"type": "array", "items": {"type": "string"}},
            "window": {"type": "object", "properties": {
                "from": {"type": "string", "format": "date"}, "to": {"type": "string", "format": "date"}}},
        },
    });
    let others = json!({
        "description": "Says how the weather will be.\nAsk the pipeline team before you change it.",
        "argument_schema": schema,
    });
    let source = "#!/bin/bash
echo -e \"\\e[1mlooking\\e[0m at \\e[36mthe sky\\e[0m\" >&2
for hour in {1..30}; do echo \"hour $hour: \\e[33mcloudy\\e[0m\"; done >&2
mkdir -p out; printf x > out/sky.txt
jq '{city, sunny: true, hours: [range(24)], wind: {speed: 4.5, from: \"west\"}}'
";
    server.register("weather", "shell", source, others).await;
    server.register("flaky", "shell", "echo 'no space left' >&2; exit 3", json!({})).await;
    server.register("slow", "shell", "sleep 2; echo '{}'", json!({"timeout_secs": 1})).await;
    for (name, requirements) in [("posters", "six==1.16.0"), ("broken", "six==0.0.1")] {
        let others = json!({"requirements": requirements});
        server.register(name, "python", "import six; print(six.__version__)", others).await;
    }
    let mut ids = Vec::new();
    for city in ["Turin", "Oslo", "Quito"] {
        let body = json!({"script": "weather", "input": {"city": city}, "job_id": "film-3"});
        ids.push(server.run(&body).await["id"].as_str().unwrap().to_owned());
    }
    for script in ["flaky", "slow"] {
        let body = json!({"script": script, "job_id": "film-3"});
        ids.push(server.run(&body).await["id"].as_str().unwrap().to_owned());
    }
    for script in ["posters", "broken"] {
        server.run(&json!({"script": script})).await;
    }
    // A second version.
    server.put("/api/v1/admin/scripts/flaky", &json!({"source": "echo better >&2; exit 4"})).await;
    ids
}

/// The address of the page of a script's environment.
async fn environment_of(server: &Server, script: &str) -> String {
    let (_, script) = server.get(&format!("/api/v1/admin/scripts/{script}")).await;
    format!("/environments/{}", script["environment"]["key"].as_str().unwrap())
}

async fn pages(server: &Server, ids: &[String]) -> Vec<(&'static str, String)> {
    vec![
        ("overview", "/".to_owned()),
        ("scripts", "/scripts".to_owned()),
        ("script", "/scripts/weather".to_owned()),
        ("versions", "/scripts/flaky/versions".to_owned()),
        ("version", "/scripts/flaky/versions/2".to_owned()),
        ("run", "/scripts/weather/run".to_owned()),
        ("register", "/register".to_owned()),
        ("edit", "/scripts/weather/edit".to_owned()),
        ("executions", "/executions".to_owned()),
        ("execution", format!("/executions/{}", ids[0])),
        ("execution-failed", format!("/executions/{}", ids[3])),
        ("job", "/jobs?job_id=film-3".to_owned()),
        ("environments", "/environments".to_owned()),
        ("environment", environment_of(server, "posters").await),
        ("environment-failed", environment_of(server, "broken").await),
        ("script-broken", "/scripts/broken".to_owned()),
        ("storage", "/storage".to_owned()),
        ("tokens", "/tokens".to_owned()),
        ("audit", "/audit".to_owned()),
        ("system", "/system".to_owned()),
        ("not-found", "/scripts/nothing".to_owned()),
    ]
}

#[tokio::test]
async fn no_page_keeps_anybody_out() {
    let server = server().start();
    let ids = furnish(&server).await;
    let browser = signed_in(&server, ADMIN, 1440).await;
    let mut found = Vec::new();
    for (name, page) in pages(&server, &ids).await {
        for (width, is_dark) in [(1440, false), (375, false), (375, true), (1440, true)] {
            browser.resize(width, 900).await;
            browser.darken(is_dark).await;
            browser.goto(&server.url(&page)).await;
            browser.find("main").await;
            let light = if is_dark { "dark" } else { "light" };
            browser.picture(&format!("{name}-{light}-{width}")).await;
            let wide = browser.run("return document.documentElement.scrollWidth").await;
            if wide.as_u64().unwrap() > u64::from(width) {
                found.push(format!("{name} is {wide} wide at {width}"));
            }
            match browser.serious_findings().await {
                Some(findings) => {
                    found.extend(
                        findings.into_iter().map(|it| format!("{name} {light} {width}: {it}")),
                    );
                }
                None => eprintln!("axe-core is not here: its rules were not applied"),
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[tokio::test]
async fn every_page_is_reached_by_keyboard() {
    let server = server().start();
    server.register("weather", "shell", "cat", json!({})).await;
    let browser = signed_in(&server, ADMIN, 1440).await;
    browser.goto(&server.url("/scripts")).await;
    browser.find("main").await;
    let body = browser.find("body").await;
    // The first stop is the way past the navigation; "/" goes to the search.
    body.send_keys("\u{e004}").await.unwrap();
    let focused = "return document.activeElement.className || document.activeElement.id";
    assert_eq!(browser.run(focused).await, "skip");
    body.send_keys("/").await.unwrap();
    assert_eq!(browser.run(focused).await, "search");
    let unreachable = "return [...document.querySelectorAll('main a, main button, main input')]
        .filter((it) => it.tabIndex < 0).length";
    assert_eq!(browser.run(unreachable).await, 0);
}

#[tokio::test]
async fn a_console_without_anything_says_what_to_do_next() {
    let server = server().start();
    let browser = signed_in(&server, ADMIN, 1440).await;
    for (page, words) in [
        ("/", "There is no script yet"),
        ("/scripts", "There is no script yet"),
        ("/executions", "Nothing has been run yet"),
        ("/environments", "No script needs more"),
        ("/jobs?job_id=x", "Nothing was run for this job"),
    ] {
        browser.goto(&server.url(page)).await;
        browser.reads(words).await;
        browser.picture(&format!("empty-{}", words.len())).await;
    }
}
