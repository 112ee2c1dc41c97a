//! Sizes, times and CPU shares as people write them on a command line, and as messages show
//! them. Parsing is strict: an ambiguous number (`512M`, `1M` as a month) is refused,
//! nothing is rounded up, and nothing overflows silently.

mod show;

use std::time::Duration;

use thiserror::Error;

use super::sanitize::sanitize;

pub use show::{show_bytes, show_duration};

/// Nano CPUs of one CPU: the engine's unit (`HostConfig.NanoCpus`).
pub const NANO_CPUS_PER_CPU: u64 = 1_000_000_000;

/// The smallest share of a CPU, in nano CPUs (0.01): the engine's own minimum.
pub const MIN_NANO_CPUS: u64 = NANO_CPUS_PER_CPU / 100;

/// Longest quantity that is parsed, in bytes.
const MAX_LENGTH: usize = 64;

/// Units of sizes, in bytes; matched case-insensitively.
const BYTE_UNITS: [(&str, u64); 10] = [
    ("", 1),
    ("b", 1),
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("tb", 1_000_000_000_000),
];

/// Units of times, in nanoseconds; matched case-sensitively.
const TIME_UNITS: [(&str, u64); 11] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("ms", 1_000_000),
    ("s", NANOS_PER_SECOND),
    ("sec", NANOS_PER_SECOND),
    ("m", 60 * NANOS_PER_SECOND),
    ("min", 60 * NANOS_PER_SECOND),
    ("h", 3_600 * NANOS_PER_SECOND),
    ("d", 86_400 * NANOS_PER_SECOND),
    ("days", 86_400 * NANOS_PER_SECOND),
];

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// Reason why a quantity is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum QuantityError {
    /// The text is not a size.
    #[error("{0:?} is not a size")]
    Bytes(String),
    /// `K`, `M` or `G` alone: 1000 or 1024?
    #[error("{0:?} is not a size: {1} alone could mean {1}B or {1}iB")]
    AmbiguousBytes(String, char),
    /// The text is not a time.
    #[error("{0:?} is not a time")]
    Duration(String),
    /// The text is not a number of CPUs.
    #[error("{0:?} is not a number of CPUs")]
    Cpus(String),
    /// The number is below [`MIN_NANO_CPUS`].
    #[error("{0} CPUs are too few, the least is 0.01")]
    TooFewCpus(String),
    /// The number overflows.
    #[error("{0:?} is too large")]
    TooLarge(String),
}

impl QuantityError {
    /// Accepted forms.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Bytes(_) => "write bytes (1024) or a unit: 512KiB, 256MiB, 1.5GiB, 64MB",
            Self::AmbiguousBytes(..) => "write MiB for 1024 × 1024 bytes, MB for 1000 × 1000",
            Self::Duration(_) => "write seconds (90) or units: 500ms, 30s, 5m, 1h30m",
            Self::Cpus(_) => "write a number such as 1, 0.5 or 1.25",
            Self::TooFewCpus(_) | Self::TooLarge(_) => return None,
        };
        Some(hint.to_owned())
    }
}

/// Parses a size: `1024`, `256MiB`, `1.5 GiB`, `64MB`. Binary units end in
/// `iB`, decimal ones in `B`; case does not matter. A fraction of a byte is
/// dropped.
///
/// # Errors
/// [`QuantityError::Bytes`], [`QuantityError::AmbiguousBytes`] or
/// [`QuantityError::TooLarge`] beyond `u64`.
pub fn parse_bytes(text: &str) -> Result<u64, QuantityError> {
    let refused = || QuantityError::Bytes(sanitize(text));
    let (number, unit) = Decimal::split(text.trim()).ok_or_else(refused)?;
    let unit = unit.trim_start();
    if let [letter @ (b'k' | b'K' | b'm' | b'M' | b'g' | b'G' | b't' | b'T')] = unit.as_bytes() {
        let letter = char::from(*letter).to_ascii_uppercase();
        return Err(QuantityError::AmbiguousBytes(sanitize(text), letter));
    }
    let (_, factor) = BYTE_UNITS
        .into_iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(unit))
        .ok_or_else(refused)?;
    number.times(factor).ok_or_else(|| QuantityError::TooLarge(sanitize(text)))
}

