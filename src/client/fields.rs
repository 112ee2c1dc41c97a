//! The body of a request: an object of the fields that were given, and no
//! others, for what is missing stays as it is.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::error::ClientError;

/// An object to send.
#[derive(Debug, Default, Serialize)]
#[serde(transparent)]
pub struct Fields(BTreeMap<&'static str, Box<RawValue>>);

impl Fields {
    /// Sets a field.
    ///
    /// # Errors
    /// [`ClientError::Request`] when JSON has no such value.
    pub fn set(&mut self, name: &'static str, value: &impl Serialize) -> Result<(), ClientError> {
        let value = to_raw_value(value).map_err(ClientError::Request)?;
        self.0.insert(name, value);
        Ok(())
    }

    /// Sets a field, if there is something to set it to.
    ///
    /// # Errors
    /// The same.
    pub fn set_some(
        &mut self,
        name: &'static str,
        value: Option<&impl Serialize>,
    ) -> Result<(), ClientError> {
        value.map_or(Ok(()), |value| self.set(name, value))
    }

    /// Sets a field to a list, unless that is empty.
    ///
    /// # Errors
    /// The same.
    pub fn set_list(&mut self, name: &'static str, values: &[String]) -> Result<(), ClientError> {
        if values.is_empty() { Ok(()) } else { self.set(name, &values) }
    }

    /// Sets a field to a document as it is: numbers that no `f64` holds stay what
    /// they are.
    ///
    /// # Errors
    /// The same, when it is not JSON.
    pub fn set_json(&mut self, name: &'static str, json: &str) -> Result<(), ClientError> {
        let value = RawValue::from_string(json.to_owned()).map_err(ClientError::Request)?;
        self.0.insert(name, value);
        Ok(())
    }

    /// True when there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_given_is_sent_and_documents_as_they_are() {
        let mut fields = Fields::default();
        fields.set("b", &1).unwrap();
        fields.set_some("missing", None::<&u8>).unwrap();
        fields.set_list("empty", &[]).unwrap();
        fields.set_json("a", " 1e999 ").unwrap();
        assert_eq!(serde_json::to_string(&fields).unwrap(), r#"{"a":1e999,"b":1}"#);
        assert!(fields.set_json("c", "{").is_err());
    }
}
