//! Strict query parsing: unknown parameters are refused, because an ignored misspelt filter would
//! answer the wrong question.

use std::str::FromStr;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::page::{MAX_LIMIT, PageQuery};
use super::problem::{Kind, Problem};
use crate::domain::sanitize::sanitize;

/// Most parameters of one request.
const MAX_PARAMETERS: usize = 32;

/// Remaining parameters of a query.
#[derive(Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Self::parse(parts.uri.query().unwrap_or_default())
    }
}

impl Query {
    fn parse(text: &str) -> Result<Self, Problem> {
        let mut pairs = Vec::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (decoded(name)?, decoded(value)?);
            if pairs.len() == MAX_PARAMETERS {
                let detail = format!("more than {MAX_PARAMETERS} parameters are given");
                return Err(Problem::parameter(&sanitize(&name), detail));
            }
            pairs.push((name, value));
        }
        Ok(Self(pairs))
    }

    /// Takes a parameter that may be repeated, as texts.
    pub(crate) fn texts(&mut self, name: &str) -> Result<Vec<String>, Problem> {
        let taken: Vec<_> = self.0.extract_if(.., |(known, _)| known == name).collect();
        if taken.iter().any(|(_, value)| value.contains('\0')) {
            return Err(Problem::parameter(name, format!("{name} has a NUL character")));
        }
        Ok(taken.into_iter().map(|(_, value)| value).collect())
    }

    /// Takes a parameter as text.
    pub(crate) fn text(&mut self, name: &str) -> Result<Option<String>, Problem> {
        let mut values = self.texts(name)?;
        if values.len() > 1 {
            return Err(Problem::parameter(name, format!("{name} is given more than once")));
        }
        Ok(values.pop())
    }

    /// Takes a parameter of a type whose parser reports the fault.
    pub(crate) fn parsed<T>(&mut self, name: &str) -> Result<Option<T>, Problem>
    where
        T: FromStr,
        T::Err: std::fmt::Display,
    {
        let Some(text) = self.text(name)? else { return Ok(None) };
        text.parse().map(Some).map_err(|error: T::Err| {
            Problem::parameter(name, format!("{name} {:?}: {error}", sanitize(&text)))
        })
    }

    /// Takes `limit` and `offset`.
    pub(crate) fn page(&mut self) -> Result<PageQuery, Problem> {
        let default = PageQuery::default();
        let limit: u32 = self.parsed("limit")?.unwrap_or(default.limit);
        if !(1..=MAX_LIMIT).contains(&limit) {
            let detail = format!("limit {limit} is not between 1 and {MAX_LIMIT}");
            return Err(Problem::parameter("limit", detail));
        }
        let offset: u64 = self.parsed("offset")?.unwrap_or(default.offset);
        if i64::try_from(offset).is_err() {
            return Err(Problem::parameter("offset", format!("offset {offset} is too large")));
        }
        Ok(PageQuery { limit, offset })
    }

    /// Refuses the remaining parameters as unknown.
    pub(crate) fn finish(self) -> Result<(), Problem> {
        match self.0.into_iter().next() {
            None => Ok(()),
            Some((name, _)) => {
                let name = sanitize(&name);
                Err(Problem::parameter(&name, format!("there is no parameter {name:?} here")))
            }
        }
    }
}

/// Decodes `application/x-www-form-urlencoded` in UTF-8 only.
fn decoded(text: &str) -> Result<String, Problem> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => hexadecimal(rest.next(), rest.next()).ok_or_else(malformed)?,
            byte => byte,
        });
    }
    String::from_utf8(bytes).map_err(|_| malformed())
}

fn hexadecimal(high: Option<u8>, low: Option<u8>) -> Option<u8> {
    let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

fn malformed() -> Problem {
    Problem::new(
        Kind::Malformed,
        "the query is not well-formed: percent signs are followed by two hexadecimal digits, and what they make is UTF-8",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_read_as_it_was_meant() {
        let mut query = Query::parse("job_id=a%2Fb+c%C3%A4&limit=5&&offset=7").unwrap();
        assert_eq!(query.text("job_id").unwrap().unwrap(), "a/b cä");
        let page = query.page().unwrap();
        assert_eq!((page.limit, page.offset), (5, 7));
        query.finish().unwrap();
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        let refused = |text: &str| {
            let Ok(mut query) = Query::parse(text) else { return true };
            query.page().is_err() || query.text("job_id").is_err() || query.finish().is_err()
        };
        for text in [
            "limit=-1",
            "limit=x",
            "limit=0",
            "limit=1001",
            "limit=",
            "offset=-1",
            "offset=1e3",
            "offset=99999999999999999999",
            "offset=9223372036854775808",
            "limit=1&limit=2",
            "job_id=%00",
            "job_id=%ff",
            "job_id=%C3",
            "job_id=%zz",
            "job_id=%",
            "statsu=failed",
        ] {
            assert!(refused(text), "{text}");
        }
        assert!(!refused("job_id=%F0%9F%A6%80&limit=1000"));
    }
}
