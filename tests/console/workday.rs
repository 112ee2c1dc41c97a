//! A day's work: a script is registered by upload, its environment is watched, it is
//! run from its form, its log followed, its picture seen; then it is disabled.

use serde_json::json;

use crate::signed_in;
use crate::testkit::browser::Browser;
use crate::testkit::server::{ADMIN, server};

/// Prints in both streams, leaves a picture, and says what it was told.
const PAINT: &str = r#"import base64, json, os, sys, time
import six
told = json.load(sys.stdin)
for step in range(1, 4):
    print(f"\x1b[32mstep {step}\x1b[0m of 3 for {told['name']}", file=sys.stderr)
    time.sleep(0.3)
os.makedirs("out", exist_ok=True)
with open("out/dot.png", "wb") as picture:
    picture.write(base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="))
print(json.dumps({"told": told, "six": six.__version__}))
"#;

const SCHEMA: &str = r#"{
  "type": "object", "required": ["name"], "additionalProperties": false,
  "properties": {
    "name": {"type": "string", "title": "Whose", "description": "Who is painted"},
    "size": {"type": "integer", "minimum": 1, "maximum": 9},
    "style": {"enum": ["oil", "ink"]},
    "notes": {"type": "string", "contentEncoding": "base64"}
  }
}"#;

/// Chooses a file as if it had been picked from a disk.
async fn upload(browser: &Browser, selector: &str, name: &str, content: &str) {
    browser.find(selector).await;
    let script = format!(
        "const files = new DataTransfer();
         files.items.add(new File([{}], {}));
         document.querySelector({}).files = files.files",
        json!(content),
        json!(name),
        json!(selector)
    );
    browser.run(&script).await;
}

async fn put(browser: &Browser, selector: &str, text: &str) {
    browser.find(selector).await;
    let script = format!("document.querySelector({}).value = {}", json!(selector), json!(text));
    browser.run(&script).await;
}