/// Parses a time: `90` (seconds), `500ms`, `1.5s`, `5m`, `1h30m`, `1h 30m`.
///
/// # Errors
/// [`QuantityError::Duration`], or [`QuantityError::TooLarge`] beyond 584 years.
pub fn parse_duration(text: &str) -> Result<Duration, QuantityError> {
    let refused = || QuantityError::Duration(sanitize(text));
    let too_large = || QuantityError::TooLarge(sanitize(text));
    let mut rest = text.trim();
    if let Some((seconds, "")) = Decimal::split(rest) {
        return seconds.times(NANOS_PER_SECOND).map(Duration::from_nanos).ok_or_else(too_large);
    }
    let mut nanos = 0_u64;
    while !rest.is_empty() {
        let (number, tail) = Decimal::split(rest).ok_or_else(refused)?;
        let end = tail.find(|c: char| !c.is_alphabetic()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(end);
        let (_, factor) =
            TIME_UNITS.into_iter().find(|(name, _)| *name == unit).ok_or_else(refused)?;
        let part = number.times(factor).ok_or_else(too_large)?;
        nanos = nanos.checked_add(part).ok_or_else(too_large)?;
        rest = tail.trim_start();
    }
    if text.trim().is_empty() { Err(refused()) } else { Ok(Duration::from_nanos(nanos)) }
}

/// Parses a number of CPUs (`1`, `0.5`, `1.25`) into nano CPUs.
///
/// # Errors
/// [`QuantityError::Cpus`], [`QuantityError::TooFewCpus`] below
/// [`MIN_NANO_CPUS`], [`QuantityError::TooLarge`].
pub fn parse_cpus(text: &str) -> Result<u64, QuantityError> {
    let Some((number, "")) = Decimal::split(text.trim()) else {
        return Err(QuantityError::Cpus(sanitize(text)));
    };
    match number.times(NANO_CPUS_PER_CPU) {
        None => Err(QuantityError::TooLarge(sanitize(text))),
        Some(nanos) if nanos < MIN_NANO_CPUS => Err(QuantityError::TooFewCpus(sanitize(text))),
        Some(nanos) => Ok(nanos),
    }
}

/// Number with at most nine digits after the point, exact.
#[derive(Clone, Copy)]
struct Decimal {
    nanos: u128,
}

impl Decimal {
    /// Number at the beginning of `text`, and the rest. No sign, no exponent, a digit on
    /// both sides of the point.
    fn split(text: &str) -> Option<(Self, &str)> {
        if text.len() > MAX_LENGTH {
            return None;
        }
        let (whole, rest) = split_digits(text);
        let (fraction, rest) = match rest.strip_prefix('.') {
            Some(rest) => Some(split_digits(rest)).filter(|(digits, _)| !digits.is_empty())?,
            None => ("", rest),
        };
        if whole.is_empty() || fraction.len() > 9 {
            return None;
        }
        // 64 digits don't fit into 128 bits; 25 do, and mean "too large" anyway.
        let whole = whole.trim_start_matches('0');
        let whole: u128 =
            if whole.len() > 25 { u128::MAX / 10_u128.pow(10) } else { number(whole) };
        let nanos = whole * 1_000_000_000 + number(&format!("{fraction:0<9}"));
        Some((Self { nanos }, rest))
    }

    /// Product with `factor`, rounded down.
    fn times(self, factor: u64) -> Option<u64> {
        let product = self.nanos.checked_mul(u128::from(factor))?;
        u64::try_from(product / 1_000_000_000).ok()
    }
}

fn split_digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

/// Value of at most 25 digits.
fn number(digits: &str) -> u128 {
    digits.bytes().fold(0, |value, digit| value * 10 + u128::from(digit.saturating_sub(b'0')))
}

#[cfg(test)]
mod tests;
