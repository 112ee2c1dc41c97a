//! Reference to a script by its name or id.

use std::convert::Infallible;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};
use utoipa::openapi::{OneOfBuilder, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::auth::Identity;
use super::problem::Problem;
use super::state::AppState;
use crate::domain::registry::{RegisteredScript, ScriptName};

/// A script's name or id; no name is a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ScriptRef {
    Id(i64),
    Name(String),
}

impl PartialSchema for ScriptRef {
    fn schema() -> RefOr<Schema> {
        let description = "A script's name, or its id";
        let either = OneOfBuilder::new().item(String::schema()).item(i64::schema());
        Schema::OneOf(either.description(Some(description)).build()).into()
    }
}

impl ToSchema for ScriptRef {}

impl ScriptRef {
    pub(crate) fn of_text(text: String) -> Self {
        match text.parse() {
            Ok(id) if text.bytes().all(|byte| byte.is_ascii_digit()) => Self::Id(id),
            _ => Self::Name(text),
        }
    }

    /// Returns the script, if the caller may see it.
    pub(crate) async fn find(
        &self,
        state: &AppState,
        identity: &Identity,
    ) -> Result<Option<RegisteredScript>, Problem> {
        let found = match self {
            Self::Id(id) => state.store.script(*id).await?,
            // An invalid name matches no script.
            Self::Name(name) => match ScriptName::new(name) {
                Ok(name) => state.store.script_named(name.as_str()).await?,
                Err(_) => None,
            },
        };
        Ok(found.filter(|script| identity.knows_script(script.id)))
    }
}

impl FromStr for ScriptRef {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self::of_text(text.to_owned()))
    }
}

impl<'de> Deserialize<'de> for ScriptRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl serde::de::Visitor<'_> for Reader {
            type Value = ScriptRef;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("a script's name or id")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<ScriptRef, E> {
                Ok(ScriptRef::of_text(text.to_owned()))
            }

            fn visit_i64<E: serde::de::Error>(self, id: i64) -> Result<ScriptRef, E> {
                Ok(ScriptRef::Id(id))
            }

            fn visit_u64<E: serde::de::Error>(self, id: u64) -> Result<ScriptRef, E> {
                // A number beyond all ids matches no script.
                Ok(ScriptRef::Id(i64::try_from(id).unwrap_or(i64::MAX)))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_an_id_and_everything_else_is_a_name() {
        let read = |json: &str| serde_json::from_str::<ScriptRef>(json);
        assert_eq!(read("7").unwrap(), ScriptRef::Id(7));
        assert_eq!(read("\"7\"").unwrap(), ScriptRef::Id(7));
        assert_eq!(read("\"a7\"").unwrap(), ScriptRef::Name("a7".to_owned()));
        assert_eq!(read("\"-7\"").unwrap(), ScriptRef::Name("-7".to_owned()));
        assert_eq!(read("\"\"").unwrap(), ScriptRef::Name(String::new()));
        assert_eq!(read("18446744073709551615").unwrap(), ScriptRef::Id(i64::MAX));
        assert!(read("1.5").is_err() && read("null").is_err() && read("[]").is_err());
    }
}
