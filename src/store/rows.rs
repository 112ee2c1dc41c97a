//! Conversions from columns to values, for all tables.

use std::borrow::Cow;
use std::num::NonZeroU32;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::StoreError;
use crate::domain::json_form::canonical;

/// Row that a value comes from, for the error if it does not parse.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    pub(super) table: &'static str,
    pub(super) id: &'a dyn std::fmt::Display,
}

impl Row<'_> {
    pub(super) fn impossible(&self, column: &'static str) -> StoreError {
        StoreError::impossible(self.table, column, self.id)
    }

    /// Parses a word.
    pub(super) fn word<T: std::str::FromStr>(
        &self,
        column: &'static str,
        word: &str,
    ) -> Result<T, StoreError> {
        word.parse().map_err(|_| self.impossible(column))
    }

    /// Parses a non-negative number.
    pub(super) fn count<T: TryFrom<i64>>(
        &self,
        column: &'static str,
        number: i64,
    ) -> Result<T, StoreError> {
        T::try_from(number).map_err(|_| self.impossible(column))
    }

    /// Parses an optional number that must be at least 1.
    pub(super) fn some_at_least_one(
        &self,
        column: &'static str,
        number: Option<i64>,
    ) -> Result<Option<NonZeroU32>, StoreError> {
        let Some(number) = number else { return Ok(None) };
        let number: u32 = self.count(column, number)?;
        NonZeroU32::new(number).map(Some).ok_or_else(|| self.impossible(column))
    }

    /// Parses a number that must be at most `most`.
    pub(super) fn at_most(
        &self,
        column: &'static str,
        number: i64,
        most: u32,
    ) -> Result<u32, StoreError> {
        let number: u32 = self.count(column, number)?;
        if number <= most { Ok(number) } else { Err(self.impossible(column)) }
    }

    /// Parses JSON that was read as text.
    pub(super) fn json<T: DeserializeOwned>(
        &self,
        column: &'static str,
        text: &str,
    ) -> Result<T, StoreError> {
        serde_json::from_str(text).map_err(|_| self.impossible(column))
    }

    /// Parses an optional time in microseconds.
    pub(super) fn time(
        &self,
        column: &'static str,
        microseconds: Option<i64>,
    ) -> Result<Option<Duration>, StoreError> {
        let Some(microseconds) = microseconds else { return Ok(None) };
        Ok(Some(Duration::from_micros(self.count(column, microseconds)?)))
    }
}

/// Removes NUL, which PostgreSQL neither stores in text nor accepts in a comparison.
pub(super) fn without_nul(text: &str) -> Cow<'_, str> {
    match text.contains('\0') {
        true => Cow::Owned(text.replace('\0', "\u{fffd}")),
        false => Cow::Borrowed(text),
    }
}

/// JSON value that both databases return as it was stored.
pub(super) fn storable_json(value: &Value) -> Value {
    canonical(without_nuls(value))
}

/// Removes NUL, which PostgreSQL's JSONB does not store.
fn without_nuls(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(without_nul(text).into_owned()),
        Value::Array(elements) => elements.iter().map(without_nuls).collect(),
        Value::Object(members) => members
            .iter()
            .map(|(name, member)| (without_nul(name).into_owned(), without_nuls(member)))
            .collect(),
        other => other.clone(),
    }
}

/// Number as both databases store it; greater ones become the maximum.
pub(super) fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Time in microseconds, as both databases store it.
pub(super) fn microseconds(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}
