//! What is asked of a server, over one connection that is kept.

use std::time::{Duration, Instant};

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use serde::Deserialize;
use serde_json::{Value, json};

use super::workload::INPUT;
use crate::Failure;

/// What is looked at of an execution.
#[derive(Deserialize)]
pub(crate) struct Execution {
    pub(crate) id: uuid::Uuid,
    pub(crate) status: String,
    pub(crate) output_data: Option<Value>,
    pub(crate) queue_ms: Option<f64>,
    pub(crate) overhead_ms: Option<f64>,
    pub(crate) duration_ms: Option<f64>,
    pub(crate) sandbox: Option<Sandbox>,
}

#[derive(Deserialize)]
pub(crate) struct Sandbox {
    pub(crate) warm: bool,
}

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
        let body = json!({ "script": script, "input": { "a": 1 } });
        let begun = Instant::now();
        let answer = self.post("/api/v1/executions", &body, Some("wait=60")).await?;
        let took = begun.elapsed();
        let execution: Execution = serde_json::from_slice(&answer)?;
        let printed: Value = serde_json::from_str(INPUT)?;
        if execution.status == "completed" && execution.output_data == Some(printed) {
            return Ok((execution, took));
        }
        Err(format!("POST /api/v1/executions: {}", String::from_utf8_lossy(&answer)).into())
    }

    /// Waits until an execution is in a state.
    pub(crate) async fn until(&self, id: uuid::Uuid, status: &str) -> Result<(), Failure> {
        loop {
            let (body, _) = self.get(&format!("/api/v1/executions/{id}")).await?;
            let execution: Execution = serde_json::from_slice(&body)?;
            if execution.status == status {
                return Ok(());
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
        let request = request.header(CONTENT_TYPE, "application/json").body(body.to_string());
        let answer = request.send().await?;
        let status = answer.status();
        let body = answer.bytes().await?;
        if status.is_success() {
            return Ok(body.to_vec());
        }
        Err(format!("POST {path}: {status} {}", String::from_utf8_lossy(&body)).into())
    }
}
