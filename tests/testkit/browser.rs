//! A real browser: Debian's Chromium without a screen, in a container of the test's own,
//! driven over WebDriver (W3C). It ends with the test, however that ends: its stdin does.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Longer than any page takes that does not hang.
const WITHIN: Duration = Duration::from_secs(60);

/// Characters of the hash in the tag, as in `tests/browser/prepare`.
const TAG_HASH: usize = 20;

/// Text that the driver prints when it is up; the port follows.
const UP: &str = "started successfully on port ";

/// A browser.
pub(crate) struct Browser {
    pub(crate) client: Client,
    container: Option<Child>,
    _stdin: ChildStdin,
}

impl Browser {
    /// One with a window of this width, in pixels.
    pub(crate) async fn start(width: u32) -> Self {
        let mut container = run();
        let stdin = container.stdin.take().unwrap();
        let mut lines = BufReader::new(container.stdout.take().unwrap()).lines();
        let port = lines.find_map(|line| {
            let line = line.unwrap_or_default();
            let (_, port) = line.split_once(UP)?;
            Some(port.trim_end_matches('.').to_owned())
        });
        // The rest of its output has no use, and must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        let port = port.expect("the driver ended before it was up");
        let options = json!({
            "args": [
                "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                "--hide-scrollbars", "--force-color-profile=srgb",
                format!("--window-size={width},900"),
            ],
        });
        let capabilities = json!({ "goog:chromeOptions": options });
        let client = ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new())
            .capabilities(capabilities.as_object().unwrap().clone())
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .unwrap();
        let browser = Self { client, container: Some(container), _stdin: stdin };
        browser.resize(width, 900).await;
        browser
    }

    /// Gives the page this much room, whatever the smallest window is.
    pub(crate) async fn resize(&self, width: u32, height: u32) {
        let parameters = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false,
        });
        self.devtools("Emulation.setDeviceMetricsOverride", parameters).await;
    }

    /// Lets the page be looked at in the dark, or by day.
    pub(crate) async fn darken(&self, is_dark: bool) {
        let value = if is_dark { "dark" } else { "light" };
        let features = json!([{ "name": "prefers-color-scheme", "value": value }]);
        self.devtools("Emulation.setEmulatedMedia", json!({ "features": features })).await;
    }

    /// A command of Chromium's own protocol.
    pub(crate) async fn devtools(&self, command: &str, parameters: Value) -> Value {
        let body = json!({ "cmd": command, "params": parameters });
        self.client.issue_cmd(Devtools(body)).await.unwrap()
    }

    pub(crate) async fn goto(&self, address: &str) {
        self.client.goto(address).await.unwrap();
    }

    /// The first element, as soon as it is there.
    pub(crate) async fn find(&self, selector: &str) -> fantoccini::elements::Element {
        let found = self.client.wait().at_most(WITHIN).for_element(Locator::Css(selector)).await;
        match found {
            Ok(element) => element,
            Err(error) => panic!("no {selector}: {error}\n{}", self.text().await),
        }
    }

    pub(crate) async fn click(&self, selector: &str) {
        self.find(selector).await.click().await.unwrap();
    }

    /// Puts a text into a field, in place of what is there.
    pub(crate) async fn fill(&self, selector: &str, text: &str) {
        let element = self.find(selector).await;
        element.clear().await.unwrap();
        element.send_keys(text).await.unwrap();
    }

    pub(crate) async fn choose(&self, selector: &str, value: &str) {
        self.find(selector).await.select_by_value(value).await.unwrap();
    }

    /// True if there is such an element right now.
    pub(crate) async fn has(&self, selector: &str) -> bool {
        !self.client.find_all(Locator::Css(selector)).await.unwrap().is_empty()
    }

    /// All that is to be read on the page.
    pub(crate) async fn text(&self) -> String {
        let text = self.run("return document.body.innerText").await;
        text.as_str().unwrap_or_default().to_owned()
    }

    /// Runs a script in the page and returns its result.
    pub(crate) async fn run(&self, script: &str) -> Value {
        self.client.execute(script, Vec::new()).await.unwrap()
    }

    /// Waits until a text is to be read.
    pub(crate) async fn reads(&self, text: &str) {
        let begun = std::time::Instant::now();
        loop {
            let seen = self.text().await;
            if seen.contains(text) {
                return;
            }
            assert!(begun.elapsed() < WITHIN, "never: {text:?} on\n{seen}");
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    /// Serious and critical violations by axe-core; `None` when axe-core is not here.
    pub(crate) async fn serious_findings(&self) -> Option<Vec<String>> {
        let axe = std::fs::read_to_string(target().join("axe.min.js")).ok()?;
        self.run(&format!("{axe}; return null")).await;
        let script = "const done = arguments[arguments.length - 1];
             axe.run(document, { resultTypes: ['violations'] }).then(done, (e) => done(String(e)))";
        let result = self.client.execute_async(script, Vec::new()).await.unwrap();
        let violations = result["violations"].as_array().unwrap_or_else(|| panic!("{result}"));
        let is_serious =
            |it: &&Value| ["serious", "critical"].contains(&it["impact"].as_str().unwrap_or(""));
        let told = |it: &Value| {
            let nodes = it["nodes"].as_array().map(Vec::as_slice).unwrap_or_default();
            let first: Vec<_> = nodes.iter().take(3).map(|it| it["html"].to_string()).collect();
            format!("{} ({}): {}", it["id"], nodes.len(), first.join(" "))
        };
        Some(violations.iter().filter(is_serious).map(told).collect())
    }

    /// Keeps a picture of the page in `GANTRY_SCREENSHOTS`, if it is set.
    pub(crate) async fn picture(&self, name: &str) {
        let Ok(folder) = std::env::var("GANTRY_SCREENSHOTS") else { return };
        std::fs::create_dir_all(&folder).unwrap();
        let picture = self.client.screenshot().await.unwrap();
        std::fs::write(Path::new(&folder).join(format!("{name}.png")), picture).unwrap();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if let Some(mut container) = self.container.take() {
            // The client of the engine passes it on to PID 1's stdin, which ends.
            let _ = Command::new("docker").args(["kill", &name(&container)]).output();
            let _ = container.wait();
        }
    }
}

#[derive(Debug)]
struct Devtools(Value);

impl WebDriverCompatibleCommand for Devtools {
    fn endpoint(
        &self,
        base: &url::Url,
        session: Option<&str>,
    ) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/goog/cdp/execute", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(self.0.to_string()))
    }
}

