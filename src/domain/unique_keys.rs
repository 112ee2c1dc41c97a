//! JSON in which no object has a name twice. Readers differ in which value they use, so the
//! sender may mean another one.

use std::cell::Cell;
use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::json_schema::MAX_SCHEMA_BYTES;
use super::sanitize::sanitize;

/// Most values. More of them exceed every document that is read this way
/// ([`MAX_SCHEMA_BYTES`]), and their tree would take many times that size.
const MAX_VALUES: usize = MAX_SCHEMA_BYTES / 2;

/// Reads a value as it was written, including null; `None` means that the field is absent.
///
/// # Errors
/// Those of the deserializer; one for a duplicate name, and one for too many values.
pub fn once<'de, D>(deserializer: D) -> Result<Option<Option<Value>>, D::Error>
where
    D: Deserializer<'de>,
{
    let value = Reader(&Cell::new(MAX_VALUES)).deserialize(deserializer)?;
    Ok(Some(Some(value).filter(|value| !value.is_null())))
}

/// Reads a value, and counts the values that are left.
#[derive(Clone, Copy)]
struct Reader<'a>(&'a Cell<usize>);

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        let left = self.0.get().checked_sub(1);
        let too_many = || D::Error::custom(format!("more than {MAX_VALUES} values"));
        self.0.set(left.ok_or_else(too_many)?);
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        let number = Number::from_f64(value).map(Value::Number);
        number.ok_or_else(|| E::custom("a number is out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(element) = elements.next_element_seed(self)? {
            array.push(element);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            if object.contains_key(&name) {
                let detail = format!("{:?} is there more than once", sanitize(&name));
                return Err(A::Error::custom(detail));
            }
            object.insert(name, members.next_value_seed(self)?);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    struct Body {
        #[serde(default, deserialize_with = "once")]
        a: Option<Option<Value>>,
    }

    fn read(text: &str) -> Result<Option<Option<Value>>, String> {
        let body: Result<Body, _> = serde_json::from_str(&format!("{{\"a\": {text}}}"));
        body.map(|body| body.a).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_there_once_is_read_as_it_is() {
        assert_eq!(serde_json::from_str::<Body>("{}").unwrap().a, None);
        assert_eq!(read("null"), Ok(Some(None)));
        for text in
            ["{}", "[1, -1, 1.5, 1e300, \"\\u00e4\", null, true]", "[{\"x\": 1}, {\"x\": 2}]"]
        {
            let value = serde_json::from_str(text).unwrap();
            assert_eq!(read(text), Ok(Some(Some(value))), "{text}");
        }
    }

    #[test]
    fn a_name_that_is_there_twice_is_refused_wherever_it_is() {
        for text in ["{\"x\": 1, \"x\": 1}", "[[{\"x\": 1, \"y\": 2, \"\\u0078\": 3}]]"] {
            let fault = read(text).unwrap_err();
            assert!(fault.contains("\"x\" is there more than once"), "{fault}");
        }
    }

    #[test]
    fn values_are_counted_while_they_are_read() {
        let many = |count: usize| format!("[{}0]", "0,".repeat(count - 2));
        assert!(read(&many(MAX_VALUES)).is_ok());
        assert!(read(&many(MAX_VALUES + 1)).unwrap_err().contains("more than 131072 values"));
        let objects = format!("[{}0]", "{\"\":{}},".repeat(MAX_VALUES / 2));
        assert!(read(&objects).unwrap_err().contains("more than 131072 values"));
    }

    proptest! {
        #[test]
        fn any_text_answers(text in any::<String>()) {
            let _ = read(&text);
        }
    }
}
