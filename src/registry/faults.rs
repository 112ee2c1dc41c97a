//! Faults of an input, collected so that all are reported at once.

use std::fmt::Display;

use crate::domain::fault::Fault;

/// Most faults that are reported.
const MAX_FAULTS: usize = 50;

/// Faults found so far.
#[derive(Default)]
pub(super) struct Faults(Vec<Fault>);

impl Faults {
    /// Adds a fault.
    pub(super) fn add(&mut self, pointer: &str, detail: impl Into<String>) {
        if self.0.len() < MAX_FAULTS {
            self.0.push(Fault::new(pointer, detail));
        }
    }

    /// Returns the value, or records why there is none.
    pub(super) fn keep<T, E: Display>(
        &mut self,
        pointer: &str,
        checked: Result<T, E>,
        hint: impl Fn(&E) -> Option<String>,
    ) -> Option<T> {
        let error = match checked {
            Ok(value) => return Some(value),
            Err(error) => error,
        };
        self.add(pointer, advised(&error, hint(&error)));
        None
    }

    /// Returns the sent value, or the current one if nothing was sent. `null` is the default.
    pub(super) fn merged<S, T: Clone + Default, E: Display>(
        &mut self,
        pointer: &str,
        before: &T,
        sent: Option<Option<S>>,
        check: impl FnOnce(S) -> Result<T, E>,
    ) -> T {
        match sent {
            None => before.clone(),
            Some(None) => T::default(),
            Some(Some(sent)) => {
                self.keep(pointer, check(sent), |_| None).unwrap_or_else(|| before.clone())
            }
        }
    }

    /// True if a fault's pointer begins with this prefix.
    pub(super) fn has_below(&self, pointer: &str) -> bool {
        self.0.iter().any(|fault| fault.pointer.starts_with(pointer))
    }

    /// Returns all faults as an error, if there are any.
    pub(super) fn into_result(self) -> Result<(), Vec<Fault>> {
        if self.0.is_empty() { Ok(()) } else { Err(self.0) }
    }
}

/// Text of an error with its advice.
pub(super) fn advised(error: &impl Display, hint: Option<String>) -> String {
    match hint {
        Some(hint) => format!("{error}; {hint}"),
        None => error.to_string(),
    }
}
