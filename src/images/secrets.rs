//! Secrets in the addresses that installers use, and their removal from text: errors,
//! build logs and progress. Credentials stand before an `@`, in a path
//! (`https://index.example/TOKEN/simple`) or in a query.

use crate::domain::sanitize::without_credentials;

/// Text in a secret's place.
const REDACTED: &str = "****";

/// Shorter passwords are only replaced together with the name before them: alone
/// they would be found in ordinary words.
const SHORT_PASSWORD: usize = 4;

/// Parts of a path from this many characters on that look like tokens are replaced
/// wherever they stand; the others only as a part of a path.
const LONG_PART: usize = 8;

/// Parts of the paths of indexes that say nothing: those of Python's own index, and
/// of the usual servers of private ones.
const PLAIN_PARTS: [&str; 14] = [
    "api",
    "artifactory",
    "basic",
    "files",
    "index",
    "packages",
    "projects",
    "pypi",
    "python",
    "repo",
    "repository",
    "root",
    "simple",
    "v4",
];

/// Texts that must not be shown.
#[derive(Debug, Default)]
pub(super) struct Secrets {
    /// Replaced wherever they stand.
    anywhere: Vec<String>,
    /// Replaced where they are a part of a path.
    parts: Vec<String>,
}

impl Secrets {
    /// Those in the URLs of some texts, which are separated by white space.
    pub(super) fn of<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut secrets = Self::default();
        for word in texts.into_iter().flat_map(str::split_whitespace) {
            secrets.add_url(word);
        }
        // The longest first: one may be a part of another.
        secrets.anywhere.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets
    }

    /// `text` without them, and without what any URL in it has as credentials or as
    /// a query.
    pub(super) fn redacted(&self, text: &str) -> String {
        let mut text = without_credentials(text);
        for secret in &self.anywhere {
            text = text.replace(secret, REDACTED);
        }
        self.parts.iter().fold(text, |text, part| without_part(&text, part))
    }

    fn add_url(&mut self, url: &str) {
        // Indexes may have names (`name=https://…`), and proxies no scheme.
        let Some((_, rest)) = url.split_once("://") else {
            return self.add_user_info(url.rsplit_once('@').map_or("", |(before, _)| before));
        };
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        // A password may have slashes of its own.
        let (user_info, rest) = match rest.rsplit_once('@') {
            Some((user_info, rest)) => (user_info, rest),
            None => ("", rest),
        };
        self.add_user_info(user_info);
        for part in rest.split('/').skip(1) {
            self.add_part(part.split('#').next().unwrap_or_default());
        }
        for pair in query.split(['&', ';', '#']) {
            let value = pair.split_once('=').map_or(pair, |(_, value)| value);
            self.add_anywhere(value, SHORT_PASSWORD);
        }
    }

    fn add_user_info(&mut self, user_info: &str) {
        if user_info.is_empty() {
            return;
        }
        self.anywhere.push(format!("{user_info}@"));
        match user_info.split_once(':') {
            Some((user, "")) => self.add_anywhere(user, SHORT_PASSWORD),
            Some((_, password)) => self.add_anywhere(password, SHORT_PASSWORD),
            None => self.add_anywhere(user_info, SHORT_PASSWORD),
        }
    }

    fn add_part(&mut self, part: &str) {
        if part.is_empty() || PLAIN_PARTS.contains(&part) {
            return;
        }
        if looks_like_a_token(part) {
            self.add_anywhere(part, LONG_PART);
        }
        self.parts.push(part.to_owned());
        self.parts.extend(Some(decoded(part)).filter(|decoded| decoded != part));
    }

    /// A secret as it is written, and as it is meant.
    fn add_anywhere(&mut self, secret: &str, at_least: usize) {
        let forms = [secret.to_owned(), decoded(secret)];
        self.anywhere.extend(forms.into_iter().filter(|form| form.len() >= at_least));
    }
}

