//! Parsers of queries and forms, within bounds. A form is accepted only with the token of its
//! session, so none can be forged.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Multipart, Request};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::address::MAX_NEXT_BYTES;
use super::session::CurrentUser;
use crate::domain::execution::IdempotencyKey;
use crate::http::auth::Identity;
use crate::http::extract::{self, WITH_SCRIPT};
use crate::http::memory::MemoryPermit;
use crate::http::problem::{Kind, Problem};
use crate::http::state::AppState;

/// Field with the session's token.
pub(super) const TOKEN_FIELD: &str = "form_token";

/// Field with the key of a form that must run once.
pub(super) const ONCE_FIELD: &str = "once";

/// Most fields of a form.
const MAX_FIELDS: usize = 1_000;

/// Largest form, in bytes: a script and its settings.
const MAX_BYTES: usize = WITH_SCRIPT;

/// Largest form of a client without a session, in bytes (8 KiB); the address is half of it.
const MAX_SIGN_IN_BYTES: usize = 2 * MAX_NEXT_BYTES;

/// Time limit for the sign-in form: browsers send it together with its head.
const SIGN_IN_WITHIN: Duration = Duration::from_secs(5);

/// Bytes of a form that are parsed at once (256 KiB).
const PIECE: usize = 256 * 1024;

/// An uploaded file.
#[derive(Debug, Clone)]
pub(super) struct Upload {
    /// Name given by the browser.
    pub(super) file_name: String,
    /// Content of the file.
    pub(super) bytes: Bytes,
}

/// Fields by name, each with its values in order.
#[derive(Debug, Default, Clone)]
pub(super) struct FormFields {
    values: HashMap<String, Vec<String>>,
    files: HashMap<String, Upload>,
}

