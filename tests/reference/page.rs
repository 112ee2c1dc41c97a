//! Pages with parts that are written by these tests, between two comments.

use std::path::{Path, PathBuf};

/// A file of the repository.
pub(crate) fn path(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(relative)
}

pub(crate) fn read(relative: &str) -> String {
    let path = path(relative);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Compares a part of a page with what it should be, or writes it.
#[track_caller]
pub(crate) fn assert_part(page: &str, part: &str, wanted: &str) {
    let text = read(page);
    let begin = format!("<!-- written by tests/reference: {part} -->\n");
    let end = format!("\n<!-- end of {part} -->");
    let (before, rest) =
        text.split_once(&begin).unwrap_or_else(|| panic!("{page} lacks the line {begin}"));
    let (found, after) =
        rest.split_once(&end).unwrap_or_else(|| panic!("{page} lacks the line {end}"));
    let wanted = format!("\n{}\n", wanted.trim());
    if found == wanted {
        return;
    }
    if std::env::var("INSTA_UPDATE").is_ok_and(|it| it == "always") {
        std::fs::write(path(page), format!("{before}{begin}{wanted}{end}{after}")).unwrap();
        return;
    }
    let line = wanted.lines().zip(found.lines()).find(|(wanted, found)| wanted != found);
    panic!(
        "{page} is behind the program in its part {part:?}, first at\n{line:?}\n\
         INSTA_UPDATE=always cargo test --test reference writes it anew"
    );
}
