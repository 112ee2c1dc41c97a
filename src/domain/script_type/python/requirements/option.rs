//! Lines that are options of the installer. The policy can allow only options for the
//! location of packages.

use super::url::check_url;
use super::{LineFault, RequirementsPolicy};
use crate::domain::sanitize::sanitize;

/// Index options: their spellings, their normal form, and true if a URL follows.
const INDEX_OPTIONS: [(&str, &str, bool); 7] = [
    ("-i", "--index-url", true),
    ("--index-url", "--index-url", true),
    ("--pypi-url", "--index-url", true),
    ("--extra-index-url", "--extra-index-url", true),
    ("-f", "--find-links", true),
    ("--find-links", "--find-links", true),
    ("--no-index", "--no-index", false),
];

/// Options that read further files.
const FILE_OPTIONS: [&str; 6] = ["-r", "--requirement", "-c", "--constraint", "-e", "--editable"];

/// Parses one option line into its normal form.
///
/// # Errors
/// [`LineFault::Files`], [`LineFault::UnsupportedOption`], [`LineFault::Option`] and
/// [`LineFault::UselessOption`] if the policy does not allow it, and
/// [`LineFault::UnusableUrl`].
pub(super) fn parse(text: &str, policy: RequirementsPolicy) -> Result<String, LineFault> {
    let (name, value) = split(text);
    if FILE_OPTIONS.contains(&name) {
        return Err(LineFault::Files(name.to_owned()));
    }
    let Some((_, normal, has_url)) = INDEX_OPTIONS.into_iter().find(|(known, ..)| *known == name)
    else {
        return Err(LineFault::UnsupportedOption(sanitize(name)));
    };
    let checked = match (has_url, value) {
        (false, "") => Ok(normal.to_owned()),
        (false, _) => Err(LineFault::Syntax(format!("{name} takes no value"))),
        (true, "") => Err(LineFault::Syntax(format!("{name} without a URL"))),
        (true, url) => check_url(url, &["https", "http"]).map(|()| format!("{normal} {url}")),
    };
    match (policy.allow_options, checked) {
        (true, checked) => checked,
        (false, Ok(_)) => Err(LineFault::Option(name.to_owned())),
        // No policy would allow it.
        (false, Err(_)) => Err(LineFault::UselessOption(name.to_owned())),
    }
}

/// Name and value: `--name value`, `--name=value`, `-n value`, `-nvalue`.
fn split(text: &str) -> (&str, &str) {
    let end = match text.strip_prefix("--") {
        Some(_) => text.find(|c: char| c == '=' || c.is_whitespace()),
        None => text.char_indices().nth(2).map(|(offset, _)| offset),
    };
    let (name, value) = text.split_at(end.unwrap_or(text.len()));
    (name, value.strip_prefix('=').unwrap_or(value).trim())
}