impl FormFields {
    /// Parses a query, leniently where it is malformed.
    pub(super) fn of_query(query: &str) -> Self {
        let mut fields = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()).take(MAX_FIELDS) {
            fields.values.entry(name.into_owned()).or_default().push(value.into_owned());
        }
        fields
    }

    /// Values of a field, in order.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.values.get(name).into_iter().flatten().map(String::as_str)
    }

    /// First value of a field; empty if it is absent.
    pub(super) fn text(&self, name: &str) -> &str {
        self.all(name).next().unwrap_or_default()
    }

    /// Values of the named fields, each with its name.
    pub(super) fn pairs<'a>(&'a self, names: &[&'a str]) -> Vec<(&'a str, &'a str)> {
        names.iter().flat_map(|&name| self.all(name).map(move |value| (name, value))).collect()
    }

    /// First value of a field, trimmed; `None` if nothing is left.
    pub(super) fn given(&self, name: &str) -> Option<&str> {
        Some(self.text(name).trim()).filter(|text| !text.is_empty())
    }

    /// True if a field is present, such as a ticked box.
    pub(super) fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// File of a field, if one was chosen.
    pub(super) fn file(&self, name: &str) -> Option<&Upload> {
        self.files.get(name).filter(|file| !(file.file_name.is_empty() && file.bytes.is_empty()))
    }

    /// Idempotency key of a form that runs something, so that it runs once however often it is
    /// sent: the key from its page ([`ONCE_FIELD`]) with a digest of all fields. `None` if it has
    /// no such key.
    pub(super) fn once(&self) -> Option<IdempotencyKey> {
        let word = Uuid::try_parse(self.text(ONCE_FIELD)).ok()?;
        let digest = self.digest();
        let short = hex::encode(&digest[..8]);
        IdempotencyKey::new(&format!("console:{word}:{short}"), digest).ok()
    }

    /// SHA-256 over all fields and the content of files.
    fn digest(&self) -> [u8; 32] {
        let mut hasher = Sha256::new();
        let mut add = |part: &[u8]| {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part);
        };
        for (name, values) in self.values.iter().collect::<BTreeMap<_, _>>() {
            add(name.as_bytes());
            add(&(values.len() as u64).to_be_bytes());
            values.iter().for_each(|value| add(value.as_bytes()));
        }
        for (name, file) in self.files.iter().collect::<BTreeMap<_, _>>() {
            add(name.as_bytes());
            add(&file.bytes);
        }
        hasher.finalize().into()
    }

    async fn read(
        request: Request,
        state: &AppState,
        identity: &Identity,
    ) -> Result<(Self, MemoryPermit), Problem> {
        let (parts, body) = request.into_parts();
        let kind = FormKind::of(&parts.headers)?;
        let room = (state.memory(), identity.taker());
        let (bytes, held) = extract::read(&parts.headers, body, MAX_BYTES, room).await?;
        let fields = match kind {
            FormKind::Text => Self::of_text(&bytes)?,
            FormKind::Parts => Self::of_parts(parts, bytes).await?,
        };
        Ok((fields, held))
    }

    fn of_text(bytes: &[u8]) -> Result<Self, Problem> {
        let text = std::str::from_utf8(bytes).map_err(|_| malformed("it is not UTF-8"))?;
        if form_urlencoded::parse(text.as_bytes()).count() > MAX_FIELDS {
            return Err(malformed("it has too many fields"));
        }
        Ok(Self::of_query(text))
    }

    async fn of_parts(parts: Parts, bytes: Bytes) -> Result<Self, Problem> {
        let request = Request::from_parts(parts, Body::from_stream(pieces(bytes)));
        let parts = Multipart::from_request(request, &()).await;
        let mut parts = parts.map_err(|error| malformed(&error.body_text()))?;
        let (mut fields, mut count) = (Self::default(), 0);
        while let Some(part) = parts.next_field().await.map_err(broken)? {
            count += 1;
            if count > MAX_FIELDS {
                return Err(malformed("it has too many fields"));
            }
            let name = part.name().unwrap_or_default().to_owned();
            let file_name = part.file_name().map(str::to_owned);
            fields.add(name, file_name, part.bytes().await.map_err(broken)?)?;
        }
        Ok(fields)
    }

    /// Adds a line to the text of a field.
    pub(super) fn add_line(&mut self, name: &str, line: &str) {
        let values = self.values.entry(name.to_owned()).or_default();
        match values.first_mut() {
            Some(text) if !text.trim().is_empty() => {
                text.truncate(text.trim_end().len());
                text.push('\n');
                text.push_str(line);
            }
            Some(text) => line.clone_into(text),
            None => values.push(line.to_owned()),
        }
    }

    /// Adds a part of a form: a field, or a file.
    pub(super) fn add(
        &mut self,
        name: String,
        file_name: Option<String>,
        bytes: Bytes,
    ) -> Result<(), Problem> {
        match file_name {
            Some(file_name) => {
                let upload = Upload { file_name, bytes };
                self.files.entry(name).or_insert(upload);
            }
            None => {
                let text = String::from_utf8(bytes.into());
                let text = text.map_err(|_| malformed("a field is not UTF-8"))?;
                self.values.entry(name).or_default().push(text);
            }
        }
        Ok(())
    }
}

/// Encoding of a form's fields.
enum FormKind {
    /// `application/x-www-form-urlencoded`.
    Text,
    /// `multipart/form-data`.
    Parts,
}

impl FormKind {
    fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let media_type = headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok());
        match media_type.unwrap_or_default().split(';').next().unwrap_or_default().trim() {
            "application/x-www-form-urlencoded" => Ok(Self::Text),
            "multipart/form-data" => Ok(Self::Parts),
            _ => Err(Problem::new(Kind::MediaType, "the body is not a form")),
        }
    }
}

/// Splits bytes into pieces, between which other tasks run. The first piece is ready at once:
/// multer treats a pending stream as broken, and then the whole form.
fn pieces(bytes: Bytes) -> impl Stream<Item = Result<Bytes, Infallible>> {
    let starts = futures::stream::iter((0..bytes.len()).step_by(PIECE));
    starts.then(move |start| {
        let piece = bytes.slice(start..bytes.len().min(start + PIECE));
        async move {
            if start > 0 {
                tokio::task::yield_now().await;
            }
            Ok(piece)
        }
    })
}

