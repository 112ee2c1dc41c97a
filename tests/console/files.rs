//! Files in the console: dropped on a form and sent with their progress, and pictures, films and
//! sequences as executions leave them.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::signed_in;
use crate::testkit::browser::Browser;
use crate::testkit::server::{ADMIN, server};

/// Leaves five numbered pictures in a folder, a sound and a text.
const FRAMES: &str = "#!/bin/bash
mkdir -p out/frames
for number in 1 2 3 4 5; do
  base64 -d > out/frames/f_000$number.png <<< \
    iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==
done
{ base64 -d <<< UklGRkQDAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YSADAAA=
  head -c 800 /dev/zero | tr '\\0' '\\200'; } > out/tone.wav
echo text > out/notes.txt
";

/// Waits until a script of the page answers so.
async fn answers(browser: &Browser, script: &str, expected: Value) {
    let begun = Instant::now();
    loop {
        let answer = browser.run(&format!("return {script}")).await;
        if answer == expected {
            return;
        }
        let seen = begun.elapsed();
        assert!(seen < Duration::from_secs(30), "{script}: {answer}\n{}", browser.text().await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_sequence_is_one_entry_that_is_scrubbed_and_sound_is_played() {
    let server = server().start();
    server.register("frames", "shell", FRAMES, json!({})).await;
    let execution = server.run(&json!({"script": "frames"})).await;
    let id = execution["id"].as_str().unwrap();
    for (name, width, is_dark) in [("wide", 1440, false), ("narrow", 420, true)] {
        let browser = signed_in(&server, ADMIN, width).await;
        browser.darken(is_dark).await;
        browser.goto(&server.url(&format!("/executions/{id}"))).await;
        browser.find("details.folder > summary").await;
        browser.reads("frames/").await;
        browser.click("details.folder > summary").await;
        browser.find(".frames .scrubber input[type=range]").await;
        browser.reads("f_0001.png … f_0005.png").await;
        browser.reads("1 of 5").await;
        // By keys, as it is for everybody.
        let slider = browser.find(".scrubber input").await;
        slider.send_keys("\u{e014}\u{e014}").await.unwrap();
        browser.reads("3 of 5").await;
        let index = "document.querySelector('.frames img').src.split('/').pop()";
        let third = browser.run(&format!("return {index}")).await;
        browser.run("document.querySelector('.scrubber button').click()").await;
        answers(&browser, &format!("{index} !== {third}"), json!(true)).await;
        browser.run("document.querySelector('.scrubber button').click()").await;
        answers(&browser, "document.querySelector('.frames img').naturalWidth", json!(1)).await;
        answers(&browser, "document.querySelector('audio').readyState > 0", json!(true)).await;
        let playing = "const it = document.querySelector('audio'); it.muted = true;
             it.play(); return null";
        browser.run(playing).await;
        answers(&browser, "document.querySelector('audio').ended", json!(true)).await;
        if let Some(found) = browser.serious_findings().await {
            assert!(found.is_empty(), "{name}: {found:#?}");
        }
        browser.picture(&format!("files-{name}")).await;
    }
}

#[tokio::test]
async fn a_dropped_file_goes_ahead_of_its_form() {
    let server = server().start();
    let schema = json!({"type": "object", "required": ["clip"], "properties": {
        "clip": {"type": "string", "format": "gantry-file", "title": "Clip"}}});
    server.register("probe", "shell", "cat", json!({"argument_schema": schema})).await;
    let browser = signed_in(&server, ADMIN, 1440).await;
    browser.goto(&server.url("/scripts/probe/run")).await;
    browser.find(".upload .drop input[type=file]").await;
    let dropping = "const files = new DataTransfer();
         files.items.add(new File(['moving pictures'], 'plate.mov'));
         const zone = document.querySelector('.upload .drop');
         zone.dispatchEvent(new DragEvent('drop',
             { dataTransfer: files, bubbles: true, cancelable: true }));
         return null";
    browser.run(dropping).await;
    browser.reads("15 B, sent").await;
    answers(&browser, "document.querySelector(\"[name='f/clip']\").value", json!("plate.mov"))
        .await;
    let named = "document.querySelector('[name=files]').value.split('=')[0]";
    answers(&browser, named, json!("plate.mov")).await;
    if let Some(found) = browser.serious_findings().await {
        assert!(found.is_empty(), "{found:#?}");
    }
    browser.picture("upload").await;
    browser.click("main form button.primary").await;
    browser.find("#head .badge.completed").await;
    browser.reads("/work/in/plate.mov").await;
    browser.goto(&server.url("/storage")).await;
    browser.reads("plate.mov").await;
    browser.picture("storage").await;
}
