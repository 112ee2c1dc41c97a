//! A package without a wheel for the version of Python that it is to be installed for,
//! from the installer's message.

use std::fmt;

use crate::domain::script_type::python::PythonVersion;

/// Longest name of a package with its version, in bytes.
const MAX_NAME: usize = 200;

/// A package that has wheels, and none that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingWheel {
    package: String,
    /// The version of Python that has none.
    python: String,
    /// Versions that have one, oldest first.
    others: Vec<PythonVersion>,
}

impl MissingWheel {
    /// Parses the installer's message after it has asked the index for each version: `…:
    /// numpy==1.24.0 has no wheel for Python 3.13; it has wheels for 3.10, 3.11`.
    pub(super) fn said_in(words: &str, python: &str) -> Option<Self> {
        let marker = format!(" has no wheel for Python {python}; it has wheels for ");
        let (before, after) = words.lines().find_map(|line| line.split_once(&marker))?;
        let package = before.rsplit(' ').next().filter(|it| it.len() <= MAX_NAME)?.to_owned();
        let others: Vec<_> = after.trim().split(", ").filter_map(|it| it.parse().ok()).collect();
        (!others.is_empty()).then(|| Self { package, python: python.to_owned(), others })
    }

    /// The newest version of Python that has a wheel.
    pub(super) fn usable(&self) -> Option<PythonVersion> {
        self.others.last().copied()
    }
}

impl fmt::Display for MissingWheel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { package, python, .. } = self;
        write!(formatter, "{package} has no wheel for Python {python}; it has wheels for ")?;
        let (Some(first), Some(last)) = (self.others.first(), self.others.last()) else {
            return formatter.write_str("none");
        };
        let between = PythonVersion::ALL.iter().filter(|it| (first..=last).contains(it));
        if between.count() == self.others.len() && self.others.len() > 2 {
            return write!(formatter, "{first} to {last}");
        }
        let names: Vec<_> = self.others.iter().map(|version| version.name()).collect();
        formatter.write_str(&names.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing(versions: &str) -> Option<MissingWheel> {
        let line =
            "gantry: resolve failed: numpy==1.24.0 has no wheel for Python 3.13; it has wheels";
        MissingWheel::said_in(&format!("error: no\n{line} for {versions}\n"), "3.13")
    }

    #[test]
    fn the_versions_that_have_wheels_are_named() {
        let missing = missing("3.10, 3.11, 3.12").unwrap();
        let expected = "numpy==1.24.0 has no wheel for Python 3.13; it has wheels for 3.10 to 3.12";
        assert_eq!(missing.to_string(), expected);
        assert_eq!(missing.usable(), Some(PythonVersion::Python312));
    }

    #[test]
    fn few_versions_are_listed() {
        let missing = missing("3.10, 3.12").unwrap();
        assert!(missing.to_string().ends_with(" it has wheels for 3.10, 3.12"), "{missing}");
    }

    #[test]
    fn other_words_say_nothing() {
        for versions in ["", "none", "4.1"] {
            assert_eq!(missing(versions), None);
        }
        assert_eq!(MissingWheel::said_in("error: no", "3.13"), None);
    }
}
