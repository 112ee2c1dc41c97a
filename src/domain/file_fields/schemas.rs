//! Schemas of the values of a document, as far as they lead to files.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use serde_json::Value;

use super::Demands;

/// Most schemas that one value is followed through; beyond it files are not found, which
/// the caller is told as an unknown name of a file.
const MAX_SCHEMAS: usize = 100;

/// Most schemas that are looked at for one document: well below a second of work.
const MAX_STEPS: u64 = 20_000_000;

/// Keywords with schemas of the same value: one, or a list.
const OF_THE_SAME: [&str; 5] = ["allOf", "anyOf", "oneOf", "then", "else"];

/// Schemas below one root.
pub(super) struct Schemas<'a> {
    root: &'a Value,
    /// Schemas that may lead to a file, by their address.
    leads: RefCell<HashMap<usize, bool>>,
    steps: Cell<u64>,
}

impl<'a> Schemas<'a> {
    pub(super) fn new(root: &'a Value) -> Self {
        Self { root, leads: RefCell::default(), steps: Cell::default() }
    }

    /// True if any text of the document may be a file.
    pub(super) fn has_files(&self) -> bool {
        names_a_file(self.root)
    }

    /// True if more schemas were looked at than may be.
    pub(super) fn are_exhausted(&self) -> bool {
        self.steps.get() > MAX_STEPS
    }

    pub(super) fn of_root(&self) -> Vec<&'a Value> {
        self.expanded([self.root])
    }

    /// Schemas of an object's member.
    pub(super) fn of_member(&self, schemas: &[&'a Value], name: &str) -> Vec<&'a Value> {
        let own = schemas.iter().filter_map(|schema| {
            let named = schema.get("properties").and_then(|all| all.get(name));
            named.or_else(|| schema.get("additionalProperties"))
        });
        self.expanded(own)
    }

    /// Schemas of an array's element.
    pub(super) fn of_element(&self, schemas: &[&'a Value], index: usize) -> Vec<&'a Value> {
        let own = schemas.iter().filter_map(|schema| {
            let at_place = schema.get("prefixItems").and_then(|all| all.get(index));
            at_place.or_else(|| match schema.get("items") {
                // Of earlier drafts: one for each place.
                Some(Value::Array(all)) => all.get(index),
                items => items,
            })
        });
        self.expanded(own)
    }

    /// These schemas and all that are of the same value, as far as they lead to files.
    fn expanded(&self, schemas: impl IntoIterator<Item = &'a Value>) -> Vec<&'a Value> {
        let mut all: Vec<&Value> = Vec::new();
        let mut next: Vec<_> = schemas.into_iter().collect();
        while let Some(schema) = next.pop().filter(|_| !self.are_exhausted()) {
            self.steps.set(self.steps.get() + 1 + all.len() as u64);
            let is_known = all.iter().any(|it| std::ptr::eq(*it, schema));
            if is_known || all.len() >= MAX_SCHEMAS || !self.may_lead(schema) {
                continue;
            }
            all.push(schema);
            next.extend(self.referred(schema));
            for keyword in OF_THE_SAME {
                match schema.get(keyword) {
                    Some(Value::Array(several)) => next.extend(several),
                    Some(one) => next.push(one),
                    None => {}
                }
            }
        }
        all
    }

    /// Schema that another one refers to, within the same document.
    fn referred(&self, schema: &Value) -> Option<&'a Value> {
        let pointer = schema.get("$ref")?.as_str()?.strip_prefix('#')?;
        self.root.pointer(pointer)
    }

    fn may_lead(&self, schema: &'a Value) -> bool {
        let address = std::ptr::from_ref(schema).addr();
        if let Some(known) = self.leads.borrow().get(&address) {
            return *known;
        }
        let leads = names_a_file(schema) || refers(schema);
        self.leads.borrow_mut().insert(address, leads);
        leads
    }
}

/// Demands of all schemas of a text together; `None` if none calls it a file.
pub(super) fn demands(schemas: &[&Value]) -> Option<Demands> {
    let text = |schema: &Value, keyword| schema.get(keyword)?.as_str().map(str::to_owned);
    let formats = schemas.iter().filter_map(|it| is_folder(it.get("format")?));
    let is_folder = formats.reduce(|one, other| one || other)?;
    let media_type = schemas.iter().find_map(|it| text(it, "contentMediaType"));
    let bounds = schemas.iter().filter_map(|it| it.get("x-max-bytes")?.as_u64());
    Some(Demands { is_folder, media_type, max_bytes: bounds.min() })
}

/// True for a folder's format, and false for a file's; `None` for all others.
fn is_folder(format: &Value) -> Option<bool> {
    match format.as_str()? {
        "gantry-file" => Some(false),
        "gantry-folder" => Some(true),
        _ => None,
    }
}

fn names_a_file(schema: &Value) -> bool {
    any(schema, &|name, value| name == "format" && is_folder(value).is_some())
}

fn refers(schema: &Value) -> bool {
    any(schema, &|name, _| name == "$ref")
}

/// True if a member at any depth is meant. Schemas are bounded when they are registered.
fn any(value: &Value, is_meant: &impl Fn(&str, &Value) -> bool) -> bool {
    match value {
        Value::Object(members) => {
            members.iter().any(|(name, it)| is_meant(name, it) || any(it, is_meant))
        }
        Value::Array(elements) => elements.iter().any(|it| any(it, is_meant)),
        _ => false,
    }
}
