//! How many ways lead through a schema without looking at a document: `allOf` of
//! two references to an `allOf` of two references doubles them with every line.
//! What looks at the document is counted there ([`super::counted`]); this is
//! counted here, before anything is compiled.

use std::collections::HashMap;

use serde_json::Value;

/// Keywords that apply one schema to the same place of the document.
const ONE: [&str; 4] = ["not", "if", "then", "else"];

/// Keywords that apply several, in a list.
const LISTS: [&str; 3] = ["allOf", "anyOf", "oneOf"];

/// Keywords that apply several, by names.
const MAPS: [&str; 2] = ["dependentSchemas", "dependencies"];

/// Ways through a schema, as far as they could be followed.
#[derive(Default)]
pub(super) struct Branches<'a> {
    root: Option<&'a Value>,
    /// The ways from each schema that was looked at; `None` while it is.
    known: HashMap<*const Value, Option<u64>>,
    /// References to other places than `#` and `#/…` of the whole document:
    /// where they lead was not looked at.
    pub(super) unfollowed: usize,
}

impl<'a> Branches<'a> {
    /// The most ways from any schema in this one.
    pub(super) fn most(&mut self, root: &'a Value) -> u64 {
        self.root = Some(root);
        let mut most = 0;
        let mut waiting = vec![root];
        while let Some(value) = waiting.pop() {
            match value {
                Value::Object(members) => {
                    most = most.max(self.from(value));
                    // With a base of its own, `#` means another place.
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

    /// The ways from one schema. Bounded in depth by the number of references and
    /// the depth of the schema.
    fn from(&mut self, schema: &'a Value) -> u64 {
        let Some(members) = schema.as_object() else { return 1 };
        match self.known.get(&std::ptr::from_ref(schema)) {
            Some(Some(ways)) => return *ways,
            // A circle: the validator breaks it, and looks at the document.
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
        // What is encoded as in a URL is counted among those not followed.
        if pointer.contains('%') { None } else { self.root?.pointer(pointer) }
    }
}
