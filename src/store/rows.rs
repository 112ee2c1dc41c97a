//! From columns to values: the conversions that all tables share.

use std::borrow::Cow;
use std::num::NonZeroU32;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::StoreError;
use crate::domain::json_form::canonical;

/// Where a value stands, for the error when it is impossible.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    pub(super) table: &'static str,
    pub(super) id: &'a dyn std::fmt::Display,
}

impl Row<'_> {
    pub(super) fn impossible(&self, column: &'static str) -> StoreError {
        StoreError::impossible(self.table, column, self.id)
    }

    /// A word that stands for a value.
    pub(super) fn word<T: std::str::FromStr>(
        &self,
        column: &'static str,
        word: &str,
    ) -> Result<T, StoreError> {
        word.parse().map_err(|_| self.impossible(column))
    }

    /// A number that is not negative.
    pub(super) fn count<T: TryFrom<i64>>(
        &self,
        column: &'static str,
        number: i64,
    ) -> Result<T, StoreError> {
        T::try_from(number).map_err(|_| self.impossible(column))
    }

    /// A count that is at least 1, where there is one.
    pub(super) fn some_at_least_one(
        &self,
        column: &'static str,
        number: Option<i64>,
    ) -> Result<Option<NonZeroU32>, StoreError> {
        let Some(number) = number else { return Ok(None) };
        let number: u32 = self.count(column, number)?;
        NonZeroU32::new(number).map(Some).ok_or_else(|| self.impossible(column))
    }

    /// A count that is at most `most`.
    pub(super) fn at_most(
        &self,
        column: &'static str,
        number: i64,
        most: u32,
    ) -> Result<u32, StoreError> {
        let number: u32 = self.count(column, number)?;
        if number <= most { Ok(number) } else { Err(self.impossible(column)) }
    }

    /// A value that is kept as JSON, and was read as text.
    pub(super) fn json<T: DeserializeOwned>(
        &self,
        column: &'static str,
        text: &str,
    ) -> Result<T, StoreError> {
        serde_json::from_str(text).map_err(|_| self.impossible(column))
    }

    /// A time in microseconds, where there is one.
    pub(super) fn time(
        &self,
        column: &'static str,
        microseconds: Option<i64>,
    ) -> Result<Option<Duration>, StoreError> {
        let Some(microseconds) = microseconds else { return Ok(None) };
        Ok(Some(Duration::from_micros(self.count(column, microseconds)?)))
    }
}

/// PostgreSQL keeps no NUL in text, and refuses to look for one.
pub(super) fn without_nul(text: &str) -> Cow<'_, str> {
    match text.contains('\0') {
        true => Cow::Owned(text.replace('\0', "\u{fffd}")),
        false => Cow::Borrowed(text),
    }
}

/// A JSON value that both databases keep, and give back as the same.
pub(super) fn storable_json(value: &Value) -> Value {
    canonical(without_nuls(value))
}

/// PostgreSQL's JSONB keeps no NUL either.
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

/// A number as both databases keep it; more than they can hold is their most.
pub(super) fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A time in microseconds as both databases keep it.
pub(super) fn microseconds(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}