/// True for long words with digits, or with capitals behind their first letter.
fn looks_like_a_token(part: &str) -> bool {
    let is_mixed = |c: char| c.is_ascii_digit() || c.is_ascii_uppercase() || c == '%';
    part.len() >= LONG_PART && part.chars().skip(1).any(is_mixed)
}

/// `text` with `/part` replaced, where the part ends there.
fn without_part(text: &str, part: &str) -> String {
    let wanted = format!("/{part}");
    let is_inner = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '~' | '%');
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(&wanted) {
        shown.push_str(before);
        // A full stop may end a sentence.
        let ends = !after.trim_start_matches('.').starts_with(is_inner);
        shown.push_str(if ends { "/****" } else { &wanted });
        rest = after;
    }
    shown.push_str(rest);
    shown
}

/// Without percent-encoding (RFC 3986, 2.1); what is no UTF-8 then stays as it is.
fn decoded(text: &str) -> String {
    let mut pieces = text.split('%');
    let mut bytes = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        let byte = piece.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match byte {
            Some(byte) => {
                bytes.push(byte);
                bytes.extend(piece.bytes().skip(2));
            }
            None => {
                bytes.push(b'%');
                bytes.extend(piece.bytes());
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(settings: &[&str], text: &str) -> String {
        Secrets::of(settings.iter().copied()).redacted(text)
    }

    #[test]
    fn passwords_are_never_shown() {
        let urls = [
            "https://me:s3cret@index.example/simple",
            "name=https://tok3n@a.example https://b.example",
            "https://only-a-token:@c.example/simple/",
            "http://p%40ss:w%2Frd@proxy.example:3128",
        ];
        for (text, expected) in [
            ("GET https://me:s3cret@index.example s3cret", "GET https://****@index.example ****"),
            ("tok3n@a.example failed", "****a.example failed"),
            ("only-a-token is refused", "**** is refused"),
            ("proxy says w/rd and w%2Frd", "proxy says **** and ****"),
            ("other https://you:too@d.example/x", "other https://****@d.example/x"),
        ] {
            assert_eq!(shown(&urls, text), expected);
        }
    }

    #[test]
    fn tokens_in_paths_and_queries_are_never_shown() {
        let urls = [
            "https://index.example/T0k3nT0k3n/team/simple/",
            "https://other.example/simple?key=abcd-efgh&x=1",
            "https://third.example/hunter/simple/#frag",
            "https://fourth.example/a%20Secret1/simple",
        ];
        for (text, expected) in [
            (
                "GET https://index.example/T0k3nT0k3n/team/simple/six/",
                "GET https://index.example/****/****/simple/six/",
            ),
            ("T0k3nT0k3n in a sentence", "**** in a sentence"),
            (
                "`https://other.example/simple/six/?key=abcd-efgh&x=1` failed",
                "`https://other.example/simple/six/?**** failed",
            ),
            ("key abcd-efgh", "key ****"),
            ("https://third.example/hunter.", "https://third.example/****."),
            ("https://third.example/hunter", "https://third.example/****"),
            ("a secret1: a Secret1", "a secret1: ****"),
            ("signed https://cdn.example/x.whl?sig=AbC", "signed https://cdn.example/x.whl?****"),
        ] {
            assert_eq!(shown(&urls, text), expected);
        }
    }

    #[test]
    fn ordinary_words_are_not_taken_for_secrets() {
        let urls = ["https://me:pip@index.example/team/simple", "https://files.example/packages/"];
        for (text, expected) in [
            ("name pip me:pip@index", "name pip ****index"),
            ("simple packages of team teams/teammate", "simple packages of team teams/teammate"),
            ("https://files.example/packages/six.whl", "https://files.example/packages/six.whl"),
        ] {
            assert_eq!(shown(&urls, text), expected);
        }
        assert_eq!(shown(&["localhost,10.0.0.0/8"], "localhost 3/8 x"), "localhost 3/8 x");
        assert_eq!(shown(&["me:s3cret@proxy:3128"], "s3cret proxy"), "**** proxy");
        assert_eq!(shown(&[], "a@b c?d"), "a@b c?d");
    }
}
