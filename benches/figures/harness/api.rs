//! What is asked of a server, over one connection that is kept.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, RequestBuilder};
use serde::Deserialize;
use serde_json::{Value, json};

use super::workload::INPUT;
use crate::Failure;

/// What is looked at of an execution.
#[derive(Deserialize)]
pub(crate) struct Execution {
    pub(crate) id: uuid::Uuid,
    pub(crate) status: String,
    pub(crate) error_kind: Option<String>,
    pub(crate) error_message: Option<String>,
    pub(crate) output_data: Option<Value>,
    pub(crate) queue_ms: Option<f64>,
    pub(crate) overhead_ms: Option<f64>,
    pub(crate) duration_ms: Option<f64>,
    pub(crate) sandbox: Option<Sandbox>,
    pub(crate) exit_code: Option<i32>,
    pub(crate) stdout_bytes: u64,
    pub(crate) stdout_truncated: bool,
    pub(crate) started_at: Option<DateTime<Utc>>,
    /// Not in lists.
    #[serde(default)]
    pub(crate) artifacts: Vec<Artifact>,
}

#[derive(Deserialize)]
pub(crate) struct Sandbox {
    pub(crate) warm: bool,
    /// The container's name.
    pub(crate) container_id: String,
}

/// A file that a script left.
#[derive(Deserialize)]
pub(crate) struct Artifact {
    pub(crate) name: String,
    pub(crate) bytes: u64,
}

impl Execution {
    /// Whether nothing of it will change any more.
    pub(crate) fn has_ended(&self) -> bool {
        !matches!(self.status.as_str(), "pending" | "running")
    }

    /// How it is, in a line.
    pub(crate) fn end(&self) -> String {
        let Self { id, status, error_kind, error_message, exit_code, .. } = self;
        let [kind, message] = [error_kind, error_message].map(|it| it.as_deref().unwrap_or("-"));
        format!("{id} is {status} ({kind}, {exit_code:?}): {message}")
    }
}

/// How long an answer may wait for an end, as the header says it: longer than anything
/// here takes.
const WAIT: &str = "wait=600";

pub(crate) struct Api {
    http: reqwest::Client,
    pub(crate) url: String,
    pub(crate) token: String,
}

impl Api {
    pub(crate) fn new(url: &str, token: &str) -> Result<Self, Failure> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {token}"))?);
        let http = reqwest::Client::builder()
            .default_headers(headers)
            .no_proxy()
            .tcp_nodelay(true)
            .tls_certs_only([])
            .build()?;
        Ok(Self { http, url: url.trim_end_matches('/').to_owned(), token: token.to_owned() })
    }

    /// A request to a path, to be filled in and sent.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url))
    }

    /// The whole answer to a question, and how long it took.
    pub(crate) async fn get(&self, path: &str) -> Result<(Vec<u8>, Duration), Failure> {
        let begun = Instant::now();
        let answer = self.http.get(format!("{}{path}", self.url)).send().await?;
        let status = answer.status();
        let body = answer.bytes().await?;
        let took = begun.elapsed();
        if status.is_success() {
            return Ok((body.to_vec(), took));
        }
        Err(format!("GET {path}: {status} {}", String::from_utf8_lossy(&body)).into())
    }

    /// How many there are of a list, as it says itself.
    pub(crate) async fn total(&self, path: &str) -> Result<u64, Failure> {
        let answer = self.http.get(format!("{}{path}", self.url)).send().await?;
        let total = answer.headers().get("x-total-count").ok_or("no X-Total-Count")?;
        Ok(total.to_str()?.parse()?)
    }

    /// Registers a shell script that runs once at a time.
    pub(crate) async fn register(&self, name: &str, source: &str) -> Result<(), Failure> {
        self.register_as(json!({
            "name": name, "description": "", "script_type": "shell", "source": source,
            "max_concurrency": 1,
        }))
        .await
    }

    /// Registers a script.
    pub(crate) async fn register_as(&self, body: Value) -> Result<(), Failure> {
        self.post("/api/v1/admin/scripts", &body, None).await.map(|_| ())
    }

    /// What comes of following something, as it comes.
    pub(crate) async fn follow(&self, path: &str) -> Result<reqwest::Response, Failure> {
        Ok(self.http.get(format!("{}{path}", self.url)).send().await?.error_for_status()?)
    }

    /// Submits an execution and does not wait for it.
    pub(crate) async fn submit(&self, script: &str) -> Result<Execution, Failure> {
        let body = json!({ "script": script, "input": { "a": 1 } });
        Ok(serde_json::from_slice(&self.post("/api/v1/executions", &body, None).await?)?)
    }

    /// Executes a script that prints its input, and answers with its end and how
    /// long the answer took.
    pub(crate) async fn execute(&self, script: &str) -> Result<(Execution, Duration), Failure> {
        let (execution, took) = self.run(&json!({ "script": script, "input": { "a": 1 } })).await?;
        let printed: Value = serde_json::from_str(INPUT)?;
        if execution.status == "completed" && execution.output_data == Some(printed) {
            return Ok((execution, took));
        }
        Err(format!("{script}: {}", execution.end()).into())
    }

    /// Executes what a request says, however it ends, and answers with its end and how
    /// long the answer took. What has not ended after [`WAIT`] is answered as it is.
    pub(crate) async fn run(&self, body: &Value) -> Result<(Execution, Duration), Failure> {
        let begun = Instant::now();
        let answer = self.post("/api/v1/executions", body, Some(WAIT)).await?;
        let took = begun.elapsed();
        Ok((serde_json::from_slice(&answer)?, took))
    }

    /// Changes a script.
    pub(crate) async fn change(&self, script: &str, body: &Value) -> Result<(), Failure> {
        let path = format!("/api/v1/admin/scripts/{script}");
        self.send(self.http.put(format!("{}{path}", self.url)), &path, body).await.map(|_| ())
    }

    /// Cancels an execution and waits for its end.
    pub(crate) async fn cancel(&self, id: uuid::Uuid) -> Result<(), Failure> {
        self.post(&format!("/api/v1/executions/{id}/cancel"), &json!({}), None).await?;
        self.until(id, "cancelled").await
    }

    /// The execution as it is now.
    pub(crate) async fn execution(&self, id: uuid::Uuid) -> Result<Execution, Failure> {
        let (body, _) = self.get(&format!("/api/v1/executions/{id}")).await?;
        Ok(serde_json::from_slice(&body)?)
    }

    /// Waits until an execution is in a state.
    pub(crate) async fn until(&self, id: uuid::Uuid, status: &str) -> Result<(), Failure> {
        loop {
            let execution = self.execution(id).await?;
            if execution.status == status {
                return Ok(());
            }
            if execution.has_ended() {
                return Err(format!("not {status}: {}", execution.end()).into());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn post(
        &self,
        path: &str,
        body: &Value,
        prefer: Option<&'static str>,
    ) -> Result<Vec<u8>, Failure> {
        let mut request = self.http.post(format!("{}{path}", self.url));
        if let Some(prefer) = prefer {
            request = request.header("prefer", HeaderValue::from_static(prefer));
        }
        self.send(request, path, body).await
    }

    async fn send(
        &self,
        request: RequestBuilder,
        path: &str,
        body: &Value,
    ) -> Result<Vec<u8>, Failure> {
        let request = request.header(CONTENT_TYPE, "application/json").body(body.to_string());
        let answer = request.send().await?;
        let status = answer.status();
        let body = answer.bytes().await?;
        if status.is_success() {
            return Ok(body.to_vec());
        }
        Err(format!("{path}: {status} {}", String::from_utf8_lossy(&body)).into())
    }
}
