//! JSON in which no object has a name twice. Readers differ in which of the two
//! counts, so whoever wrote it may mean something else than what is done.

use std::fmt;

use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Number, Value};

use super::excerpt::excerpt;

/// A value as it was written, null among them; `None` stands for a field that is
/// not there.
///
/// # Errors
/// Those of the deserializer, and one where a name is there more than once.
pub fn once<'de, D>(deserializer: D) -> Result<Option<Option<Value>>, D::Error>
where
    D: Deserializer<'de>,
{
    let value = Option::<Once>::deserialize(deserializer)?;
    Ok(Some(value.map(|Once(value)| value)))
}

struct Once(Value);

impl<'de> Deserialize<'de> for Once {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader).map(Self)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
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
        while let Some(Once(element)) = elements.next_element()? {
            array.push(element);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some((name, Once(member))) = members.next_entry::<String, Once>()? {
            if object.contains_key(&name) {
                let detail = format!("{:?} is there more than once", excerpt(&name));
                return Err(A::Error::custom(detail));
            }
            object.insert(name, member);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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

    proptest! {
        #[test]
        fn any_text_answers(text in any::<String>()) {
            let _ = read(&text);
        }
    }
}
