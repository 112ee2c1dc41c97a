//! Fields of an input that are files, against the files that the execution takes.

use super::SubmitError;
use crate::domain::execution::{FileField, SharedInput};
use crate::domain::fault::Fault;
use crate::domain::file::InputRef;
use crate::domain::file_fields::{Demands, FoundField, find, own_name};
use crate::domain::input_files::{InputFile, RequestFiles, check_names};
use crate::domain::json_input::JsonInput;
use crate::domain::media_type;
use crate::domain::quantities::show_bytes;
use crate::domain::sanitize::sanitize;
use serde_json::Value;

/// Largest input that is searched on an async thread, in bytes (16 KiB).
const SMALL_BYTES: usize = 16 * 1024;

/// Most faults that are told.
const MAX_FAULTS: usize = 20;

/// Pointer to the input in a request.
const INPUT: &str = "/input";

/// Fields of an input, with the names of their files.
pub(super) struct Fields(Vec<Field>);

struct Field {
    found: FoundField,
    name: String,
    reference: Option<InputRef>,
}

/// File that only a field refers to.
pub(super) struct OwnFile {
    pub(super) name: String,
    pub(super) reference: InputRef,
    pub(super) pointer: String,
}

impl Fields {
    /// Finds them.
    ///
    /// # Errors
    /// A fault of an input that can't be searched.
    pub(super) async fn find(schema: &Value, input: &JsonInput) -> Result<Self, Fault> {
        let found = if input.as_str().len() <= SMALL_BYTES {
            find(schema, input)
        } else {
            let (schema, input) = (schema.clone(), input.clone());
            let finding = tokio::task::spawn_blocking(move || find(&schema, &input));
            finding
                .await
                .unwrap_or_else(|_| Err(Fault::new("", "the search ended without an answer")))
        };
        let found = found.map_err(|fault| fault.below(INPUT))?;
        Ok(Self(found.into_iter().map(Field::new).collect()))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Files that only the fields refer to.
    ///
    /// # Errors
    /// [`SubmitError::Invalid`] if their names can't stand beside those of `sent`.
    pub(super) fn own_files(&self, sent: &RequestFiles) -> Result<Vec<OwnFile>, SubmitError> {
        let own: Vec<_> = self.0.iter().filter_map(Field::own_file).collect();
        if own.is_empty() {
            return Ok(own);
        }
        let all = sent.iter().map(|(name, _)| name).chain(own.iter().map(|it| it.name.as_str()));
        let wrong = check_names(all).into_iter().take(MAX_FAULTS).map(|fault| {
            let owner = own.iter().find(|it| it.name == fault.name);
            let pointer = owner.map_or_else(|| INPUT.to_owned(), |it| it.pointer.clone());
            let name = sanitize(&fault.name);
            Fault::new(pointer, format!("the name {name:?} of its file: {}", fault.reason))
        });
        let wrong: Vec<_> = wrong.collect();
        if wrong.is_empty() { Ok(own) } else { Err(SubmitError::Invalid(wrong)) }
    }

    /// Checks the demands on the files.
    ///
    /// # Errors
    /// [`SubmitError::Invalid`].
    pub(super) fn check(
        &self,
        inputs: &[InputFile],
        shares: &[SharedInput],
    ) -> Result<(), SubmitError> {
        let mut sorted: Vec<_> = inputs.iter().collect();
        sorted.sort_by(|one, other| one.name.cmp(&other.name));
        let wrong = self.0.iter().filter_map(|field| {
            let shared = shares.iter().find(|it| it.name == field.name);
            let detail = match shared {
                Some(shared) => wrong_share(&field.found, shared),
                None => wrong(&field.found, &field.name, &sorted),
            }?;
            Some(field.found.fault(INPUT, detail))
        });
        let wrong: Vec<_> = wrong.take(MAX_FAULTS).collect();
        if wrong.is_empty() { Ok(()) } else { Err(SubmitError::Invalid(wrong)) }
    }

    /// Places of the fields, and the names of their files.
    pub(super) fn into_fields(self) -> Vec<FileField> {
        let field = |it: Field| FileField {
            start: it.found.start,
            end: it.found.end,
            name: it.name,
            is_reference: it.reference.is_some(),
        };
        self.0.into_iter().map(field).collect()
    }
}

impl Field {
    fn new(found: FoundField) -> Self {
        let reference = found.text.parse::<InputRef>().ok();
        let name = match &reference {
            Some(reference) => own_name(&found.pointer, last_part(reference)),
            None => found.text.clone(),
        };
        Self { found, name, reference }
    }

