//! Reading server-sent events: the algorithm of the WHATWG HTML standard
//! ("Server-sent events", parsing an event stream), for bytes in pieces of any
//! size from a server that may be anything. What is kept is bounded.

use std::time::Duration;

use thiserror::Error;

/// Most bytes of one line, and of one event's data (64 MiB): a whole log in one
/// event, each byte of it escaped.
pub(super) const MAX_EVENT_BYTES: usize = 64 * 1024 * 1024;

/// UTF-8's byte order mark; one may stand at the beginning.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its type; `message` when the stream did not say.
    pub name: String,
    /// Its lines, joined by line feeds.
    pub data: String,
}

/// A line or an event with more than [`MAX_EVENT_BYTES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("an event has more than {MAX_EVENT_BYTES} bytes")]
pub struct EventTooLong;

/// Takes bytes, gives events.
#[derive(Debug)]
pub struct EventParser {
    limit: usize,
    line: Vec<u8>,
    is_first_line: bool,
    after_carriage_return: bool,
    name: String,
    data: String,
    /// The id of the event that is being read; it holds until another is sent.
    id: String,
    /// The id of the last event that was whole.
    last_id: String,
    retry: Option<Duration>,
}

impl Default for EventParser {
    fn default() -> Self {
        Self::with_limit(MAX_EVENT_BYTES)
    }
}

impl EventParser {
    /// A parser that takes this many bytes of a line, and of an event's data.
    #[must_use]
    pub fn with_limit(limit: usize) -> Self {
        Self {
            limit,
            line: Vec::new(),
            is_first_line: true,
            after_carriage_return: false,
            name: String::new(),
            data: String::new(),
            id: String::new(),
            last_id: String::new(),
            retry: None,
        }
    }

    /// A parser for the stream that follows one that was cut; it knows its last
    /// id. What was not whole is not part of it.
    #[must_use]
    pub fn resumed(&self) -> Self {
        let (id, last_id) = (self.last_id.clone(), self.last_id.clone());
        Self { id, last_id, retry: self.retry, ..Self::with_limit(self.limit) }
    }

    /// The id to resume after; empty when there is none.
    #[must_use]
    pub fn last_id(&self) -> &str {
        &self.last_id
    }

    /// The server's minimum pause before reconnecting after a cut.
    #[must_use]
    pub fn retry(&self) -> Option<Duration> {
        self.retry
    }

    /// Takes the next bytes; gives the events that are whole with them.
    ///
    /// # Errors
    /// [`EventTooLong`]; nothing more can be read then.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Vec<Event>, EventTooLong> {
        let mut events = Vec::new();
        let mut rest = bytes;
        while let Some((first, tail)) = rest.split_first() {
            // The second half of CR LF ends no other line.
            if std::mem::take(&mut self.after_carriage_return) && *first == b'\n' {
                rest = tail;
                continue;
            }
            match rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
                Some(end) => {
                    let (line, tail) = rest.split_at(end);
                    self.keep(line)?;
                    self.after_carriage_return = tail.first() == Some(&b'\r');
                    events.extend(self.end_line()?);
                    rest = tail.get(1..).unwrap_or_default();
                }
                None => {
                    self.keep(rest)?;
                    break;
                }
            }
        }
        Ok(events)
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<(), EventTooLong> {
        if self.line.len() + bytes.len() > self.limit {
            return Err(EventTooLong);
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    fn end_line(&mut self) -> Result<Option<Event>, EventTooLong> {
        let bytes = std::mem::take(&mut self.line);
        let is_first = std::mem::take(&mut self.is_first_line);
        let bytes = match bytes.strip_prefix(BYTE_ORDER_MARK) {
            Some(rest) if is_first => rest,
            _ => bytes.as_slice(),
        };
        if bytes.is_empty() {
            return Ok(self.dispatch());
        }
        let line = String::from_utf8_lossy(bytes);
        match line.split_once(':') {
            // A comment: the server is still there.
            Some(("", _)) => Ok(()),
            Some((field, value)) => self.set(field, value.strip_prefix(' ').unwrap_or(value)),
            None => self.set(&line, ""),
        }
        .map(|()| None)
    }

    fn set(&mut self, field: &str, value: &str) -> Result<(), EventTooLong> {
        match field {
            "event" => value.clone_into(&mut self.name),
            "data" => {
                if self.data.len() + value.len() >= self.limit {
                    return Err(EventTooLong);
                }
                self.data.push_str(value);
                self.data.push('\n');
            }
            "id" if !value.contains('\0') => value.clone_into(&mut self.id),
            "retry" if !value.is_empty() && value.bytes().all(|it| it.is_ascii_digit()) => {
                self.retry = value.parse().ok().map(Duration::from_millis).or(self.retry);
            }
            _ => {}
        }
        Ok(())
    }

    fn dispatch(&mut self) -> Option<Event> {
        self.last_id.clone_from(&self.id);
        let name = std::mem::take(&mut self.name);
        let mut data = std::mem::take(&mut self.data);
        // Without any `data` line there is no event.
        data.pop()?;
        let name = if name.is_empty() { "message".to_owned() } else { name };
        Some(Event { name, data })
    }
}

#[cfg(test)]
mod tests;
