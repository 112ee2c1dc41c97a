//! Documents that count how often they are read. A schema of a few lines can make a
//! validator read a document more often than time allows, or recurse deeper than the stack;
//! both are stopped here.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use jsonschema::JsonType;
use jsonschema::json::{Array, Json, Node, NodeIdentity, Object};
use serde_json::{Number, Value};

use super::tree::{Member, Text, Tree};

/// Most stack that a validation may use, in bytes (1 MiB): half of the smallest of our
/// threads' stacks (2 MiB, the default of the standard library and of tokio).
const MAX_STACK_BYTES: usize = 1024 * 1024;

/// Bytes of a string that count as one read, because they are compared, counted and
/// matched.
const BYTES_PER_READ: usize = 64;

thread_local! {
    /// Reads that are left.
    static LEFT: Cell<u64> = const { Cell::new(0) };
    /// Stack pointer at the start of the validation.
    static TOP: Cell<usize> = const { Cell::new(0) };
}

/// Marks a validation that was stopped.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Exhausted;

/// Runs a validation that may read its document at most `reads` times.
pub(super) fn within<T>(reads: u64, validation: impl FnOnce() -> T) -> Result<T, Exhausted> {
    LEFT.set(reads);
    TOP.set(stack_pointer());
    // Unwinding is the only way to stop the validator. Its state is dropped. A panic of the
    // validator counts as no answer, too.
    catch_unwind(AssertUnwindSafe(validation)).map_err(|_| Exhausted)
}

/// Counts reads, and stops the validation after too many.
pub(super) fn count(reads: u64) {
    let left = LEFT.get().checked_sub(reads);
    let depth = TOP.get().abs_diff(stack_pointer());
    match left.filter(|_| depth < MAX_STACK_BYTES) {
        Some(left) => LEFT.set(left),
        // Unwinds without a message: this is not a panic.
        None => resume_unwind(Box::new(Exhausted)),
    }
}

/// Reads that the last validation of this thread had left.
#[cfg(test)]
pub(super) fn left() -> u64 {
    LEFT.get()
}

/// Approximate stack pointer.
#[inline(never)]
fn stack_pointer() -> usize {
    let here = 0_u8;
    std::ptr::from_ref(std::hint::black_box(&here)).addr()
}

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
