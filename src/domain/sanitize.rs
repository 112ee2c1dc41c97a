//! Makes foreign text safe for our messages: one bounded line, without terminal controls
//! and credentials. Every message of the domain that quotes a user's text uses it.

/// Most characters of foreign text in one message.
pub const MAX_SANITIZED_CHARS: usize = 120;

/// Stands in for secrets.
const REDACTED: &str = "****";

/// Text that is safe to show: credentials in URLs replaced, control and direction
/// characters escaped, at most [`MAX_SANITIZED_CHARS`] characters.
#[must_use]
pub fn sanitize(text: &str) -> String {
    bounded(&escaped(&without_credentials(text)), MAX_SANITIZED_CHARS)
}

/// Escapes invisible characters: controls, line ends, and marks that change the direction
/// of text or have no width.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' => shown.push(' '),
            c if is_invisible(c) => shown.extend(c.escape_default()),
            c => shown.push(c),
        }
    }
    shown
}

/// True for controls (Unicode category Cc), line separators, and format characters that
/// reorder or hide text ("Trojan Source", CVE-2021-42574).
#[must_use]
pub fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || matches!(c, '\u{061c}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// First `limit` characters, with `…` for the rest.
fn bounded(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
    }
}

/// Replaces user names, passwords and query strings of every URL in `text`.
#[must_use]
pub fn without_credentials(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        let end = after.find(ends_url).unwrap_or(after.len());
        let (url, tail) = after.split_at(end);
        shown.push_str(before);
        shown.push_str("://");
        redact_url(url, &mut shown);
        rest = tail;
    }
    shown.push_str(rest);
    shown
}

fn ends_url(c: char) -> bool {
    c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>')
}

/// Writes the part of one URL that follows `://`.
fn redact_url(url: &str, shown: &mut String) {
    let (url, query) = url.split_once('?').map_or((url, None), |(url, query)| (url, Some(query)));
    match url.rsplit_once('@') {
        Some((userinfo, rest)) if has_userinfo(userinfo) => {
            shown.push_str(REDACTED);
            shown.push('@');
            shown.push_str(rest);
        }
        _ => shown.push_str(url),
    }
    if query.is_some() {
        shown.push('?');
        shown.push_str(REDACTED);
    }
}

/// True if the part before an `@` could hold credentials: anything without a slash, and a
/// host part with `:` or `@` in it, because a password may contain slashes. `host/repo@v1`
/// does not.
fn has_userinfo(before_at: &str) -> bool {
    before_at.split_once('/').is_none_or(|(authority, _)| authority.contains([':', '@']))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn credentials_of_urls_are_not_shown() {
        for (text, shown) in [
            ("https://user:secret@host/x", "https://****@host/x"),
            ("-i https://token@host/simple", "-i https://****@host/simple"),
            ("a @ https://u:p/w@host/x.whl", "a @ https://****@host/x.whl"),
            ("a @ https://u@x:p@host/x.whl", "a @ https://****@host/x.whl"),
            ("git+https://host/repo.git@v1", "git+https://host/repo.git@v1"),
            ("a @ https://u:1/2@host/x.whl", "a @ https://****@host/x.whl"),
            ("https://h/x?token=secret b", "https://h/x?**** b"),
            ("x https://a:b@c/ y https://d:e@f/", "x https://****@c/ y https://****@f/"),
            ("no url: a@b", "no url: a@b"),
        ] {
            assert_eq!(sanitize(text), shown);
        }
    }

    #[test]
    fn nothing_reaches_the_terminal_but_visible_characters() {
        assert_eq!(sanitize("a\u{1b}[31mb\r\nc\0"), "a\\u{1b}[31mb\\r\\nc\\u{0}");
        assert_eq!(sanitize("a\u{202e}b\tc"), "a\\u{202e}b c");
    }

    #[test]
    fn long_text_is_cut_after_redaction() {
        let text = format!("https://user:{}@host/", "s".repeat(200));
        assert_eq!(sanitize(&text), "https://****@host/");
        assert_eq!(sanitize(&"é".repeat(500)).chars().count(), MAX_SANITIZED_CHARS + 1);
    }

    proptest! {
        #[test]
        fn any_text_becomes_one_bounded_line(text in any::<String>()) {
            let shown = sanitize(&text);
            prop_assert!(shown.chars().count() <= MAX_SANITIZED_CHARS + 1);
            prop_assert!(!shown.chars().any(is_invisible));
        }

        #[test]
        fn a_password_is_never_shown(secret in "[A-Z0-9/:!$]{4,40}", prefix in "[ -~]{0,150}") {
            let shown = sanitize(&format!("{prefix} https://user:{secret}Q@host/x"));
            let secret = format!("{secret}Q");
            prop_assert!(!shown.contains(&secret) || prefix.contains(&secret));
        }
    }
}
