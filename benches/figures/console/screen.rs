//! How soon a real browser shows something: the first of a page, and a line of a script
//! that runs. The browser, the server and the script have the same clock.

use std::time::Duration;

use serde_json::{Value, json};

use super::browser::Browser;
use crate::harness::goal::Goal;
use crate::harness::report::Report;
use crate::harness::series::Series;
use crate::harness::server::{Database, Server};
use crate::{Failure, setting};

/// What the first of a page may take, in milliseconds.
const PAINT_MS: f64 = 300.0;

/// What a line may take from the script to the screen, in milliseconds.
const LINE_MS: f64 = 50.0;

/// Lines that are looked at.
const LINES: usize = 100;

/// Says what time it is, in nanoseconds, every now and then.
const CLOCK: &str = "#!/bin/bash
sleep 2
for step in {1..100}; do printf '%s\\n' \"$(date +%s%N)\"; sleep 0.05; done
sleep 1
";

/// Some ten megabytes of lines.
const LONG: &str = "#!/bin/bash
seq -f 'line %.0f of a log that goes on for long, and says the same in every line' 120000
";

/// What a frame may take while a long log is scrolled, in milliseconds.
const FRAME_MS: f64 = 50.0;

/// Scrolls through a log in two hundred steps, and answers with how long each frame took.
const SCROLL: &str = "
const done = arguments[arguments.length - 1];
const box = document.querySelector('#log .log');
const [times, steps] = [[], 200];
let [step, last] = [0, performance.now()];
const turn = (now) => {
  times.push(now - last);
  last = now;
  box.scrollTop = (box.scrollHeight - box.clientHeight) * (1 - step / steps);
  if (++step > steps) done(times.slice(2));
  else requestAnimationFrame(turn);
};
requestAnimationFrame(turn);
";

/// Notes when a line with a time is in the document, at the frame that shows it.
const WATCH: &str = "
window.seen = [];
const note = (text) => {
  const found = /(\\d{19})/.exec(text);
  if (found) requestAnimationFrame(() => {
    window.seen.push([found[1], performance.timeOrigin + performance.now()]);
  });
};
new MutationObserver((changes) => {
  for (const change of changes) {
    for (const node of change.addedNodes) note(node.textContent);
    if (change.type === 'characterData') note(change.target.data);
  }
}).observe(document.getElementById('log'),
           { childList: true, subtree: true, characterData: true });
return true;
";

pub(super) async fn measure(report: &mut Report) -> Result<Vec<Goal>, Failure> {
    let folder = tempfile::tempdir()?;
    let settings = [("GANTRY_POOL_SIZE", "2")];
    let server = Server::start(&Database::Sqlite, folder.path(), &settings).await?;
    let measured = on(&server).await;
    server.stop().await?;
    let (paint, line, frame) = measured?;
    let (paint_ms, line_ms, frame_ms) = (paint.median(), line.median(), frame.p95());
    report.plain_times("In Chromium without a screen", [paint, line, frame]);
    Ok(vec![
        Goal::at_most_ms("a frame while a log of 10 MB is scrolled, p95", frame_ms, FRAME_MS),
        Goal::at_most_ms("first contentful paint of the overview, median", paint_ms, PAINT_MS),
        Goal::at_most_ms(
            "from a script's line to the frame that shows it, median",
            line_ms,
            LINE_MS,
        ),
    ])
}

async fn on(server: &Server) -> Result<(Series, Series, Series), Failure> {
    let browser = Browser::start(1440).await;
    sign_in(&browser, server).await;
    let url = &server.api.url;
    let mut paint = Series::new("first contentful paint of the overview");
    for _ in 0..setting("GANTRY_BENCH_PAGES", 100) {
        browser.goto(&format!("{url}/")).await;
        paint.add(first_paint(&browser).await?);
    }
    let line = lines(&browser, server).await?;
    Ok((paint, line, frames(&browser, server).await?))
}

pub(super) async fn sign_in(browser: &Browser, server: &Server) {
    browser.goto(&format!("{}/sign-in", server.api.url)).await;
    browser.fill("#token", &server.api.token).await;
    browser.click("form.sign-in button").await;
    browser.find("nav[aria-label=Main]").await;
}

async fn first_paint(browser: &Browser) -> Result<Duration, Failure> {
    let script = "const [it] = performance.getEntriesByName('first-contentful-paint');
         return it ? it.startTime : null";
    for _ in 0..200 {
        if let Some(time) = browser.run(script).await.as_f64() {
            return Ok(Duration::from_secs_f64(time / 1e3));
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Err("the page was never painted".into())
}

/// Runs a script that prints ten megabytes, and answers with the address of its page.
pub(super) async fn long_log(server: &Server) -> Result<String, Failure> {
    let body = json!({
        "name": "long", "description": "", "script_type": "shell", "source": LONG,
    });
    server.api.register_as(body).await?;
    let (execution, _) = server.api.run(&json!({ "script": "long", "input": {} })).await?;
    Ok(format!("/executions/{}", execution.id))
}

async fn frames(browser: &Browser, server: &Server) -> Result<Series, Failure> {
    browser.goto(&format!("{}{}", server.api.url, long_log(server).await?)).await;
    browser.reads("120\u{202f}000 lines").await;
    let times = browser.client.execute_async(SCROLL, Vec::new()).await?;
    let mut frame = Series::new("a frame while a log of 10 MB is scrolled");
    for time in times.as_array().into_iter().flatten().filter_map(Value::as_f64) {
        frame.add(Duration::from_secs_f64(time / 1e3));
    }
    Ok(frame)
}

async fn lines(browser: &Browser, server: &Server) -> Result<Series, Failure> {
    let body = json!({
        "name": "clock", "description": "", "script_type": "shell", "source": CLOCK,
    });
    server.api.register_as(body).await?;
    let execution = server.api.submit("clock").await?;
    browser.goto(&format!("{}/executions/{}", server.api.url, execution.id)).await;
    browser.find("#log").await;
    browser.run(WATCH).await;
    let mut seen = Value::Null;
    for _ in 0..300 {
        seen = browser.run("return window.seen").await;
        if seen.as_array().is_some_and(|it| it.len() >= LINES) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let mut line = Series::new("from a script's line to the frame that shows it");
    let mut known = std::collections::HashSet::new();
    for pair in seen.as_array().into_iter().flatten() {
        let printed = pair[0].as_str().and_then(|it| it.parse::<u64>().ok()).ok_or("no time")?;
        let shown = pair[1].as_f64().ok_or("no time")?;
        if known.insert(printed) {
            #[expect(clippy::cast_precision_loss, reason = "to the microsecond")]
            let printed = printed as f64 / 1e6;
            line.add(Duration::from_secs_f64(((shown - printed) / 1e3).max(0.0)));
        }
    }
    if line.count() < LINES / 2 {
        return Err(format!("only {} of {LINES} lines were seen", line.count()).into());
    }
    Ok(line)
}
