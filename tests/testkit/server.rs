//! The real `gantry serve` on a free port, with requests over HTTP as a pipeline sends
//! them. When it goes, it is stopped, and must not have left a container.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use reqwest::{Method, Response, StatusCode};
use rustix::process::Signal;
use serde_json::{Value, json};

use super::engine;
use super::home::{Home, ensure_images};
use super::process::Process;

/// The admin's token of all servers of the tests.
pub(crate) const ADMIN: &str = "an-admin-token-for-the-tests";

/// Longer than any answer takes that does not hang.
const GUARD: Duration = Duration::from_secs(120);

/// Longest time until an environment is ready whose base has to be made first.
const ENVIRONMENT_WITHIN: Duration = Duration::from_secs(900);

/// A server before it is started.
pub(crate) struct ServerBuilder {
    home: Home,
    variables: Vec<(String, String)>,
    within: Vec<String>,
}

/// A server that answers.
pub(crate) struct Server {
    /// None once it has ended.
    process: Option<Process>,
    client: reqwest::Client,
    pub(crate) home: Home,
    variables: Vec<(String, String)>,
    within: Vec<String>,
}

/// A server on SQLite with nothing in it.
pub(crate) fn server() -> ServerBuilder {
    ensure_images();
    ServerBuilder { home: Home::new(), variables: Vec::new(), within: Vec::new() }
}

impl ServerBuilder {
    /// A variable of the server's own environment.
    pub(crate) fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.push((name.to_owned(), value.into()));
        self
    }

    /// A command that becomes the server: its command is put behind it.
    pub(crate) fn within(mut self, command: &[&str]) -> Self {
        self.within = command.iter().map(|&part| part.to_owned()).collect();
        self
    }

    /// A folder that lives as long as the server.
    pub(crate) fn folder(&self) -> &Path {
        self.home.path()
    }

    /// Starts a server that refuses to start; returns its exit code and its stderr.
    pub(crate) fn refused(self) -> (i32, String) {
        let mut command = serve(&self.home.data_dir(), &self.variables, &self.within);
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code().unwrap_or(-1), said)
    }

    pub(crate) fn start(self) -> Server {
        // No request uses TLS, but the client needs a provider for it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().timeout(GUARD).no_proxy().build().unwrap();
        let mut server = Server {
            process: None,
            client,
            home: self.home,
            variables: self.variables,
            within: self.within,
        };
        server.start();
        server
    }
}

impl Server {
    /// Starts it, on the data of the last time.
    pub(crate) fn start(&mut self) {
        let command = serve(&self.home.data_dir(), &self.variables, &self.within);
        let started = Process::start(command, &self.log());
        let process = started.unwrap_or_else(|status| {
            panic!("the server did not start: {status}\n{}", self.read_log())
        });
        self.process = Some(process);
    }

    /// File with its stderr.
    fn log(&self) -> std::path::PathBuf {
        self.home.path().join("serve.log")
    }

    /// Its log so far.
    pub(crate) fn read_log(&self) -> String {
        std::fs::read_to_string(self.log()).unwrap_or_default()
    }

    /// The process's id.
    pub(crate) fn pid(&self) -> u32 {
        self.process().pid()
    }

