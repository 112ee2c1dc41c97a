//! Parts of a content, and the conditions of a request for it (RFC 9110, 13 and 14).

use std::ops::Range;

use axum::http::header::{IF_MATCH, IF_NONE_MATCH, IF_RANGE, RANGE};
use axum::http::{HeaderMap, HeaderName};

/// Part of a content that is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// All of it.
    Whole,
    /// These bytes.
    Bytes(Range<u64>),
    /// None: the range begins behind the end.
    Unsatisfiable,
}

/// Answer to the conditions of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Condition {
    /// The content is to be sent.
    Met,
    /// The caller has it already (304).
    NotModified,
    /// The caller wants another one (412).
    Failed,
}

/// Part that a request asks for of a content with this size and entity tag. Several ranges at
/// once, units other than bytes, and what is no range at all mean the whole: a server may ignore
/// the header (RFC 9110, 14.2).
pub(crate) fn part(headers: &HeaderMap, bytes: u64, tag: &str) -> Part {
    let Some(range) = single(headers, &RANGE) else { return Part::Whole };
    // A weak tag, or a time, never matches a strong one (RFC 9110, 13.1.5).
    if headers.contains_key(IF_RANGE) && single(headers, &IF_RANGE) != Some(tag) {
        return Part::Whole;
    }
    let Some((unit, spec)) = range.split_once('=') else { return Part::Whole };
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return Part::Whole;
    }
    read(spec.trim(), bytes).unwrap_or(Part::Whole)
}

/// Reads `FIRST-LAST`, `FIRST-` or `-LENGTH`; `None` if it is none of them.
fn read(spec: &str, bytes: u64) -> Option<Part> {
    let (first, last) = spec.split_once('-')?;
    let (first, last) = (first.trim(), last.trim());
    if first.is_empty() {
        let length = number(last)?.min(bytes);
        return Some(match length {
            0 => Part::Unsatisfiable,
            length => Part::Bytes(bytes - length..bytes),
        });
    }
    let first = number(first)?;
    let end = match last {
        "" => u64::MAX,
        last => {
            let last = number(last)?;
            if last < first {
                return None;
            }
            last.saturating_add(1)
        }
    };
    match first < bytes {
        true => Some(Part::Bytes(first..end.min(bytes))),
        false => Some(Part::Unsatisfiable),
    }
}

/// A number of digits only; the greatest for any that is greater.
fn number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

/// Value of a header that is there once, as text.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value.trim())
}

/// Answer to `If-Match` and `If-None-Match`, in the order of RFC 9110, 13.2.2.
pub(crate) fn condition(headers: &HeaderMap, tag: &str) -> Condition {
    if headers.contains_key(IF_MATCH) && !names(headers, &IF_MATCH, |it| it == tag) {
        return Condition::Failed;
    }
    let weak = |it: &str| it.strip_prefix("W/").unwrap_or(it) == tag;
    match names(headers, &IF_NONE_MATCH, weak) {
        true => Condition::NotModified,
        false => Condition::Met,
    }
}

