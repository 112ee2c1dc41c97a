//! Modules of a Python script that are imported before its request arrives. Pure.

use std::fmt;

use serde::de::{self, Deserializer, SeqAccess, Visitor};
use serde::ser::{SerializeSeq, Serializer};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Most modules in a list.
pub const MAX_MODULES: usize = 64;

/// Longest name of a module, in bytes.
pub const MAX_MODULE_NAME: usize = 200;

/// Modules that a warm interpreter imports. In JSON: `true`, `false`, or the list of
/// modules.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub enum Preload {
    /// The imports at the top of the script.
    #[default]
    Automatic,
    /// None: the interpreter starts with the request.
    Off,
    /// These modules, in this order.
    Modules(Vec<String>),
}

/// Reason why a list of modules is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PreloadError {
    /// There are too many modules.
    #[error("{0} modules, at most {MAX_MODULES} are allowed")]
    TooMany(usize),
    /// The text is not the name of a module.
    #[error("{0:?} is not the name of a module, such as `numpy` or `PIL.Image`")]
    Name(String),
}

impl Preload {
    /// Checks a list of modules.
    ///
    /// # Errors
    /// [`PreloadError`].
    pub fn modules(names: Vec<String>) -> Result<Self, PreloadError> {
        if names.len() > MAX_MODULES {
            return Err(PreloadError::TooMany(names.len()));
        }
        match names.iter().find(|name| !is_module_name(name)) {
            Some(name) => Err(PreloadError::Name(name.chars().take(40).collect())),
            None => Ok(Self::Modules(names)),
        }
    }
}

/// True for identifiers separated by dots. Identifiers in Python may be of any script, not
/// only Latin.
fn is_module_name(name: &str) -> bool {
    let is_identifier = |part: &str| {
        let mut characters = part.chars();
        let first = characters.next().is_some_and(|c| c.is_alphabetic() || c == '_');
        first && characters.all(|c| c.is_alphanumeric() || c == '_')
    };
    name.len() <= MAX_MODULE_NAME && name.split('.').all(is_identifier)
}

impl Serialize for Preload {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Automatic => serializer.serialize_bool(true),
            Self::Off => serializer.serialize_bool(false),
            Self::Modules(names) => {
                let mut list = serializer.serialize_seq(Some(names.len()))?;
                names.iter().try_for_each(|name| list.serialize_element(name))?;
                list.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Preload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PreloadVisitor)
    }
}

struct PreloadVisitor;

impl<'de> Visitor<'de> for PreloadVisitor {
    type Value = Preload;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("true, false or a list of modules")
    }

    fn visit_bool<E: de::Error>(self, is_on: bool) -> Result<Preload, E> {
        Ok(if is_on { Preload::Automatic } else { Preload::Off })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Preload, A::Error> {
        let mut names = Vec::new();
        while let Some(name) = list.next_element()? {
            names.push(name);
            if names.len() > MAX_MODULES {
                break;
            }
        }
        Preload::modules(names).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(json: &str) -> Result<Preload, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn it_is_a_switch_or_a_list() {
        for (json, preload) in [
            ("true", Preload::Automatic),
            ("false", Preload::Off),
            ("[]", Preload::Modules(vec![])),
            (
                r#"["numpy","PIL.Image"]"#,
                Preload::Modules(vec!["numpy".into(), "PIL.Image".into()]),
            ),
        ] {
            assert_eq!(parsed(json).as_ref(), Ok(&preload));
            assert_eq!(serde_json::to_string(&preload).unwrap(), json);
        }
    }

    #[test]
    fn a_module_has_the_name_of_one() {
        for name in
            ["", ".", "a.", ".a", "a..b", "1a", "a b", "a-b", "os;x", "a\n", &"a".repeat(201)]
        {
            assert!(Preload::modules(vec![name.to_owned()]).is_err(), "{name:?}");
        }
        assert!(Preload::modules(vec!["_x.y1.größe".to_owned()]).is_ok());
        let error = parsed(r#"["os; import evil"]"#).unwrap_err();
        assert!(error.contains("is not the name of a module"), "{error}");
    }

    #[test]
    fn a_list_is_bounded() {
        let names = |count: usize| vec!["m"; count];
        assert!(parsed(&serde_json::to_string(&names(64)).unwrap()).is_ok());
        assert!(parsed(&serde_json::to_string(&names(65)).unwrap()).is_err());
        for json in ["1", "null", "\"numpy\"", "{}", "[1]"] {
            assert!(parsed(json).is_err(), "{json}");
        }
    }
}
