use reqwest::Method;

use super::server::{Server, problem};

#[tokio::test]
async fn the_head_of_a_list_is_the_list_without_its_entries() {
    let server = Server::start().await;
    server.script("a").await;
    let answer = server.get("/api/v1/admin/scripts").send().await.unwrap();
    assert_eq!(answer.headers()["x-total-count"], "1");
    let token = server.token(gantry::domain::token::Role::Viewer);
    let head = server.bare(Method::HEAD, "/api/v1/admin/scripts").bearer_auth(token);
    let head = head.send().await.unwrap();
    assert_eq!(
        (head.status().as_u16(), &head.headers()["x-total-count"]),
        (200, &"1".parse().unwrap())
    );
    assert_eq!(head.text().await.unwrap(), "");
}

#[tokio::test]
async fn scripts_are_handed_over_as_attachments() {
    let server = Server::start().await;
    let id = server.script("a").await;
    let path = format!("/api/v1/admin/scripts/{id}/versions/1/source");
    let answer = server.get(&path).send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/octet-stream");
    let disposition = answer.headers()["content-disposition"].to_str().unwrap();
    assert!(disposition.starts_with("attachment; filename*=UTF-8''"), "{disposition}");
    assert_eq!(answer.headers()["cache-control"], "no-store");
    assert_eq!(answer.text().await.unwrap(), "cat\n");
    let path = format!("/api/v1/admin/scripts/{id}/versions/2/source");
    problem(404, server.get(&path).send().await.unwrap()).await;
}

#[tokio::test]
async fn nothing_is_kept_by_caches_but_the_files_of_pages() {
    let server = Server::start().await;
    server.script("a").await;
    let id = server.pending("a").await;
    for path in [
        "/api/v1/admin/scripts".to_owned(),
        format!("/api/v1/executions/{id}"),
        format!("/api/v1/executions/{id}/artifacts"),
        format!("/api/v1/executions/{id}/artifacts/none"),
        format!("/api/v1/executions/{id}/events"),
        "/metrics".to_owned(),
        "/healthz".to_owned(),
        "/sign-in".to_owned(),
        "/nowhere".to_owned(),
    ] {
        let answer = server.get(&path).send().await.unwrap();
        assert_eq!(answer.headers()["cache-control"], "no-store", "{path}");
    }
}
