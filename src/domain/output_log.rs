//! Output of a script: both streams, and the order of their pieces. The order is bounded:
//! after [`MAX_RUNS`] changes between the streams, the rest is shown as all of stdout and
//! then all of stderr.
//!
//! Followers hold a [`Position`], which is two byte counts, and ask for the piece after it.
//! The log stores nothing about them. Any position is valid in any log, and appending never
//! changes earlier pieces. The log must never lose a byte or return one twice, at any
//! position. Callers of `append` bound its size.

mod order;
mod text;

use std::fmt;

pub use text::whole_characters;

/// Most changes between the streams that are remembered; 16 bytes each while the script
/// runs.
pub const MAX_RUNS: usize = 65_536;

/// Name of a stream.
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

/// Place in a log: the bytes of each stream that were read.
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

    /// Position after `read` bytes of one stream, with the other unchanged.
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
    /// End of each run. A run belongs to the stream whose count it increases; the streams
    /// alternate, and no run is empty.
    ends: Vec<Position>,
}

impl OutputLog {
    /// Appends output of a stream. Continues the last run if it belongs to the same stream.
    /// After [`MAX_RUNS`] the order is no longer recorded.
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
        // Once a piece is out of order, later ones are too: a run after it would come too
        // early.
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

    /// First piece after `from`, of at most `max_bytes` (0 counts as 1), and the position
    /// after it; `None` if there is nothing more yet. A reader that continues from the
    /// returned position gets every byte behind `from.stdout` and `from.stderr` once. A
    /// stream that ends before `from` returns nothing until it has grown past it. Takes
    /// time logarithmic in the number of runs.
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

    /// Stream of the next piece for a reader at `from`, and the end of its run in that
    /// stream.
    fn next_run(&self, from: Position) -> Option<(StreamName, usize)> {
        // First run of each stream that ends behind `from`. Only a stream's own runs move
        // its end.
        let first = |stream| self.ends.partition_point(|end| end.of(stream) <= from.of(stream));
        let (stdout, stderr) = (first(StreamName::Stdout), first(StreamName::Stderr));
        let stream = if stdout < stderr { StreamName::Stdout } else { StreamName::Stderr };
        if let Some(end) = self.ends.get(stdout.min(stderr)) {
            return Some((stream, end.of(stream)));
        }
        // Everything in order is read; the rest follows stream by stream.
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

    /// Position up to which the order is known.
    fn ordered(&self) -> Position {
        self.ends.last().copied().unwrap_or_default()
    }

    /// Stream of the last run.
    fn last_stream(&self) -> Option<StreamName> {
        let last = self.ends.last()?;
        let before = self.ends.iter().rev().nth(1).copied().unwrap_or_default();
        let is_stdout = last.stdout > before.stdout;
        Some(if is_stdout { StreamName::Stdout } else { StreamName::Stderr })
    }
}

/// Shows only sizes: output may be secret and long.
impl fmt::Debug for OutputLog {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (out, err) = (self.stdout.len(), self.stderr.len());
        write!(formatter, "OutputLog({out} + {err} bytes, {} runs)", self.ends.len())
    }
}

#[cfg(test)]
mod tests;
