//! The form for signing in, in the hands of somebody without a token.

use gantry::domain::token::Role::Admin;
use reqwest::redirect::Policy;
use reqwest::{Body, Client, Method, RequestBuilder, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::server::Server;

const FORM: &str = "application/x-www-form-urlencoded";

fn form(server: &Server, media_type: &str) -> RequestBuilder {
    let client = Client::builder().redirect(Policy::none()).no_proxy().build().unwrap();
    let request = client.post(format!("{}/sign-in", server.url));
    request.header("content-type", media_type)
}

async fn tried(server: &Server, token: &str) -> Response {
    form(server, FORM).body(format!("token={token}&next=%2F")).send().await.unwrap()
}

#[tokio::test]
async fn only_a_small_form_of_fields_is_read() {
    let server = Server::start().await;
    let part = "--b\r\nContent-Disposition: form-data; name=\"token\"\r\n\r\nx\r\n--b--\r\n";
    for media_type in
        ["multipart/form-data; boundary=b", "application/json", "text/plain", "multipart/mixed"]
    {
        let refused = form(&server, media_type).body(part).send().await.unwrap();
        assert_eq!(refused.status(), 415, "{media_type}");
    }
    let field = |bytes: usize| format!("token={}", "x".repeat(bytes));
    assert_eq!(form(&server, FORM).body(field(7_000)).send().await.unwrap().status(), 401);
    assert_eq!(form(&server, FORM).body(field(9_000)).send().await.unwrap().status(), 413);
    let pieces = (0..9).map(|_| Ok::<_, std::io::Error>(vec![b'x'; 1_000]));
    let body = Body::wrap_stream(futures::stream::iter(pieces));
    assert_eq!(form(&server, FORM).body(body).send().await.unwrap().status(), 413);
    let fields = "a&".repeat(2_000);
    assert_eq!(form(&server, FORM).body(fields).send().await.unwrap().status(), 400);
}

#[tokio::test]
async fn a_large_form_is_refused_before_it_comes() {
    let server = Server::start().await;
    let mut stream = TcpStream::connect(server.url.strip_prefix("http://").unwrap()).await.unwrap();
    let head = format!(
        "POST /sign-in HTTP/1.1\r\nHost: x\r\nContent-Type: {FORM}\r\n\
         Content-Length: 100000000\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
}

#[tokio::test]
async fn a_form_that_does_not_come_is_given_up_soon() {
    let server = Server::start().await;
    let mut stream = TcpStream::connect(server.url.strip_prefix("http://").unwrap()).await.unwrap();
    let head = format!(
        "POST /sign-in HTTP/1.1\r\nHost: x\r\nContent-Type: {FORM}\r\nContent-Length: 100\r\n\
         Expect: 100-continue\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut asked = [0; 25];
    stream.read_exact(&mut asked).await.unwrap();
    stream.write_all(b"token=").await.unwrap();
    tokio::time::pause();
    let begun = tokio::time::Instant::now();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(begun.elapsed().as_secs() <= 5, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn failures_are_counted_and_a_token_that_works_comes_in_all_the_same() {
    let server = Server::start().await;
    for _ in 0..10 {
        assert_eq!(tried(&server, "guessed").await.status(), 401);
    }
    let refused = tried(&server, "guessed").await;
    assert_eq!(refused.status(), 429);
    let wait: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=6).contains(&wait), "{wait}");
    assert!(refused.text().await.unwrap().contains("too often"));
    assert_eq!(tried(&server, server.token(Admin)).await.status(), 303);
}

#[tokio::test]
async fn whoever_comes_to_a_very_long_address_can_sign_in() {
    let server = Server::start().await;
    let client = Client::builder().redirect(Policy::none()).no_proxy().build().unwrap();
    for (length, is_kept) in [(100, true), (6_000, false)] {
        let url = format!("{}/scripts?search={}", server.url, "x".repeat(length));
        let sent = client.request(Method::GET, url).send().await.unwrap();
        let location = sent.headers()["location"].to_str().unwrap().to_owned();
        assert_eq!(location.contains("next="), is_kept, "{location}");
        let page = client.get(format!("{}{location}", server.url)).send().await.unwrap();
        assert_eq!(page.status(), 200);
    }
}
