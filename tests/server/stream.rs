//! Reads server-sent events as they come.

use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;

use crate::testkit::server::Server;

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) id: Option<String>,
    pub(crate) data: Value,
}

/// Events that are still coming.
pub(crate) struct Stream {
    response: Response,
    buffer: Vec<u8>,
}

/// Follows an execution, from the start or behind an event.
pub(crate) async fn follow(server: &Server, id: &str, behind: Option<&str>) -> Stream {
    let path = format!("/api/v1/executions/{id}/events");
    following(server.request(Method::GET, &path), behind).await
}

/// Follows an execution with another token than the admin's.
pub(crate) async fn follow_with(server: &Server, token: &str, id: &str) -> Stream {
    let url = server.url(&format!("/api/v1/executions/{id}/events"));
    following(reqwest::Client::new().get(url).bearer_auth(token), None).await
}

async fn following(request: RequestBuilder, behind: Option<&str>) -> Stream {
    let request = match behind {
        Some(behind) => request.header("Last-Event-ID", behind),
        None => request,
    };
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    Stream { response, buffer: Vec::new() }
}

impl Stream {
    /// The next event; `None` when the stream is over.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            let end = self.buffer.windows(2).position(|pair| pair == b"\n\n");
            if let Some(end) = end {
                let block: Vec<u8> = self.buffer.drain(..end + 2).collect();
                if let Some(event) = parse(std::str::from_utf8(&block).unwrap()) {
                    return Some(event);
                }
                continue;
            }
            self.buffer.extend(self.response.chunk().await.unwrap()?);
        }
    }

    /// The next event of this name.
    pub(crate) async fn next_of(&mut self, name: &str) -> Event {
        loop {
            let event = self.next().await.unwrap_or_else(|| panic!("no {name} came"));
            if event.name == name {
                return event;
            }
        }
    }

    /// All that is still to come.
    pub(crate) async fn rest(mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            events.push(event);
        }
        events
    }
}

fn parse(block: &str) -> Option<Event> {
    let field = |name: &str| {
        let line = block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.map(|value| value.strip_prefix(' ').unwrap_or(value).to_owned())
    };
    let data = serde_json::from_str(&field("data")?).unwrap();
    Some(Event { name: field("event")?, id: field("id"), data })
}

/// What events say of a stream of output, one after the other.
pub(crate) fn text_of(events: &[Event], name: &str) -> String {
    let told = events.iter().filter(|event| event.name == name);
    told.map(|event| event.data["text"].as_str().unwrap()).collect()
}