/// Sign-in form of a client without a session: a few fields, with a short time limit.
pub(super) struct SignInForm(pub(super) FormFields);

impl<S: Send + Sync> FromRequest<S> for SignInForm {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let FormKind::Text = FormKind::of(&parts.headers)? else {
            return Err(Problem::new(Kind::MediaType, "the form for signing in has no parts"));
        };
        extract::check_length(&parts.headers, MAX_SIGN_IN_BYTES)?;
        let reading = async {
            let (mut incoming, mut bytes) = (extract::Incoming::new(body), BytesMut::new());
            while let Some(piece) = incoming.next(MAX_SIGN_IN_BYTES).await? {
                bytes.extend_from_slice(&piece);
            }
            FormFields::of_text(&bytes).map(Self)
        };
        let slow = || Problem::new(Kind::SlowBody, "the form came too slowly");
        tokio::time::timeout(SIGN_IN_WITHIN, reading).await.unwrap_or_else(|_| Err(slow()))
    }
}

/// Query of a page.
pub(super) struct PageFields(pub(super) FormFields);

impl<S: Send + Sync> FromRequestParts<S> for PageFields {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(Self(FormFields::of_query(parts.uri.query().unwrap_or_default())))
    }
}

/// Form sent by a page of this session, and its memory permit.
pub(super) struct Form(pub(super) FormFields, pub(super) MemoryPermit);

impl FromRequest<AppState> for Form {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Problem> {
        let user = request.extensions().get::<CurrentUser>().cloned();
        let user = user.ok_or_else(|| Problem::internal("a form without a session"))?;
        let (fields, held) = FormFields::read(request, state, &user.identity).await?;
        match user.owns(fields.text(TOKEN_FIELD)) {
            true => Ok(Self(fields, held)),
            false => Err(not_of_session()),
        }
    }
}

/// True if a form comes in parts, as one with files does.
pub(super) fn is_of_parts(headers: &HeaderMap) -> bool {
    matches!(FormKind::of(headers), Ok(FormKind::Parts))
}

/// Refusal of a form that no page of the session has sent.
pub(super) fn not_of_session() -> Problem {
    Problem::new(Kind::Forbidden, "the form does not belong to this session")
        .hint("it may be from before you signed in: load its page again")
}

pub(super) fn malformed(detail: &str) -> Problem {
    Problem::new(Kind::Malformed, format!("the form can't be read: {detail}"))
}

pub(super) fn broken(error: axum::extract::multipart::MultipartError) -> Problem {
    malformed(&error.body_text())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn forms_of_every_size_are_read_whole() {
        for size in [0, 1, PIECE - 200, PIECE, PIECE + 1, 3 * PIECE] {
            let source = "x".repeat(size);
            let form = format!(
                "--b\r\nContent-Disposition: form-data; name=\"source\"\r\n\r\n{source}\r\n\
                 --b\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\nx\r\n--b--\r\n"
            );
            let request =
                Request::builder().header(CONTENT_TYPE, "multipart/form-data; boundary=b");
            let (parts, ()) = request.body(()).unwrap().into_parts();
            let fields = FormFields::of_parts(parts, form.into()).await.unwrap();
            assert_eq!((fields.text("source").len(), fields.text("name")), (size, "x"));
        }
    }

    #[test]
    fn what_is_sent_again_has_the_same_key() {
        let word = "0193f2b0-0000-7000-8000-000000000000";
        let key = |rest: &str| {
            let once = FormFields::of_query(&format!("once={word}&{rest}")).once();
            once.map(|once| (once.key, once.fingerprint))
        };
        let first = key("a=1&b=2");
        assert!(first.as_ref().is_some_and(|(key, _)| key.contains(word)));
        assert_eq!(first, key("b=2&a=1"));
        for other in ["a=1&b=3", "a=1&b=2&b=", "a=1b&=2", "a=1"] {
            assert_ne!(first, key(other), "{other}");
        }
        assert!(FormFields::of_query("once=x").once().is_none());
        assert!(FormFields::default().once().is_none());
    }
}