    fn process(&self) -> &Process {
        self.process.as_ref().expect("the server runs")
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.process().url)
    }

    /// A request as the admin.
    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, self.url(path)).bearer_auth(ADMIN)
    }

    pub(crate) async fn get(&self, path: &str) -> (StatusCode, Value) {
        answer(self.request(Method::GET, path).send().await.unwrap()).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        answer(self.request(Method::POST, path).json(body).send().await.unwrap()).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        answer(self.request(Method::PUT, path).json(body).send().await.unwrap()).await
    }

    pub(crate) async fn delete(&self, path: &str) -> (StatusCode, Value) {
        answer(self.request(Method::DELETE, path).send().await.unwrap()).await
    }

    /// Registers a script by its source, with other fields if there are any.
    #[track_caller]
    pub(crate) fn register(
        &self,
        name: &str,
        script_type: &str,
        source: &str,
        others: Value,
    ) -> impl Future<Output = Value> {
        let mut body = json!({ "name": name, "script_type": script_type, "source": source });
        for (field, value) in others.as_object().cloned().unwrap_or_default() {
            body[field] = value;
        }
        async move {
            let (status, script) = self.post("/api/v1/admin/scripts", &body).await;
            assert_eq!(status, StatusCode::CREATED, "{script:#}");
            script
        }
    }

    /// Submits an execution; returns its id.
    pub(crate) async fn submit(&self, body: &Value) -> String {
        let (status, execution) = self.post("/api/v1/executions", body).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{execution:#}");
        execution["id"].as_str().unwrap().to_owned()
    }

    /// Runs a script to its end.
    pub(crate) async fn run(&self, body: &Value) -> Value {
        let request = self.request(Method::POST, "/api/v1/executions");
        let request = request.header("Prefer", "wait=100").json(body);
        let (status, execution) = answer(request.send().await.unwrap()).await;
        assert_eq!(status, StatusCode::OK, "{execution:#}\n{}", self.read_log());
        execution
    }

    /// Waits for an execution's end.
    pub(crate) async fn ended(&self, id: &str) -> Value {
        let path = format!("/api/v1/executions/{id}");
        let begun = std::time::Instant::now();
        loop {
            let (_, execution) = self.get(&path).await;
            if !["pending", "running"].contains(&execution["status"].as_str().unwrap()) {
                return execution;
            }
            assert!(begun.elapsed() < GUARD, "{execution:#}\n{}", self.read_log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until a script's environment is ready.
    pub(crate) async fn is_prepared(&self, script: &str) {
        let path = format!("/api/v1/admin/scripts/{script}");
        let begun = std::time::Instant::now();
        loop {
            let environment = self.get(&path).await.1["environment"].clone();
            match environment["status"].as_str() {
                Some("ready") => return,
                Some("failed") => panic!("{environment:#}\n{}", self.read_log()),
                _ => assert!(begun.elapsed() < ENVIRONMENT_WITHIN, "{environment:#}"),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits until an execution is in this state.
    pub(crate) async fn reaches(&self, id: &str, status: &str) {
        let path = format!("/api/v1/executions/{id}");
        self.until(&format!("{id} is {status}"), async || {
            self.get(&path).await.1["status"] == status
        })
        .await;
    }

    /// Looks again until it is so.
    pub(crate) async fn until(&self, what: &str, is_so: impl AsyncFn() -> bool) {
        let begun = std::time::Instant::now();
        while !is_so().await {
            assert!(begun.elapsed() < GUARD, "never: {what}\n{}", self.read_log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Number of executions.
    pub(crate) async fn count(&self, path: &str) -> u64 {
        let response = self.request(Method::GET, path).send().await.unwrap();
        response.headers()["x-total-count"].to_str().unwrap().parse().unwrap()
    }

    /// A command of the client, with the admin's token.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gantry"));
        command.args(arguments).env("GANTRY_URL", self.url("")).env("GANTRY_TOKEN", ADMIN);
        command.current_dir(self.home.path());
        command
    }

    /// A token of this role, limited to these scripts.
    pub(crate) async fn token(&self, role: &str, scripts: Option<&[&str]>) -> String {
        let name = format!("{role}-{}", uuid::Uuid::new_v4());
        let body = json!({ "name": name, "role": role, "scripts": scripts });
        let (status, token) = self.post("/api/v1/admin/tokens", &body).await;
        assert_eq!(status, StatusCode::CREATED, "{token:#}");
        token["token"].as_str().unwrap().to_owned()
    }

    /// Stops it as an operator would, and holds it to a clean end.
    pub(crate) fn stop(&mut self) {
        self.ask_to_stop();
        self.exits();
    }

    /// Asks it to stop, as an operator would.
    pub(crate) fn ask_to_stop(&self) {
        self.process().signal(Signal::TERM);
    }

    /// Waits for its end, and holds it to a clean one.
    pub(crate) fn exits(&mut self) {
        let ended = self.process.take().unwrap().wait();
        assert!(ended.is_ok(), "{ended:?}\n{}", self.read_log());
    }

    /// Kills it: nothing of it has time for anything.
    pub(crate) fn kill(&mut self) {
        self.process = None;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(process) = self.process.take() {
            let _ = process.stop();
        }
        let left = engine::containers(self.home.installation());
        engine::remove_containers(self.home.installation());
        engine::remove_images(self.home.installation());
        if !std::thread::panicking() {
            assert!(left.is_empty(), "left: {left:?}\n{}", self.read_log());
        }
    }
}

/// The command of a server, with these variables beside the usual ones, behind
/// another command that becomes it.
pub(crate) fn serve(data_dir: &Path, variables: &[(String, String)], within: &[String]) -> Command {
    let mut words =
        within.iter().map(String::as_str).chain([env!("CARGO_BIN_EXE_gantry"), "serve"]);
    let mut command = Command::new(words.next().unwrap());
    command
        .args(words)
        .env("GANTRY_LISTEN", "127.0.0.1:0")
        .env("GANTRY_DATA_DIR", data_dir)
        .env("GANTRY_ADMIN_TOKEN", ADMIN)
        .env("GANTRY_NODE", "test")
        // Unused sandboxes are only in the way of other tests.
        .env("GANTRY_POOL_SIZE", "0")
        .env_remove("GANTRY_DATABASE_URL")
        .envs(variables.iter().map(|(name, value)| (name, value)));
    command
}

/// An answer's status and JSON; null when it has none.
pub(crate) async fn answer(response: Response) -> (StatusCode, Value) {
    let status = response.status();
    let bytes = response.bytes().await.unwrap();
    (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
}
