//! One requirement: the grammar of PEP 508 ("Dependency specifiers"), with
//! pip's `--hash` options after it.

use std::collections::BTreeSet;
use std::str::FromStr;

use pep440_rs::VersionSpecifier;

use super::url::{check_url, is_local_path, is_url};
use super::{LineFault, RequirementsPolicy, marker};
use crate::domain::sanitize::sanitize;

/// Schemes of direct URLs.
const URL_SCHEMES: [&str; 4] = ["https", "http", "git+https", "git+http"];

/// Hash algorithms that pip accepts ("Hash-checking mode"), with the length of
/// their hexadecimal digests.
const HASHES: [(&str, usize); 3] = [("sha256", 64), ("sha384", 96), ("sha512", 128)];

/// One checked requirement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Requirement {
    name: String,
    original: String,
    normalised: String,
}

impl Requirement {
    /// Parses one line that is not an option.
    pub(super) fn parse(text: &str, policy: RequirementsPolicy) -> Result<Self, LineFault> {
        let first_word = text.split(char::is_whitespace).next().unwrap_or_default();
        let before_at = first_word.split_once('@').map_or(first_word, |(name, _)| name);
        if is_url(before_at) {
            return Err(match policy.allow_urls {
                true => LineFault::UnnamedUrl,
                false => LineFault::UselessUrl("it has no package name"),
            });
        }
        let (specifier, options) = split_options(text);
        let hashes = hashes(options)?;

        let (name, rest) = split_name(specifier)?;
        let (extras, rest) = split_extras(rest)?;
        let (version, rest) = match rest.strip_prefix('@') {
            Some(rest) => split_url(rest.trim_start(), policy)?,
            None => split_versions(rest)?,
        };
        let marker = match rest.strip_prefix(';') {
            Some(marker) => format!(" ; {}", marker::normalised(marker).map_err(syntax)?),
            None => String::new(),
        };
        let normalised = format!("{name}{extras}{version}{marker}{hashes}");
        Ok(Self { name, original: specifier.to_owned(), normalised })
    }

    /// Normalized name (PEP 503).
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The requirement as written, without hashes.
    pub(super) fn original(&self) -> &str {
        &self.original
    }

    pub(super) fn normalised(&self) -> &str {
        &self.normalised
    }
}

fn syntax(reason: impl AsRef<str>) -> LineFault {
    LineFault::Syntax(sanitize(reason.as_ref()))
}

/// Normalized name of a package (PEP 503): lowercase, with one `-` for any run of `-`, `_`
/// and `.`.
#[must_use]
pub fn normalised_name(name: &str) -> String {
    let mut normal = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            '-' | '_' | '.' if normal.ends_with('-') => {}
            '-' | '_' | '.' => normal.push('-'),
            c => normal.push(c.to_ascii_lowercase()),
        }
    }
    normal
}

/// Normalized identifier (PEP 508).
fn identifier(text: &str) -> Option<String> {
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let is_valid = text.bytes().all(is_inner)
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.ends_with(|c: char| c.is_ascii_alphanumeric());
    is_valid.then(|| normalised_name(text))
}

/// Splits the requirement from its options, which begin with the first word outside quotes
/// that begins with `-`.
fn split_options(text: &str) -> (&str, &str) {
    let mut quote = None;
    let mut is_after_space = false;
    for (offset, c) in text.char_indices() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if c == '-' && is_after_space => {
                let (specifier, options) = text.split_at(offset);
                return (specifier.trim_end(), options);
            }
            None if matches!(c, '"' | '\'') => quote = Some(c),
            None => {}
        }
        is_after_space = c.is_whitespace();
    }
    (text, "")
}

