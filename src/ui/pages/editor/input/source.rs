//! Source fields of a script's form: its bytes, its requirements and its packages.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::super::lines::{lines, normalize_newlines};
use super::{Purpose, Reading};
use crate::registry::ScriptInput;
use crate::ui::form::Upload;

/// Reads the fields.
pub(super) fn read(reading: &mut Reading<'_>, input: &mut ScriptInput) {
    match reading.fields.text("source_from") {
        "text" => written(reading, input),
        "file" => uploaded(reading, input),
        "path" => on_server(reading, input),
        // The stored source is kept; without a script the registry reports the missing source.
        _ => input.file_name = other_name(reading),
    }
    requirements(reading, input);
    if let Some(text) = reading.changed("system_packages") {
        let packages: Vec<_> = lines(&text).map(|(_, line)| line.trim().to_owned()).collect();
        input.system_packages = reading.unless_empty(packages.is_empty(), packages);
    }
}

fn written(reading: &mut Reading<'_>, input: &mut ScriptInput) {
    let text = normalize_newlines(reading.fields.text("source"));
    if text.is_empty() {
        return reading.fault("/source", "write the script, or bring it in another way");
    }
    input.file_name = other_name(reading);
    let before = reading.before;
    if before.text("source_from") == "text" && text == before.text("source") {
        return;
    }
    input.source = Some(text);
    if was_on_server(reading) && input.file_name.is_none() {
        input.file_name = reading.fields.given("file_name").map(str::to_owned);
    }
}

fn uploaded(reading: &mut Reading<'_>, input: &mut ScriptInput) {
    let fields = reading.fields;
    let Some(upload) = fields.file("upload") else {
        return reading.fault("/source", "choose a file");
    };
    (input.source, input.source_base64) = sent(upload);
    let is_named_after_it = reading.purpose == Purpose::Register || was_on_server(reading);
    let own_name = own_name(upload).filter(|_| is_named_after_it);
    input.file_name = other_name(reading).or(own_name);
}

/// Splits an upload into text, or base64 for anything else.
fn sent(upload: &Upload) -> (Option<String>, Option<String>) {
    match std::str::from_utf8(&upload.bytes) {
        Ok(text) => (Some(text.to_owned()), None),
        Err(_) => (None, Some(STANDARD.encode(&upload.bytes))),
    }
}

/// Original name of the file, without the folder that some browsers send.
fn own_name(upload: &Upload) -> Option<String> {
    let name = upload.file_name.rsplit(['/', '\\']).next()?;
    (!name.is_empty()).then(|| name.to_owned())
}

fn on_server(reading: &mut Reading<'_>, input: &mut ScriptInput) {
    let path = reading.fields.text("file_path").trim();
    if path.is_empty() {
        return reading.fault("/file_path", "name a file on the server");
    }
    // The same file is read again without being sent.
    let is_kept = path == reading.before.text("file_path");
    if !is_kept {
        input.file_path = Some(path.to_owned());
    }
    // A custom name is dropped unless it is sent again.
    let is_own = |name: &str| path.rsplit('/').next() == Some(name);
    let kept_name = reading.fields.given("file_name").filter(|name| is_kept && !is_own(name));
    input.file_name = other_name(reading).or(kept_name.map(str::to_owned));
}

/// Typed name, if it differs.
fn other_name(reading: &Reading<'_>) -> Option<String> {
    let name = reading.changed("file_name")?.trim().to_owned();
    (!name.is_empty()).then_some(name)
}

fn was_on_server(reading: &Reading<'_>) -> bool {
    !reading.before.text("file_path").is_empty()
}

fn requirements(reading: &Reading<'_>, input: &mut ScriptInput) {
    let (fields, before) = (reading.fields, reading.before);
    let path = fields.text("requirements_path").trim();
    let before_path = before.text("requirements_path");
    match fields.text("requirements_from") {
        "path" if path.is_empty() => {
            let had_any = !before_path.is_empty() || !before.text("requirements").is_empty();
            input.requirements = had_any.then_some(None);
        }
        "path" if path != before_path => input.requirements_path = Some(path.to_owned()),
        "text" => {
            let text = normalize_newlines(fields.text("requirements"));
            if !before_path.is_empty() || text != before.text("requirements") {
                input.requirements = reading.unless_empty(text.trim().is_empty(), text);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upload(file_name: &str, bytes: &'static [u8]) -> Upload {
        Upload { file_name: file_name.to_owned(), bytes: bytes.into() }
    }

    #[test]
    fn a_text_is_sent_as_it_is_and_anything_else_in_base64() {
        assert_eq!(sent(&upload("a", b"echo \xc3\xa4\n")), (Some("echo ä\n".to_owned()), None));
        assert_eq!(sent(&upload("a", b"\x7fELF\xff")), (None, Some("f0VMRv8=".to_owned())));
    }

    #[test]
    fn a_file_is_called_as_it_was_without_its_folder() {
        assert_eq!(own_name(&upload("C:\\x\\a.py", b"")).as_deref(), Some("a.py"));
        assert_eq!(own_name(&upload("b.sh", b"")).as_deref(), Some("b.sh"));
        assert_eq!(own_name(&upload("x/", b"")), None);
    }
}
