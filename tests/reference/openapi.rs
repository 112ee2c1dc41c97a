//! The OpenAPI document, as a server answers with it.

use serde_json::Value;

use crate::server::Server;

#[tokio::test]
async fn what_the_api_promises() {
    let server = Server::start().await;
    let answer = server.get("/api/openapi.json").send().await.unwrap();
    let mut document: Value = answer.json().await.unwrap();
    document.sort_all_objects();
    crate::assert_snapshot("openapi", &serde_json::to_string_pretty(&document).unwrap());
}