/// Parses `--hash=ALGORITHM:DIGEST …`; sorted, each once.
fn hashes(options: &str) -> Result<String, LineFault> {
    let mut words = options.split_whitespace();
    let mut hashes = BTreeSet::new();
    while let Some(word) = words.next() {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        if name != "--hash" {
            return Err(LineFault::UnsupportedOption(sanitize(name)));
        }
        let value = if word == "--hash" { words.next().unwrap_or_default() } else { value };
        let hash = value.to_ascii_lowercase();
        let is_valid = hash.split_once(':').is_some_and(|(algorithm, digest)| {
            HASHES.contains(&(algorithm, digest.len()))
                && digest.bytes().all(|byte| byte.is_ascii_hexdigit())
        });
        if !is_valid {
            return Err(syntax("a hash is --hash=sha256: and 64 hexadecimal digits"));
        }
        hashes.insert(format!(" --hash={hash}"));
    }
    Ok(hashes.into_iter().collect())
}

/// Splits off the normalized name.
fn split_name(text: &str) -> Result<(String, &str), LineFault> {
    let word = text.split(|c: char| c.is_whitespace() || "[<>=!~;@(,".contains(c)).next();
    let word = word.unwrap_or_default();
    if text.starts_with('~') || is_local_path(word) {
        return Err(LineFault::LocalPath);
    }
    let name = identifier(word).ok_or_else(|| {
        syntax(format!("{word:?} is no package name: letters, digits, inner - _ ."))
    })?;
    Ok((name, text.get(word.len()..).unwrap_or_default().trim_start()))
}

/// Splits off `[a,b]`, sorted, or nothing.
fn split_extras(text: &str) -> Result<(String, &str), LineFault> {
    let Some(inner) = text.strip_prefix('[') else {
        return Ok((String::new(), text));
    };
    let (inner, rest) = inner.split_once(']').ok_or_else(|| syntax("`[` without `]`"))?;
    if inner.trim().is_empty() {
        return Ok((String::new(), rest.trim_start()));
    }
    let mut extras = BTreeSet::new();
    for extra in inner.split(',').map(str::trim) {
        extras.insert(identifier(extra).ok_or_else(|| syntax(format!("{extra:?} is no extra")))?);
    }
    let extras: Vec<String> = extras.into_iter().collect();
    Ok((format!("[{}]", extras.join(",")), rest.trim_start()))
}

/// Splits off `>=1,<2`, sorted, in parentheses or not, or nothing. A comma may end the
/// list.
fn split_versions(text: &str) -> Result<(String, &str), LineFault> {
    let (text, rest) = text.split_at(text.find(';').unwrap_or(text.len()));
    let text = text.trim();
    if text.is_empty() {
        return Ok((String::new(), rest));
    }
    let inner = match text.strip_prefix('(') {
        Some(inner) => inner.strip_suffix(')').ok_or_else(|| syntax("`(` without `)`"))?,
        None => text,
    };
    let inner = inner.trim();
    if inner.is_empty() {
        return Ok((String::new(), rest));
    }
    let mut versions = BTreeSet::new();
    for version in inner.strip_suffix(',').unwrap_or(inner).split(',').map(str::trim) {
        let specifier = VersionSpecifier::from_str(version)
            .map_err(|error| syntax(format!("{version:?}: {error}")))?;
        versions.insert(specifier.to_string());
    }
    let versions: Vec<String> = versions.into_iter().collect();
    Ok((versions.join(","), rest))
}

/// Splits off ` @ URL`; a marker may follow only after white space.
fn split_url(text: &str, policy: RequirementsPolicy) -> Result<(String, &str), LineFault> {
    let (url, rest) = text.split_at(text.find(char::is_whitespace).unwrap_or(text.len()));
    let rest = rest.trim_start();
    if !is_url(url) {
        return Err(LineFault::LocalPath);
    }
    check_url(url, &URL_SCHEMES).map_err(|fault| match fault {
        // No policy would allow it.
        LineFault::UnusableUrl(reason) if !policy.allow_urls => LineFault::UselessUrl(reason),
        other => other,
    })?;
    if !policy.allow_urls {
        return Err(LineFault::Url);
    }
    if url.ends_with(';') || !(rest.is_empty() || rest.starts_with(';')) {
        return Err(syntax("after a URL only ` ; marker` may follow"));
    }
    Ok((format!(" @ {url}"), rest))
}
