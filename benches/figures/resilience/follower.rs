//! Somebody who follows an execution that counts, comes back after a broken
//! connection, and notices when a number is missing or comes twice.

use std::time::Duration;

use serde::Deserialize;
use uuid::Uuid;

use crate::Failure;
use crate::harness::api::Api;

/// Nothing is read for so long only when there will be nothing.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct Follower {
    pub(super) id: Uuid,
    /// Where it was.
    last_event: Option<String>,
    stream: Option<reqwest::Response>,
    /// Of the stream, in whole lines no event yet.
    unread: Vec<u8>,
    /// Of the output, no whole line yet.
    unfinished: String,
    /// The last number.
    count: u64,
}

/// An event's lines.
#[derive(Default)]
struct Event {
    name: String,
    id: Option<String>,
    data: String,
}

#[derive(Deserialize)]
struct Output {
    text: String,
}

impl Follower {
    pub(super) fn new(id: Uuid) -> Self {
        let (unread, unfinished) = (Vec::new(), String::new());
        Self { id, last_event: None, stream: None, unread, unfinished, count: 0 }
    }

    /// Goes on with a server until it has seen a number there, and the execution is
    /// said to be running.
    pub(super) async fn come_back(&mut self, api: &Api) -> Result<(), Failure> {
        let behind = self.last_event.as_ref().map(|it| format!("?last_event_id={it}"));
        let path = format!("/api/v1/executions/{}/events{}", self.id, behind.unwrap_or_default());
        self.stream = Some(api.follow(&path).await?);
        self.unread.clear();
        let count = self.count;
        while self.count == count {
            if !self.read().await? {
                return Err(format!("{}: its stream ended", self.id).into());
            }
        }
        let execution = api.execution(self.id).await?;
        if execution.status == "running" { Ok(()) } else { Err(execution.end().into()) }
    }

    /// Reads until the connection breaks.
    pub(super) async fn read_on(&mut self) -> Result<(), Failure> {
        while self.read().await? {}
        Ok(())
    }

    /// Reads what comes next. False when the connection is broken.
    async fn read(&mut self) -> Result<bool, Failure> {
        let stream = self.stream.as_mut().ok_or("nothing is followed")?;
        let piece = tokio::time::timeout(PATIENCE, stream.chunk());
        let piece = piece.await.map_err(|_| format!("{}: nothing comes any more", self.id))?;
        let Ok(Some(piece)) = piece else { return Ok(false) };
        self.unread.extend_from_slice(&piece);
        while let Some(end) = self.unread.windows(2).position(|it| it == b"\n\n") {
            let lines: Vec<u8> = self.unread.drain(..end + 2).collect();
            self.take(&event(std::str::from_utf8(&lines)?))?;
        }
        Ok(true)
    }

    fn take(&mut self, event: &Event) -> Result<(), Failure> {
        match event.name.as_str() {
            "stdout" => self.unfinished += &serde_json::from_str::<Output>(&event.data)?.text,
            "end" => return Err(format!("{} ended: {}", self.id, event.data).into()),
            _ => {}
        }
        if let Some(id) = &event.id {
            self.last_event = Some(id.clone());
        }
        while let Some((line, rest)) = self.unfinished.split_once('\n') {
            let number: u64 = line.parse()?;
            if number != self.count + 1 {
                return Err(format!("{}: {number} behind {}", self.id, self.count).into());
            }
            self.count = number;
            self.unfinished = rest.to_owned();
        }
        Ok(())
    }
}

fn event(lines: &str) -> Event {
    let mut event = Event::default();
    for (name, value) in lines.lines().filter_map(|line| line.split_once(": ")) {
        match name {
            "event" => value.clone_into(&mut event.name),
            "id" => event.id = Some(value.to_owned()),
            "data" => event.data += value,
            _ => {}
        }
    }
    event
}
