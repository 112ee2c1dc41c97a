use std::time::Duration;

use gantry::domain::token::Role::{Admin, Runner};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::server::{Server, problem};

const EXECUTIONS: &str = "/api/v1/executions";
const MIB: usize = 1 << 20;

/// A request that says that it has so many bytes and is asked for them.
async fn announce(server: &Server, token: &str, bytes: usize) -> TcpStream {
    let address = server.url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST {EXECUTIONS} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {bytes}\r\n\
         Expect: 100-continue\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 25];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream
}

fn large(mib: usize) -> Value {
    json!({"script": "a", "input": "x".repeat(mib * MIB)})
}

/// Submits so many MiB with a token.
async fn submit(server: &Server, token: &str, mib: usize) -> Response {
    let request = server.bare(Method::POST, EXECUTIONS).bearer_auth(token).json(&large(mib));
    request.timeout(Duration::from_secs(60)).send().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_do_not_come_take_no_room() {
    let server = Server::start().await;
    let script = server.script("a").await;
    let mut held = Vec::new();
    for _ in 0..30 {
        let mut stream = announce(&server, server.token(Runner), 68 * MIB).await;
        stream.write_all(b"{\"s").await.unwrap();
        held.push(stream);
    }
    for token in [&server.limited(&[script]).await, server.token(Runner)] {
        let taken = submit(&server, token, 40).await;
        assert_eq!(taken.status(), 202, "{}", taken.text().await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_has_its_share_of_the_room_and_others_have_theirs() {
    let server = Server::start().await;
    let script = server.script("a").await;
    let mut held = Vec::new();
    for _ in 0..4 {
        let mut stream = announce(&server, server.token(Runner), 68 * MIB).await;
        stream.write_all(&vec![b' '; 63 * MIB]).await.unwrap();
        held.push(stream);
    }
    let refused = submit(&server, server.token(Runner), 50).await;
    assert_eq!(refused.headers()["retry-after"], "5");
    assert_eq!(problem(503, refused).await["type"], "urn:gantry:problem:too-much");
    // One that does not say how large it is has no more than what is left.
    let pieces = (0..50).map(|_| Ok::<_, std::io::Error>(vec![b' '; MIB]));
    let body = reqwest::Body::wrap_stream(futures::stream::iter(pieces));
    let request = server.request(Runner, Method::POST, EXECUTIONS).body(body);
    let refused = request.header("content-type", "application/json").send().await.unwrap();
    assert_eq!(problem(503, refused).await["type"], "urn:gantry:problem:too-much");
    let small = submit(&server, server.token(Runner), 0).await;
    assert_eq!(small.status(), 202);
    for (token, mib) in [(&*server.limited(&[script]).await, 5), (server.token(Admin), 20)] {
        let taken = submit(&server, token, mib).await;
        assert_eq!(taken.status(), 202, "{}", taken.text().await.unwrap());
        let location = taken.headers()["location"].to_str().unwrap().to_owned();
        assert_eq!(taken.json::<Value>().await.unwrap()["input_data"], large(mib)["input"]);
        let shown = server.bare(Method::GET, &location).bearer_auth(token).send().await.unwrap();
        assert_eq!(shown.headers()["content-type"], "application/json");
        assert_eq!(shown.json::<Value>().await.unwrap()["input_data"], large(mib)["input"]);
        let refused = server.bare(Method::GET, &location).bearer_auth(server.token(Runner));
        problem(503, refused.send().await.unwrap()).await;
    }
    drop(held);
    let taken = submit(&server, server.token(Runner), 50).await;
    assert_eq!(taken.status(), 202, "{}", taken.text().await.unwrap());
}
