//! Expected result of an attempt.

use std::fmt;

use gantry_probe::Found;

/// The kernel, its filter of system calls or a mount refuses; or it does not know the
/// request.
const REFUSALS: [&str; 7] =
    ["EPERM", "EACCES", "EROFS", "ENOSYS", "EAFNOSUPPORT", "EPROTONOSUPPORT", "ESOCKTNOSUPPORT"];

/// There is no such file or device.
const ABSENCES: [&str; 5] = ["ENOENT", "ENOTDIR", "ENXIO", "ENODEV", "EOPNOTSUPP"];

/// There is no way to an address.
const UNREACHABLE: [&str; 3] = ["ENETUNREACH", "EHOSTUNREACH", "EADDRNOTAVAIL"];

/// Values of a file or place with nothing in it.
const NOTHING: [&str; 3] = ["", "0", "empty"];

/// Expected result of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Expected {
    /// It can be done.
    Done,
    /// It is refused. That its arguments were looked at is no refusal.
    Refused,
    /// It is refused, or its file or device is absent.
    RefusedOrAbsent,
    /// There is nothing, or nothing that can be seen.
    Nothing,
    /// There is no way there.
    Unreachable,
    /// The value is exactly this.
    Is(&'static str),
    /// A number, from the first to the second.
    Between(u64, u64),
    /// It depends on the machine, and is only shown.
    Anything,
}

impl Expected {
    pub(super) fn is_met_by(&self, found: &Found) -> bool {
        match (self, found) {
            (Self::Anything, _) | (Self::Done, Found::Done) => true,
            (Self::Refused, Found::Refused(error)) => REFUSALS.contains(&error.as_str()),
            (Self::RefusedOrAbsent | Self::Nothing, Found::Refused(error)) => {
                let error = error.as_str();
                REFUSALS.contains(&error) || ABSENCES.contains(&error)
            }
            (Self::Unreachable, Found::Refused(error)) => {
                let error = error.as_str();
                REFUSALS.contains(&error) || UNREACHABLE.contains(&error)
            }
            (Self::Nothing, Found::Value(value)) => NOTHING.contains(&value.as_str()),
            (Self::Is(expected), Found::Value(value)) => expected == value,
            (Self::Between(least, most), Found::Value(value)) => {
                value.parse().is_ok_and(|value: u64| (*least..=*most).contains(&value))
            }
            _ => false,
        }
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => formatter.write_str("done"),
            Self::Refused => formatter.write_str("refused"),
            Self::RefusedOrAbsent => formatter.write_str("refused or absent"),
            Self::Nothing => formatter.write_str("nothing"),
            Self::Unreachable => formatter.write_str("unreachable"),
            Self::Is(value) => formatter.write_str(value),
            Self::Between(least, most) => write!(formatter, "{least} to {most}"),
            Self::Anything => formatter.write_str("anything"),
        }
    }
}

/// Short text of a result.
pub(super) fn shown(found: &Found) -> String {
    match found {
        Found::Done => "done".to_owned(),
        Found::Refused(error) => error.clone(),
        Found::Value(value) if value.is_empty() => "nothing".to_owned(),
        Found::Value(value) => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(error: &str) -> Found {
        Found::Refused(error.to_owned())
    }

    fn value(value: &str) -> Found {
        Found::Value(value.to_owned())
    }

    #[test]
    fn arguments_that_were_looked_at_are_no_refusal() {
        for error in ["EINVAL", "EFAULT", "EBADF", "ESRCH", "E2BIG", "EAGAIN"] {
            assert!(!Expected::Refused.is_met_by(&refused(error)), "{error}");
            assert!(!Expected::RefusedOrAbsent.is_met_by(&refused(error)), "{error}");
        }
        assert!(Expected::Refused.is_met_by(&refused("EPERM")));
        assert!(!Expected::Refused.is_met_by(&refused("ENOENT")));
        assert!(Expected::RefusedOrAbsent.is_met_by(&refused("ENOENT")));
        assert!(!Expected::Refused.is_met_by(&Found::Done));
    }

    #[test]
    fn nothing_is_seen_where_a_place_is_empty_masked_or_absent() {
        for found in [value("empty"), value("0"), value(""), refused("EACCES"), refused("ENOENT")] {
            assert!(Expected::Nothing.is_met_by(&found), "{found:?}");
        }
        assert!(!Expected::Nothing.is_met_by(&value("content")));
        assert!(!Expected::Nothing.is_met_by(&Found::Done));
    }

    #[test]
    fn numbers_are_bounded_on_both_sides() {
        let expected = Expected::Between(1, 10);
        assert!(expected.is_met_by(&value("1")) && expected.is_met_by(&value("10")));
        assert!(!expected.is_met_by(&value("0")) && !expected.is_met_by(&value("11")));
        assert!(!expected.is_met_by(&value("many")) && !expected.is_met_by(&refused("EPERM")));
    }
}
