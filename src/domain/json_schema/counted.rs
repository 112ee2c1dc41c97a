//! Documents that count how often they are read ([`super::reads`]).

use std::borrow::Cow;
use std::collections::HashSet;

use jsonschema::JsonType;
use jsonschema::json::{Array, Json, Node, NodeIdentity, Object};
use serde_json::{Number, Value};

use super::reads::count;
use super::tree::{Member, Text, Tree};

/// Bytes of a string that count as one read, because they are compared, counted and
/// matched.
const BYTES_PER_READ: usize = 64;

/// JSON representation that counts reads.
pub(super) struct CountedJson;

/// Value that counts reads.
#[derive(Clone, Copy)]
pub(super) struct Counted<'a>(pub(super) &'a Tree<'a>);

/// Members of an object.
pub(super) struct Members<'a>(&'a [Member<'a>]);

/// Elements of an array.
pub(super) struct Elements<'a>(&'a [Tree<'a>]);

impl Json for CountedJson {
    type Node<'a> = Counted<'a>;
    type PreparedKey = String;
    type StringBuffer = ();

    fn prepare_key(key: &str) -> String {
        key.to_owned()
    }

    fn with_string_node<T>((): &mut (), string: &str, f: impl FnOnce(Counted<'_>) -> T) -> T {
        f(Counted(&Tree::Text(Text::Borrowed(string))))
    }
}

impl<'a> Node<'a, CountedJson> for Counted<'a> {
    type Object = Members<'a>;
    type Array = Elements<'a>;
    type Number = &'a Number;

    fn as_object(&self) -> Option<Members<'a>> {
        count(1);
        if let Tree::Object(members) = self.0 { Some(Members(members)) } else { None }
    }

    fn as_array(&self) -> Option<Elements<'a>> {
        count(1);
        if let Tree::Array(elements) = self.0 { Some(Elements(elements)) } else { None }
    }

    fn as_string(&self) -> Option<Cow<'a, str>> {
        let text = if let Tree::Text(text) = self.0 { Some(text.as_str()) } else { None };
        count(1 + text.map_or(0, str::len) as u64 / BYTES_PER_READ as u64);
        text.map(Cow::Borrowed)
    }

    fn as_number(&self) -> Option<&'a Number> {
        count(1);
        if let Tree::Number(number) = self.0 { Some(number) } else { None }
    }

    fn as_boolean(&self) -> Option<bool> {
        count(1);
        if let Tree::Bool(value) = self.0 { Some(*value) } else { None }
    }

    fn is_null(&self) -> bool {
        count(1);
        matches!(self.0, Tree::Null)
    }

    fn json_type(&self) -> JsonType {
        count(1);
        match self.0 {
            Tree::Null => JsonType::Null,
            Tree::Bool(_) => JsonType::Boolean,
            Tree::Number(_) => JsonType::Number,
            Tree::Text(_) => JsonType::String,
            Tree::Array(_) => JsonType::Array,
            Tree::Object(_) => JsonType::Object,
        }
    }

    fn equals_value(&self, expected: &Value) -> bool {
        self.0.equals(expected)
    }

    /// Errors hold the value, but our messages never repeat it: a constant stands in for
    /// all.
    fn to_value(&self) -> Cow<'a, Value> {
        count(1);
        Cow::Owned(Value::Null)
    }

    fn identity(&self) -> Option<NodeIdentity> {
        count(1);
        Some(NodeIdentity::new(std::ptr::from_ref(self.0).addr()))
    }
}

impl<'a> Object<'a, CountedJson> for Members<'a> {
    type Node = Counted<'a>;
    type MemberName = &'a str;
    type MembersIter = std::iter::Map<
        std::slice::Iter<'a, Member<'a>>,
        fn(&'a Member<'a>) -> (&'a str, Counted<'a>),
    >;

    fn len(&self) -> usize {
        self.0.len()
    }

    fn get(&self, key: &String) -> Option<Counted<'a>> {
        count(1);
        let found = self.0.binary_search_by(|(name, _)| name.as_str().cmp(key));
        found.ok().and_then(|at| self.0.get(at)).map(|(_, value)| Counted(value))
    }

    fn members(&self) -> Self::MembersIter {
        count(self.0.len() as u64);
        self.0.iter().map(|(name, value)| (name.as_str(), Counted(value)))
    }
}

impl<'a> Array<'a, CountedJson> for Elements<'a> {
    type Node = Counted<'a>;
    type ElementsIter =
        std::iter::Map<std::slice::Iter<'a, Tree<'a>>, fn(&'a Tree<'a>) -> Counted<'a>>;

    fn len(&self) -> usize {
        self.0.len()
    }

    fn elements(&self) -> Self::ElementsIter {
        count(self.0.len() as u64);
        self.0.iter().map(Counted)
    }

    fn is_unique(&self) -> bool {
        count(self.0.len() as u64);
        let mut seen = HashSet::new();
        self.0.iter().all(|element| seen.insert(element))
    }
}
