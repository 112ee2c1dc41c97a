//! Counts the paths through a schema that do not read the document: `allOf` of two
//! references to an `allOf` of two references doubles them with every line. Paths that read
//! the document are counted in [`super::reads`]; these are counted here, before
//! compilation.

use std::collections::HashMap;

use serde_json::Value;

/// Keywords that apply one schema to the same place of the document.
const ONE: [&str; 4] = ["not", "if", "then", "else"];

/// Keywords that apply a list of schemas.
const LISTS: [&str; 3] = ["allOf", "anyOf", "oneOf"];

/// Keywords that apply schemas by name.
const MAPS: [&str; 2] = ["dependentSchemas", "dependencies"];

/// Paths through a schema, as far as they can be followed.
#[derive(Default)]
pub(super) struct Branches<'a> {
    root: Option<&'a Value>,
    /// Paths from each schema that was visited; `None` during the visit.
    known: HashMap<*const Value, Option<u64>>,
    /// Number of references that were not followed: they lead elsewhere than to `#` or
    /// `#/…` of the whole document.
    pub(super) unfollowed: usize,
}

impl<'a> Branches<'a> {
    /// Most paths from any schema in this one.
    pub(super) fn most(&mut self, root: &'a Value) -> u64 {
        self.root = Some(root);
        let mut most = 0;
        let mut waiting = vec![root];
        while let Some(value) = waiting.pop() {
            match value {
                Value::Object(members) => {
                    most = most.max(self.from(value));
                    // With an `$id` of its own, `#` means another place.
                    let is_resource = !std::ptr::eq(value, root) && members.contains_key("$id");
                    self.unfollowed += usize::from(is_resource);
                    waiting.extend(members.values());
                }
                Value::Array(elements) => waiting.extend(elements),
                _ => {}
            }
        }
        most
    }

    /// Paths from one schema. Recursion is bounded by the number of references and the
    /// depth of the schema.
    fn from(&mut self, schema: &'a Value) -> u64 {
        let Some(members) = schema.as_object() else { return 1 };
        match self.known.get(&std::ptr::from_ref(schema)) {
            Some(Some(ways)) => return *ways,
            // A cycle: the validator breaks it, and reads the document.
            Some(None) => return 1,
            None => self.known.insert(schema, None),
        };
        let mut next: Vec<&'a Value> = Vec::new();
        next.extend(ONE.iter().filter_map(|name| members.get(*name)));
        let lists = LISTS.iter().filter_map(|name| members.get(*name)?.as_array());
        next.extend(lists.flatten());
        let maps = MAPS.iter().filter_map(|name| members.get(*name)?.as_object());
        next.extend(maps.flat_map(|map| map.values()));
        let referred = members.get("$ref").and_then(Value::as_str);
        let target = referred.and_then(|reference| self.target(reference));
        next.extend(target);
        self.unfollowed += usize::from(referred.is_some() && target.is_none())
            + usize::from(members.contains_key("$dynamicRef"))
            + usize::from(members.contains_key("$recursiveRef"));
        let ways = next.into_iter().fold(1_u64, |ways, it| ways.saturating_add(self.from(it)));
        self.known.insert(schema, Some(ways));
        ways
    }

    fn target(&self, reference: &str) -> Option<&'a Value> {
        let pointer = reference.strip_prefix('#')?;
        // A pointer that is URL-encoded counts as not followed.
        if pointer.contains('%') { None } else { self.root?.pointer(pointer) }
    }
}