/// True if a header has `*`, or a tag that is the one.
fn names(headers: &HeaderMap, name: &HeaderName, is_the_one: impl Fn(&str) -> bool) -> bool {
    let values = headers.get_all(name).iter().filter_map(|it| it.to_str().ok());
    // Our own tags have no comma in them.
    let mut tags = values.flat_map(|value| value.split(',')).map(str::trim);
    tags.any(|it| it == "*" || is_the_one(it))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;
    use proptest::prelude::*;

    const TAG: &str = "\"ab\"";

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    fn asked(range: &str, bytes: u64) -> Part {
        part(&headers(&[(RANGE, range)]), bytes, TAG)
    }

    #[test]
    fn a_range_is_within_the_content() {
        for (range, expected) in [
            ("bytes=0-0", 0..1),
            ("bytes=2-5", 2..6),
            ("BYTES = 2 - 5", 2..6),
            ("bytes=2-", 2..10),
            ("bytes=2-9", 2..10),
            ("bytes=2-10", 2..10),
            ("bytes=2-99999999999999999999999", 2..10),
            ("bytes=2-18446744073709551615", 2..10),
            ("bytes=-3", 7..10),
            ("bytes=-10", 0..10),
            ("bytes=-99999999999999999999999", 0..10),
            ("bytes=9-", 9..10),
        ] {
            assert_eq!(asked(range, 10), Part::Bytes(expected), "{range}");
        }
    }

    #[test]
    fn a_range_behind_the_end_has_no_bytes() {
        for range in ["bytes=10-", "bytes=10-20", "bytes=99999999999999999999999-", "bytes=-0"] {
            assert_eq!(asked(range, 10), Part::Unsatisfiable, "{range}");
        }
        for range in ["bytes=0-", "bytes=0-0", "bytes=-1"] {
            assert_eq!(asked(range, 0), Part::Unsatisfiable, "{range}");
        }
    }

    #[test]
    fn what_is_no_single_range_of_bytes_is_ignored() {
        for range in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=a-b",
            "bytes=5-2",
            "bytes=+1-2",
            "lines=1-2",
            "bytes=0-1,3-4",
            "bytes=0-1, -1",
            "bytes=1",
            "bytes=--1",
            "bytes=1-2-3",
            "0-1",
        ] {
            assert_eq!(asked(range, 10), Part::Whole, "{range}");
        }
        let twice = headers(&[(RANGE, "bytes=0-1"), (RANGE, "bytes=2-3")]);
        assert_eq!(part(&twice, 10, TAG), Part::Whole);
    }

    #[test]
    fn a_range_of_another_content_is_ignored() {
        let asked =
            |if_range: &str| part(&headers(&[(RANGE, "bytes=0-1"), (IF_RANGE, if_range)]), 10, TAG);
        assert_eq!(asked(TAG), Part::Bytes(0..2));
        for other in ["\"other\"", "W/\"ab\"", "ab", "Sat, 29 Oct 1994 19:43:31 GMT", ""] {
            assert_eq!(asked(other), Part::Whole, "{other}");
        }
    }

    #[test]
    fn conditions_are_answered_in_order() {
        let answer = |pairs: &[(HeaderName, &str)]| condition(&headers(pairs), TAG);
        assert_eq!(answer(&[]), Condition::Met);
        for tags in [TAG, "W/\"ab\"", "\"x\", \"ab\"", "*"] {
            assert_eq!(answer(&[(IF_NONE_MATCH, tags)]), Condition::NotModified, "{tags}");
        }
        assert_eq!(answer(&[(IF_NONE_MATCH, "\"x\"")]), Condition::Met);
        for tags in [TAG, "*", "\"x\",\"ab\""] {
            assert_eq!(answer(&[(IF_MATCH, tags)]), Condition::Met, "{tags}");
        }
        for tags in ["\"x\"", "W/\"ab\"", ""] {
            assert_eq!(answer(&[(IF_MATCH, tags), (IF_NONE_MATCH, TAG)]), Condition::Failed);
        }
    }

    proptest! {
        #[test]
        fn any_range_is_within_any_content(range in "[ -~]{0,40}", bytes in any::<u64>()) {
            for text in [range.clone(), format!("bytes={range}")] {
                if let Part::Bytes(part) = asked(&text, bytes) {
                    prop_assert!(part.start < part.end && part.end <= bytes);
                }
            }
        }

        #[test]
        fn any_two_numbers_are_a_range(first in any::<u64>(), last in any::<u64>(), bytes in any::<u64>()) {
            match asked(&format!("bytes={first}-{last}"), bytes) {
                Part::Bytes(part) => {
                    prop_assert!(part.start == first && first <= last && part.end <= bytes);
                }
                Part::Unsatisfiable => prop_assert!(first >= bytes),
                Part::Whole => prop_assert!(last < first),
            }
        }
    }
}
