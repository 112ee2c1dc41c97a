//! Compact tree of a document: 24 bytes per value and 48 per member, with texts borrowed
//! from the document. `serde_json`'s own tree takes 640 bytes for an object of one member.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use jsonschema::json::cmp::equal_numbers;
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Number, Value};

use super::reads::count;
use crate::domain::json_shape::Shape;

/// Size of a value in an array, and of a member in an object, in bytes.
const ELEMENT_BYTES: usize = size_of::<Tree<'_>>();
const MEMBER_BYTES: usize = size_of::<Member<'_>>();

/// Bytes that the allocator takes for an array or object beside its values, including
/// unused capacity.
const CONTAINER_BYTES: usize = 80;

/// JSON value.
#[derive(Debug)]
pub(super) enum Tree<'a> {
    Null,
    Bool(bool),
    Number(Number),
    Text(Text<'a>),
    Array(Box<[Tree<'a>]>),
    /// Members by name, each once.
    Object(Box<[Member<'a>]>),
}

/// Name and value.
pub(super) type Member<'a> = (Text<'a>, Tree<'a>);

/// Text borrowed from the document, or unescaped.
#[derive(Debug)]
pub(super) enum Text<'a> {
    Borrowed(&'a str),
    Owned(Box<str>),
}

/// Upper bound of a document's tree with its texts, in bytes.
pub(super) fn bytes_of(document: &str) -> usize {
    let Shape { elements, members, containers } = Shape::of(document);
    elements * ELEMENT_BYTES
        + members * MEMBER_BYTES
        + containers * CONTAINER_BYTES
        + document.len()
}

impl Text<'_> {
    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Borrowed(text) => text,
            Self::Owned(text) => text,
        }
    }
}

impl Tree<'_> {
    /// True if it equals a value of a schema; numbers are compared by value.
    pub(super) fn equals(&self, expected: &Value) -> bool {
        count(1);
        match (self, expected) {
            (Self::Null, Value::Null) => true,
            (Self::Bool(one), Value::Bool(other)) => one == other,
            (Self::Number(one), Value::Number(other)) => equal_numbers(one, other),
            (Self::Text(one), Value::String(other)) => one.as_str() == other,
            (Self::Array(one), Value::Array(other)) => {
                one.len() == other.len() && one.iter().zip(other).all(|(one, it)| one.equals(it))
            }
            (Self::Object(one), Value::Object(other)) => {
                // Both are sorted by name.
                one.len() == other.len()
                    && one.iter().zip(other).all(|((name, one), (other_name, other))| {
                        name.as_str() == other_name && one.equals(other)
                    })
            }
            _ => false,
        }
    }
}

/// Equality for `uniqueItems` of JSON Schema; every read is counted.
impl PartialEq for Tree<'_> {
    fn eq(&self, other: &Self) -> bool {
        count(1);
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(one), Self::Bool(other)) => one == other,
            (Self::Number(one), Self::Number(other)) => equal_numbers(one, other),
            (Self::Text(one), Self::Text(other)) => one == other,
            (Self::Array(one), Self::Array(other)) => one == other,
            (Self::Object(one), Self::Object(other)) => one == other,
            _ => false,
        }
    }
}

impl Eq for Tree<'_> {}

impl Hash for Tree<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        count(1);
        std::mem::discriminant(self).hash(state);
        match self {
            Self::Null => {}
            Self::Bool(value) => value.hash(state),
            // Equal numbers are the same double; zero has two.
            Self::Number(number) => {
                let float = number.as_f64().unwrap_or_default();
                (if float == 0.0 { 0.0_f64 } else { float }).to_bits().hash(state);
            }
            Self::Text(text) => text.as_str().hash(state),
            Self::Array(elements) => elements.hash(state),
            Self::Object(members) => members.hash(state),
        }
    }
}

impl PartialEq for Text<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Text<'_> {}

impl Hash for Text<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl Ord for Text<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl PartialOrd for Text<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Text<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a text")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text::Borrowed(text))
            }

            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text::Owned(text.into()))
            }
        }
        deserializer.deserialize_str(Reader)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Tree<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Tree<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Tree<'de>, E> {
        Ok(Tree::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Tree<'de>, E> {
        Ok(Tree::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Tree<'de>, E> {
        Ok(Tree::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Tree<'de>, E> {
        Ok(Tree::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Tree<'de>, E> {
        let number = Number::from_f64(value).map(Tree::Number);
        number.ok_or_else(|| E::custom("a number is out of range"))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Tree<'de>, E> {
        Ok(Tree::Text(Text::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Tree<'de>, E> {
        Ok(Tree::Text(Text::Owned(text.into())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Tree<'de>, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = sequence.next_element()? {
            elements.push(element);
        }
        Ok(Tree::Array(elements.into()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree<'de>, A::Error> {
        let mut members: Vec<Member<'de>> = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        members.sort_by(|(one, _), (other, _)| one.cmp(other));
        // If a name appears twice, the last value counts.
        members.dedup_by(|later, earlier| {
            let is_twice = later.0 == earlier.0;
            if is_twice {
                std::mem::swap(later, earlier);
            }
            is_twice
        });
        Ok(Tree::Object(members.into()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::domain::json_schema::reads::within;

    fn counting<T>(action: impl FnOnce() -> T) -> T {
        within(u64::MAX, action).unwrap()
    }

    fn tree(text: &str) -> Tree<'_> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_tree_takes_little() {
        assert_eq!((ELEMENT_BYTES, MEMBER_BYTES), (24, 48));
        let document = format!("[{}1]", "{\"\":0},".repeat(100_000));
        assert!(bytes_of(&document) < 25 * document.len(), "{}", bytes_of(&document));
    }

    #[test]
    fn of_a_name_that_is_there_twice_the_last_value_counts() {
        let read = tree(r#"{"b": 1, "a": 2, "\u0062": 3, "b": [4]}"#);
        assert!(counting(|| read.equals(&json!({"a": 2, "b": [4]}))));
    }

    #[test]
    fn numbers_are_equal_by_what_they_are() {
        for (one, other) in [("1", "1.0"), ("0", "-0.0"), ("100", "1e2"), ("[1]", "[10e-1]")] {
            let (one, other) = (tree(one), tree(other));
            assert!(counting(|| one == other && HashSet::from([&one]).contains(&other)));
        }
        assert!(counting(|| tree("9007199254740993") != tree("9007199254740992.0")));
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "[a-c\"\\\\é\n]{0,3}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[ab\"é]{0,2}", inner, 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_read_is_what_was_written(one in value(), other in value()) {
            let (one_text, other_text) = (one.to_string(), other.to_string());
            let (read, other_read) = (tree(&one_text), tree(&other_text));
            counting(|| {
                assert!(read.equals(&one));
                assert_eq!(read.equals(&other), one == other);
                assert_eq!(read == other_read, one == other);
            });
        }
    }
}
