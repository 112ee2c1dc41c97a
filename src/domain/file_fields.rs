//! Fields of an input that are files: texts whose schema has the format `gantry-file` or
//! `gantry-folder`. The script reads the path of the file in their place; every other byte
//! of the input stays as it was sent.
//!
//! Schemas are followed through `properties`, `additionalProperties`, `items`,
//! `prefixItems`, `allOf`, `anyOf`, `oneOf`, `then`, `else` and local references. A text
//! that any of them calls a file is one.

mod members;
mod schemas;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::execution::FileField;
use super::fault::{Fault, pointer_to};
use super::input_files::INPUT_DIR;
use super::json_input::{JsonInput, JsonInputError};
use super::sanitize::sanitize;
use members::Members;
use schemas::Schemas;

/// Largest input whose fields are looked for, in bytes (8 MiB).
pub const MAX_SEARCHED_BYTES: usize = 8 * 1024 * 1024;

/// Most fields of one input that are files.
pub const MAX_FIELDS: usize = 10_000;

/// Folder below `/work/in` of the files that only the input refers to.
const OWN_FOLDER: &str = "input";

/// Field of an input that is a file or a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundField {
    /// Place in the input, as a JSON pointer.
    pub pointer: String,
    /// Offset of its opening quote, in bytes.
    pub start: usize,
    /// Offset behind its closing quote.
    pub end: usize,
    /// Text: a name among the execution's files, or a reference.
    pub text: String,
    /// Demands of its schema.
    pub demands: Demands,
}

/// Demands on the file of a field.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Demands {
    /// True for a folder.
    pub is_folder: bool,
    /// Media type, such as `video/*` (`contentMediaType`).
    pub media_type: Option<String>,
    /// Most bytes, of a folder all together (`x-max-bytes`).
    pub max_bytes: Option<u64>,
}

/// Fields of an input that are files, in the order in which they stand there.
///
/// # Errors
/// A fault if the input is too large to be searched, or has too many.
pub fn find(schema: &Value, input: &JsonInput) -> Result<Vec<FoundField>, Fault> {
    let schemas = Schemas::new(schema);
    if !schemas.has_files() {
        return Ok(Vec::new());
    }
    let document = input.as_str();
    if document.len() > MAX_SEARCHED_BYTES {
        let detail = format!(
            "{} bytes are more than the {MAX_SEARCHED_BYTES} of an input with files",
            document.len()
        );
        return Err(Fault::new("", detail));
    }
    let Ok(root) = serde_json::from_str::<&RawValue>(document) else { return Ok(Vec::new()) };
    let mut search = Search { schemas, document, found: Vec::new() };
    let all = search.schemas.of_root();
    search.value(root, all, String::new());
    if search.schemas.are_exhausted() {
        return Err(Fault::new("", "it takes too long to find the files in it"));
    }
    if search.found.len() > MAX_FIELDS {
        return Err(Fault::new("", format!("more than {MAX_FIELDS} fields are files")));
    }
    Ok(search.found)
}

/// True if texts of a schema's documents may be files.
#[must_use]
pub fn has_files(schema: &Value) -> bool {
    Schemas::new(schema).has_files()
}

/// Name below `/work/in` for a file that only a field refers to; `end` is the last part of
/// the path that the reference has.
#[must_use]
pub fn own_name(pointer: &str, end: Option<&str>) -> String {
    let parts = pointer.split('/').skip(1).map(|it| it.replace("~1", "_").replace("~0", "~"));
    let mut name = OWN_FOLDER.to_owned();
    for part in parts.chain(end.map(str::to_owned)) {
        let plain: String = part
            .chars()
            .map(|c| if c.is_control() || "/\\".contains(c) { '_' } else { c })
            .collect();
        name.push('/');
        name.push_str(if matches!(plain.as_str(), "" | "." | "..") { "_" } else { &plain });
    }
    name
}

/// The input as the script reads it: with paths in the place of fields, which stand in
/// their order.
///
/// # Errors
/// [`JsonInputError`], if it is too large with them.
pub fn placed(input: &JsonInput, fields: &[FileField]) -> Result<JsonInput, JsonInputError> {
    if fields.is_empty() {
        return Ok(input.clone());
    }
    let (document, mut text, mut at) = (input.as_str(), String::new(), 0);
    for field in fields {
        text.push_str(document.get(at..field.start).unwrap_or_default());
        text.push_str(&Value::from(format!("{INPUT_DIR}/{}", field.name)).to_string());
        at = field.end;
    }
    text.push_str(document.get(at..).unwrap_or_default());
    JsonInput::parse(text.into_bytes())
}

struct Search<'a> {
    schemas: Schemas<'a>,
    document: &'a str,
    found: Vec<FoundField>,
}

impl<'a> Search<'a> {
    /// Looks through a value that these schemas are of. The depth is that of the input, at
    /// most [`MAX_NESTING`](super::json_input::MAX_NESTING).
    fn value(&mut self, raw: &'a RawValue, schemas: Vec<&'a Value>, pointer: String) {
        let is_over = self.found.len() > MAX_FIELDS || self.schemas.are_exhausted();
        if schemas.is_empty() || is_over {
            return;
        }
        match raw.get().as_bytes().first() {
            Some(b'"') => self.text(raw, &schemas, pointer),
            Some(b'{') => {
                let Ok(Members(members)) = serde_json::from_str(raw.get()) else { return };
                for (name, member) in members {
                    let below = self.schemas.of_member(&schemas, &name);
                    self.value(member, below, pointer_to(&pointer, &name));
                }
            }
            Some(b'[') => {
                let Ok(elements) = Vec::<&RawValue>::deserialize(raw) else { return };
                for (index, element) in elements.into_iter().enumerate() {
                    let below = self.schemas.of_element(&schemas, index);
                    self.value(element, below, pointer_to(&pointer, &index.to_string()));
                }
            }
            _ => {}
        }
    }

    fn text(&mut self, raw: &'a RawValue, schemas: &[&'a Value], pointer: String) {
        let Some(demands) = schemas::demands(schemas) else { return };
        let Ok(text) = serde_json::from_str(raw.get()) else { return };
        let start = raw.get().as_ptr().addr() - self.document.as_ptr().addr();
        let end = start + raw.get().len();
        self.found.push(FoundField { pointer, start, end, text, demands });
    }
}

impl FoundField {
    /// Fault of the field; `base` leads to the input.
    #[must_use]
    pub fn fault(&self, base: &str, detail: impl Into<String>) -> Fault {
        Fault::new(format!("{base}{}", sanitize(&self.pointer)), detail)
    }
}

#[cfg(test)]
mod tests;