fn name(container: &Child) -> String {
    format!("gantry-test-browser-{}", container.id())
}

/// Starts the container. It is on the machine's own network, because the server under
/// test listens on loopback.
fn run() -> Child {
    let tag = ensure_image();
    // The name has the process's id, which is known only once it runs.
    let script = format!(
        "exec docker run --rm --interactive --name gantry-test-browser-$$ --network host \
         --memory 3g --pids-limit 512 --shm-size 256m --cap-drop ALL \
         --security-opt no-new-privileges --tmpfs /tmp:size=1g,mode=1777 {tag}"
    );
    Command::new("sh")
        .args(["-c", &script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Builds the image unless it is there; one at a time in this target folder.
fn ensure_image() -> String {
    let folder = option_env!("CARGO_TARGET_TMPDIR").map_or_else(std::env::temp_dir, Into::into);
    let hash = hash();
    let lock = std::fs::File::create(folder.join(format!("gantry-test-browser-{hash}.lock")));
    let lock = lock.unwrap();
    lock.lock().unwrap();
    let output = Command::new(folder_of_browser().join("prepare")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    format!("gantry/test-browser:{hash}")
}

fn folder_of_browser() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser"))
}

fn target() -> PathBuf {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("target");
    std::env::var_os("CARGO_TARGET_DIR").map_or(default, PathBuf::from)
}

/// Hash in the image's tag, as in `tests/browser/prepare`.
fn hash() -> String {
    let read = |name| std::fs::read(folder_of_browser().join(name)).unwrap();
    let hash = Sha256::digest([read("Dockerfile"), read("entry")].concat());
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    hex.chars().take(TAG_HASH).collect()
}