    fn own_file(&self) -> Option<OwnFile> {
        let reference = self.reference.clone()?;
        let pointer = format!("{INPUT}{}", sanitize(&self.found.pointer));
        Some(OwnFile { name: self.name.clone(), reference, pointer })
    }
}

/// Last part of the path that a reference has: its end tells programs what it is.
fn last_part(reference: &InputRef) -> Option<&str> {
    match reference {
        InputRef::Output { path, .. } | InputRef::Share { path, .. } => {
            path.rsplit('/').next().filter(|part| !part.is_empty())
        }
        InputRef::File(_) | InputRef::Tree(_) => None,
    }
}

/// Fault of a field's file in a share.
fn wrong_share(field: &FoundField, shared: &SharedInput) -> Option<String> {
    let Demands { is_folder, media_type, max_bytes } = &field.demands;
    let bytes = match (shared.bytes, *is_folder) {
        // The size of a folder is not known before it is read.
        (None, true) => return None,
        (None, false) => return Some("it is a folder, and a file is wanted".to_owned()),
        (Some(_), true) => return Some("it is a file, and a folder is wanted".to_owned()),
        (Some(bytes), false) => bytes,
    };
    unsuitable(&shared.path, bytes, (media_type.as_deref(), *max_bytes))
}

/// Fault of a file's size, or of its type as its name tells it.
fn unsuitable(
    name: &str,
    bytes: u64,
    (media_type, max_bytes): (Option<&str>, Option<u64>),
) -> Option<String> {
    if let Some(most) = max_bytes.filter(|most| bytes > *most) {
        let (bytes, most) = (show_bytes(bytes), show_bytes(most));
        return Some(format!("it has {bytes}, at most {most} are allowed"));
    }
    // Only names tell, and not all of them.
    let known = media_type::media_type_of(name)?;
    let wanted = media_type.filter(|it| !media_type::matches(it, known))?;
    Some(format!("it is {known} by its name, and {} is wanted", sanitize(wanted)))
}

/// Fault of a field's file among the inputs, which are sorted by name.
fn wrong(field: &FoundField, name: &str, sorted: &[&InputFile]) -> Option<String> {
    let Demands { is_folder, media_type, max_bytes } = &field.demands;
    let file = sorted.binary_search_by(|it| it.name.as_str().cmp(name)).ok();
    let file = file.and_then(|at| sorted.get(at));
    let bytes = match (file, *is_folder) {
        (Some(file), false) => file.bytes,
        (Some(_), true) => return Some("it is a file, and a folder is wanted".to_owned()),
        (None, is_wanted) => match (bytes_below(name, sorted), is_wanted) {
            (Some(bytes), true) => bytes,
            (Some(_), false) => return Some("it is a folder, and a file is wanted".to_owned()),
            (None, _) => {
                let shown = sanitize(name);
                return Some(format!("there is no {shown:?} among the files of the request"));
            }
        },
    };
    let media_type = media_type.as_deref().filter(|_| !is_folder);
    unsuitable(name, bytes, (media_type, *max_bytes))
}

/// Bytes of all inputs below a folder; `None` if there are none.
fn bytes_below(folder: &str, sorted: &[&InputFile]) -> Option<u64> {
    let prefix = format!("{folder}/");
    let begin = sorted.partition_point(|it| it.name.as_str() < prefix.as_str());
    let below = sorted.get(begin..)?.iter().take_while(|it| it.name.starts_with(&prefix));
    below.fold(None, |sum: Option<u64>, it| Some(sum.unwrap_or_default().saturating_add(it.bytes)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::file::FileDigest;

    fn input(name: &str, bytes: u64) -> InputFile {
        InputFile { name: name.to_owned(), digest: FileDigest::new([1; 32]), bytes }
    }

    async fn fields(text: &str) -> Fields {
        let schema = json!({"properties": {
            "clip": {"format": "gantry-file", "contentMediaType": "video/*", "x-max-bytes": 100},
            "luts": {"format": "gantry-folder", "x-max-bytes": 100},
        }});
        Fields::find(&schema, &JsonInput::parse(text.into()).unwrap()).await.unwrap()
    }

    async fn refused(text: &str, inputs: &[InputFile]) -> Option<String> {
        refused_with(text, inputs, &[]).await
    }

    async fn refused_with(
        text: &str,
        inputs: &[InputFile],
        shares: &[SharedInput],
    ) -> Option<String> {
        match fields(text).await.check(inputs, shares) {
            Ok(()) => None,
            Err(SubmitError::Invalid(faults)) => Some(faults[0].detail.clone()),
            Err(error) => panic!("{error}"),
        }
    }

    #[tokio::test]
    async fn a_field_names_a_file_or_a_folder_of_the_request() {
        let inputs =
            [input("luts.cube", 1), input("luts/a", 40), input("luts/b", 50), input("a.mov", 9)];
        assert_eq!(refused(r#"{"clip": "a.mov", "luts": "luts"}"#, &inputs).await, None);
        for (text, word) in [
            (r#"{"clip": "b.mov"}"#, "no \"b.mov\""),
            (r#"{"clip": "luts"}"#, "a file is wanted"),
            (r#"{"luts": "a.mov"}"#, "a folder is wanted"),
            (r#"{"clip": "luts/a/.."}"#, "no "),
        ] {
            let found = refused(text, &inputs).await.unwrap();
            assert!(found.contains(word), "{text}: {found}");
        }
    }

    #[tokio::test]
    async fn sizes_and_kinds_are_checked() {
        let inputs = [input("a.mov", 101), input("a.png", 1), input("a", 100), input("l/x", 101)];
        for (text, word) in [
            (r#"{"clip": "a.mov"}"#, "at most 100"),
            (r#"{"clip": "a.png"}"#, "image/png"),
            (r#"{"luts": "l"}"#, "at most 100"),
        ] {
            let found = refused(text, &inputs).await.unwrap();
            assert!(found.contains(word), "{text}: {found}");
        }
        assert_eq!(refused(r#"{"clip": "a"}"#, &inputs).await, None);
    }

    #[tokio::test]
    async fn a_field_may_be_a_file_or_a_folder_of_a_share() {
        let shared = |name: &str, path: &str, bytes| SharedInput {
            name: name.to_owned(),
            share: "media".to_owned(),
            path: path.to_owned(),
            bytes,
        };
        let shares = [
            shared("clip", "a.mov", Some(9)),
            shared("large", "a.mov", Some(101)),
            shared("still", "a.png", Some(1)),
            shared("folder", "luts", None),
        ];
        let ok = r#"{"clip": "clip", "luts": "folder"}"#;
        assert_eq!(refused_with(ok, &[], &shares).await, None);
        for (text, word) in [
            (r#"{"clip": "large"}"#, "at most 100"),
            (r#"{"clip": "still"}"#, "image/png"),
            (r#"{"clip": "folder"}"#, "a file is wanted"),
            (r#"{"luts": "clip"}"#, "a folder is wanted"),
        ] {
            let found = refused_with(text, &[], &shares).await.unwrap();
            assert!(found.contains(word), "{text}: {found}");
        }
    }

    #[tokio::test]
    async fn a_reference_has_a_name_of_its_own() {
        let text = format!(r#"{{"clip": "execution:{}/x/a.mov"}}"#, uuid::Uuid::nil());
        let fields = fields(&text).await;
        let own = fields.own_files(&RequestFiles::default()).unwrap();
        assert_eq!(
            (own[0].name.as_str(), own[0].pointer.as_str()),
            ("input/clip/a.mov", "/input/clip")
        );
        let taken = [input("input/clip/a.mov", 1)];
        assert!(fields.own_files(&RequestFiles::of(taken.iter())).is_err());
        assert!(fields.into_fields()[0].is_reference);
    }
}
