use std::time::Duration;

use gantry::domain::token::Role::Runner;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::server::{Server, problem};

const EXECUTIONS: &str = "/api/v1/executions";
const MIB: usize = 1 << 20;

/// A request that says that it has so many bytes, is asked for them, and does not
/// send them.
async fn announce(server: &Server, bytes: usize) -> TcpStream {
    let address = server.url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST {EXECUTIONS} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nContent-Length: {bytes}\r\n\
         Expect: 100-continue\r\n\r\n",
        server.token(Runner)
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 25];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream
}

fn large() -> Value {
    json!({"script": "a", "input": "x".repeat(50 * MIB)})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_have_their_room_between_them() {
    let server = Server::start().await;
    server.script("a").await;
    let held = [announce(&server, 68 * MIB).await, announce(&server, 68 * MIB).await];
    let refused = server.post(EXECUTIONS, &large()).send().await.unwrap();
    assert_eq!(refused.headers()["retry-after"], "5");
    assert_eq!(problem(503, refused).await["type"], "urn:gantry:problem:too-much");
    // One that does not say how large it is has no more than what is left.
    let pieces = (0..50).map(|_| Ok::<_, std::io::Error>(vec![b' '; MIB]));
    let body = reqwest::Body::wrap_stream(futures::stream::iter(pieces));
    let request = server.request(Runner, Method::POST, EXECUTIONS).body(body);
    let refused = request.header("content-type", "application/json").send().await.unwrap();
    assert_eq!(problem(503, refused).await["type"], "urn:gantry:problem:too-much");
    let small = server.post(EXECUTIONS, &json!({"script": "a"})).send().await.unwrap();
    assert_eq!(small.status(), 202);
    drop(held);
    let taken = server.post(EXECUTIONS, &large()).send().await.unwrap();
    assert_eq!(taken.status(), 202, "{}", taken.text().await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_have_their_room_with_the_bodies() {
    let server = Server::start().await;
    server.script("a").await;
    let sent = server.post(EXECUTIONS, &large()).send().await.unwrap();
    let location = sent.headers()["location"].to_str().unwrap().to_owned();
    assert_eq!(sent.json::<Value>().await.unwrap()["input_data"], large()["input"]);
    let held = [announce(&server, 68 * MIB).await, announce(&server, 68 * MIB).await];
    let refused = server.get(&location).send().await.unwrap();
    assert_eq!(problem(503, refused).await["type"], "urn:gantry:problem:too-much");
    drop(held);
    let shown = server.get(&location).timeout(Duration::from_secs(60)).send().await.unwrap();
    assert_eq!(shown.headers()["content-type"], "application/json");
    assert_eq!(shown.json::<Value>().await.unwrap()["input_data"], large()["input"]);
}
