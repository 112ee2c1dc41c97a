//! The OpenAPI document and an HTML page rendered from it at startup. The page loads and runs
//! nothing.

mod page;

use axum::extract::Extension;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::Value;

/// The document and its page.
#[derive(Clone)]
pub(super) struct Documents {
    json: Bytes,
    page: Bytes,
}

impl Documents {
    /// Renders both once for all requests.
    pub(super) fn new(document: &Value) -> Self {
        Self { json: Bytes::from(document.to_string()), page: Bytes::from(page::page(document)) }
    }
}

/// Returns the OpenAPI document
#[utoipa::path(
    get, path = "/api/openapi.json", tag = "operation",
    responses((status = 200, description = "This document, OpenAPI 3.1", body = serde_json::Value,
        example = json!({"openapi": "3.1.0"})))
)]
pub(super) async fn get_openapi(Extension(documents): Extension<Documents>) -> Response {
    ([(CONTENT_TYPE, "application/json")], documents.json).into_response()
}

/// Returns the API reference as a page
#[utoipa::path(
    get, path = "/api/docs", tag = "operation",
    responses((status = 200, description = "The API reference, for people", body = String,
        content_type = "text/html", example = json!("<!doctype html>…")))
)]
pub(super) async fn get_docs(Extension(documents): Extension<Documents>) -> Response {
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8".to_owned()),
        (CONTENT_SECURITY_POLICY, page::policy()),
    ];
    (headers, documents.page).into_response()
}
