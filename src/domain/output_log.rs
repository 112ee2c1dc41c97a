//! What a script printed: both streams, and the order in which their pieces
//! came. The order is bounded: beyond [`MAX_RUNS`] changes from one stream to
//! the other, what follows is shown as all of stdout and then all of stderr.
//!
//! Followers hold a [`Position`], which is nothing but two byte counts, and ask
//! for the piece after it. The log keeps nothing about them; any position
//! means something in any log, and a log that grows never changes what stood
//! before. It must never lose a byte or give one twice, whatever the position.
//! How much is kept at all is decided by whoever appends.

mod order;
mod text;

use std::fmt;

pub use text::whole_characters;

/// Changes from one stream to the other that are remembered. 16 bytes each while
/// the script runs.
pub const MAX_RUNS: usize = 65_536;

/// One of the two streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StreamName {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl StreamName {
    fn other(self) -> Self {
        match self {
            Self::Stdout => Self::Stderr,
            Self::Stderr => Self::Stdout,
        }
    }
}

/// A place in a log: how much of each stream has been read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Position {
    /// Bytes of stdout.
    pub stdout: usize,
    /// Bytes of stderr.
    pub stderr: usize,
}

impl Position {
    fn of(self, stream: StreamName) -> usize {
        match stream {
            StreamName::Stdout => self.stdout,
            StreamName::Stderr => self.stderr,
        }
    }

    /// This far in one stream, unchanged in the other.
    fn with(self, stream: StreamName, read: usize) -> Self {
        match stream {
            StreamName::Stdout => Self { stdout: read, ..self },
            StreamName::Stderr => Self { stderr: read, ..self },
        }
    }
}

/// Both streams and their order.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct OutputLog {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    /// Where each run ends. A run is of the stream in which it ends further than
    /// the run before; the streams take turns, and no run is empty.
    ends: Vec<Position>,
}

impl OutputLog {
    /// Adds what a stream printed. It continues the last run if that is of the
    /// same stream. Once [`MAX_RUNS`] are passed, nothing more is remembered of
    /// the order.
    pub fn append(&mut self, stream: StreamName, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let is_ordered = self.ordered() == self.end();
        match stream {
            StreamName::Stdout => self.stdout.extend_from_slice(bytes),
            StreamName::Stderr => self.stderr.extend_from_slice(bytes),
        }
        let end = self.end();
        // What was not in order stays so: a run after it would come too early.
        if is_ordered {
            if self.last_stream() == Some(stream) {
                self.ends.pop();
            }
            if self.ends.len() < MAX_RUNS {
                self.ends.push(end);
            }
        }
    }

    /// All of stdout.
    #[must_use]
    pub fn stdout(&self) -> &[u8] {
        &self.stdout
    }

    /// All of stderr.
    #[must_use]
    pub fn stderr(&self) -> &[u8] {
        &self.stderr
    }

    /// The position after everything.
    #[must_use]
    pub fn end(&self) -> Position {
        Position { stdout: self.stdout.len(), stderr: self.stderr.len() }
    }

    /// The first piece that a reader at `from` has not seen, of at most
    /// `max_bytes` (0 counts as 1), and the position after it; `None` when there
    /// is nothing more, as yet. Whoever goes on from the position after each
    /// piece gets every byte behind `from.stdout` and `from.stderr` once. A stream
    /// that ends before `from` gives nothing until it has grown past it. Takes the
    /// logarithm of the number of runs.
    #[must_use]
    pub fn next_piece(
        &self,
        from: Position,
        max_bytes: usize,
    ) -> Option<(StreamName, &[u8], Position)> {
        let (stream, end) = self.next_run(from)?;
        let start = from.of(stream);
        let end = end.min(start.saturating_add(max_bytes.max(1)));
        let piece = self.bytes(stream).get(start..end)?;
        Some((stream, piece, from.with(stream, end)))
    }

    /// The stream of the next piece for a reader at `from`, and how far in that
    /// stream its run goes.
    fn next_run(&self, from: Position) -> Option<(StreamName, usize)> {
        // Each stream's first run that ends behind `from`; it is of that stream,
        // because none but its own runs move its end.
        let first = |stream| self.ends.partition_point(|end| end.of(stream) <= from.of(stream));
        let (stdout, stderr) = (first(StreamName::Stdout), first(StreamName::Stderr));
        let stream = if stdout < stderr { StreamName::Stdout } else { StreamName::Stderr };
        if let Some(end) = self.ends.get(stdout.min(stderr)) {
            return Some((stream, end.of(stream)));
        }
        // All in order is read, of the streams that go on.
        let end = self.end();
        [StreamName::Stdout, StreamName::Stderr]
            .into_iter()
            .find(|stream| end.of(*stream) > from.of(*stream))
            .map(|stream| (stream, end.of(stream)))
    }

    fn bytes(&self, stream: StreamName) -> &[u8] {
        match stream {
            StreamName::Stdout => &self.stdout,
            StreamName::Stderr => &self.stderr,
        }
    }

    /// How far the order is known.
    fn ordered(&self) -> Position {
        self.ends.last().copied().unwrap_or_default()
    }

    /// The stream of the last run.
    fn last_stream(&self) -> Option<StreamName> {
        let last = self.ends.last()?;
        let before = self.ends.iter().rev().nth(1).copied().unwrap_or_default();
        let is_stdout = last.stdout > before.stdout;
        Some(if is_stdout { StreamName::Stdout } else { StreamName::Stderr })
    }
}

/// Sizes only: what scripts print may be secret, and long.
impl fmt::Debug for OutputLog {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (out, err) = (self.stdout.len(), self.stderr.len());
        write!(formatter, "OutputLog({out} + {err} bytes, {} runs)", self.ends.len())
    }
}

#[cfg(test)]
mod tests;
