//! One thing in lines for people: what it is called, and what it is.

use std::io::{self, Write};

use crate::client::wire::{Script, Shown};
use crate::domain::quantities::show_bytes;
use crate::domain::sanitize::{escaped, sanitize};

/// Lines in the order in which they were added; what is empty is left out.
#[derive(Debug, Default)]
pub(super) struct Lines(Vec<(&'static str, String)>);

impl Lines {
    /// A value, cut to one line of bounded length.
    pub(super) fn add(&mut self, name: &'static str, value: &Shown) -> &mut Self {
        self.text(name, sanitize(value.as_str()))
    }

    /// Fields of a script under their names, as [`Self::add`] does.
    pub(super) fn fields(&mut self, script: &Script, fields: &[(&'static str, &str)]) {
        for (name, field) in fields {
            self.add(name, &script.shown(field));
        }
    }

    /// Adds a value that must not be shortened.
    pub(super) fn add_whole(&mut self, name: &'static str, value: &Shown) -> &mut Self {
        let lines: Vec<_> = value.as_str().lines().map(escaped).collect();
        self.text(name, lines.join("\n"))
    }

    /// Bytes, as people write them.
    pub(super) fn add_bytes(&mut self, name: &'static str, value: &Shown) -> &mut Self {
        self.text(name, bytes(value))
    }

    /// Milliseconds.
    pub(super) fn add_milliseconds(&mut self, name: &'static str, value: &Shown) -> &mut Self {
        self.text(name, milliseconds(value))
    }

    /// Adds a text of Gantry's own.
    pub(super) fn text(&mut self, name: &'static str, value: String) -> &mut Self {
        // An empty list or object has nothing to show either.
        if !matches!(value.as_str(), "" | "[]" | "{}") {
            self.0.push((name, value));
        }
        self
    }

    /// Prints them.
    pub(super) fn print(&self) -> io::Result<()> {
        let width = self.0.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        let mut stdout = io::stdout().lock();
        for (name, value) in &self.0 {
            let value = value.replace('\n', &format!("\n{:width$}  ", ""));
            writeln!(stdout, "{name:width$}  {value}")?;
        }
        Ok(())
    }
}

/// Bytes as people write them; what is no number as it is.
pub(super) fn bytes(value: &Shown) -> String {
    match value.number().and_then(|bytes| u64::try_from(bytes).ok()) {
        Some(bytes) => show_bytes(bytes),
        None => sanitize(value.as_str()),
    }
}

/// A time that is counted in milliseconds.
pub(super) fn milliseconds(value: &Shown) -> String {
    use crate::domain::quantities::show_duration;
    use std::time::Duration;
    let seconds = value.as_str().parse::<f64>().ok().map(|milliseconds| milliseconds / 1e3);
    match seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()) {
        Some(time) => show_duration(time),
        None => sanitize(value.as_str()),
    }
}