async fn press(browser: &Browser, words: &str) {
    let script = format!(
        "const all = [...document.querySelectorAll('main button, main a')];
         const it = all.find((it) => it.textContent.trim() === {words} && it.offsetParent);
         if (it) it.click();
         return Boolean(it)",
        words = json!(words)
    );
    let begun = std::time::Instant::now();
    while browser.run(&script).await != json!(true) {
        assert!(begun.elapsed().as_secs() < 30, "no {words}: {}", browser.text().await);
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_script_from_its_upload_to_its_end() {
    let server = server().start();
    let browser = signed_in(&server, ADMIN, 1440).await;
    browser.reads("There is no script yet").await;
    press(&browser, "Register a script").await;

    browser.fill("[name=name]", "paint").await;
    browser.choose("[name=script_type]", "python").await;
    browser.click("[name=source_from][value=file]").await;
    upload(&browser, "[name=upload]", "paint.py", PAINT).await;
    put(&browser, "[name=requirements]", "six==1.16.0\n").await;
    put(&browser, "[name=argument_schema]", "{ not json").await;
    browser.click("main form button.primary").await;
    // What is wrong is said beside what was typed, and nothing of it is lost.
    browser.find("[name=argument_schema][aria-invalid=true]").await;
    assert_eq!(browser.run("return document.querySelector('[name=name]').value").await, "paint");
    put(&browser, "[name=argument_schema]", SCHEMA).await;
    upload(&browser, "[name=upload]", "paint.py", PAINT).await;
    browser.click("main form button.primary").await;
    browser.reads("paint").await;

    browser.find("main a[href^='/environments/']").await;
    browser.click("main a[href^='/environments/']").await;
    browser.find("#head .badge.completed").await;
    browser.reads("six==1.16.0").await;

    browser.goto(&server.url("/scripts/paint/run")).await;
    browser.fill("[name='f/name']", "Ada").await;
    browser.fill("[name='f/size']", "7").await;
    browser.find("[name='f/style']").await.select_by_label("ink").await.unwrap();
    upload(&browser, "[name='f/notes']", "notes.txt", "hello").await;
    browser.run("document.querySelectorAll('details').forEach((it) => { it.open = true; })").await;
    browser.fill("[name=job_id]", "portrait 1").await;
    browser.click("main form button.primary").await;

    browser.reads("step 1 of 3 for Ada").await;
    browser.reads("step 3 of 3 for Ada").await;
    browser.find("#head .badge.completed").await;
    browser.find("#log .fg-2").await;
    browser.reads("1.16.0").await;
    browser.reads("aGVsbG8=").await;
    let shown = "const it = document.querySelector('main img'); return it && it.naturalWidth";
    browser.find("main img").await;
    browser.run("document.querySelector('main img').scrollIntoView()").await;
    let begun = std::time::Instant::now();
    while browser.run(shown).await != json!(1) {
        assert!(begun.elapsed().as_secs() < 30, "the picture is not shown");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    browser.picture("execution").await;

    browser.goto(&server.url("/scripts/paint")).await;
    press(&browser, "Disable").await;
    browser.reads("disabled").await;
    browser.goto(&server.url("/scripts/paint/run")).await;
    browser.fill("[name='f/name']", "Ada").await;
    browser.click("main form button.primary").await;
    browser.reads("is disabled").await;

    browser.goto(&server.url("/")).await;
    browser.fill("input[name=job_id]", "portrait 1").await;
    browser.click("form[role=search] button").await;
    browser.reads("Job portrait 1").await;
    browser.reads("1 execution").await;
    browser.click("#list a[href^='/executions/']").await;
    browser.reads("step 3 of 3 for Ada").await;
    press(&browser, "Run again").await;
    browser.reads("is disabled").await;
}

#[tokio::test]
async fn a_refused_input_is_said_beside_its_field() {
    let server = server().start();
    let others =
        json!({"argument_schema": serde_json::from_str::<serde_json::Value>(SCHEMA).unwrap()});
    server.register("strict", "shell", "cat", others).await;
    let browser = signed_in(&server, ADMIN, 375).await;
    browser.goto(&server.url("/scripts/strict/run")).await;
    browser.run("document.querySelector('main form').noValidate = true").await;
    browser.fill("[name='f/name']", "Ada").await;
    browser.fill("[name='f/size']", "70").await;
    browser.click("main form button.primary").await;
    browser.find("[name='f/size'][aria-invalid=true]").await;
    let kept = browser.run("return document.querySelector(\"[name='f/name']\").value").await;
    assert_eq!(kept, "Ada");
    assert_eq!(server.count("/api/v1/executions?limit=1").await, 0);
    let wide = browser.run("return document.documentElement.scrollWidth").await;
    assert!(wide.as_u64().unwrap() <= 375, "{wide}");
}

#[tokio::test]
async fn what_is_typed_is_checked_as_one_types() {
    let server = server().start();
    server.register("taken", "shell", "cat", json!({})).await;
    let browser = signed_in(&server, ADMIN, 1440).await;
    browser.goto(&server.url("/register")).await;
    let invalid = "return [...document.querySelectorAll('[aria-invalid]')].map((it) => it.id)";

    browser.fill("[name=name]", "taken").await;
    browser.reads("there is a script named taken already").await;
    // What nobody has come to yet is not complained of.
    assert_eq!(browser.run(invalid).await, json!(["name"]));
    browser.fill("[name=scratch_mib]", "300").await;
    browser.find("#scratch_mib[aria-invalid=true]").await;
    browser.fill("[name=argument_schema]", "{\"type\": \"nothing\"}").await;
    browser.find("#argument_schema[aria-invalid=true]").await;
    browser.picture("typed").await;
    assert!(browser.serious_findings().await.is_none_or(|it| it.is_empty()));

    browser.fill("[name=argument_schema]", "{\"type\": \"object\"}").await;
    browser.fill("[name=scratch_mib]", "128").await;
    browser.fill("[name=name]", "free").await;
    let begun = std::time::Instant::now();
    while browser.run(invalid).await != json!([]) {
        assert!(begun.elapsed().as_secs() < 30, "{}", browser.text().await);
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    browser.fill("[name=source]", "cat").await;
    browser.click("main form button.primary").await;
    browser.find("h1").await;
    browser.reads("free").await;
    assert_eq!(server.count("/api/v1/admin/scripts").await, 2);
}

#[tokio::test]
async fn a_running_script_is_followed_and_cancelled() {
    let server = server().start();
    let source = "for i in {1..2000}; do echo line $i; sleep 0.02; done";
    server.register("long", "shell", source, json!({})).await;
    let id = server.submit(&json!({"script": "long"})).await;
    let browser = signed_in(&server, ADMIN, 1440).await;
    browser.goto(&server.url(&format!("/executions/{id}"))).await;
    browser.reads("line 3").await;
    browser.reads("line 40").await;
    press(&browser, "Cancel").await;
    browser.find("#head .badge.cancelled").await;
    assert_eq!(server.ended(&id).await["status"], "cancelled");
}

#[tokio::test]
async fn pages_are_read_without_javascript() {
    let server = server().start();
    server.register("plain", "shell", "echo seen; echo heard >&2", json!({})).await;
    let execution = server.run(&json!({"script": "plain", "input": {"a": [1, 2]}})).await;
    let browser = signed_in(&server, ADMIN, 1440).await;
    browser.devtools("Emulation.setScriptExecutionDisabled", json!({"value": true})).await;
    for (path, words) in [
        ("/".to_owned(), "Last 24 hours"),
        ("/scripts".to_owned(), "plain"),
        (format!("/executions/{}", execution["id"].as_str().unwrap()), "heard"),
    ] {
        browser.goto(&server.url(&path)).await;
        let main = browser.find("main").await.text().await.unwrap();
        assert!(main.contains(words), "{path}: {main}");
    }
}
