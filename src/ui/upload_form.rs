//! Forms with files of any size. A file goes to the store of files piece by piece, as it comes;
//! its name and its digest then stand among the form's fields, as if they had been typed.
//!
//! A form is read in the order in which it is sent. It must begin with its session's token: until
//! that has come, no file is taken.

use std::task::Poll;

use axum::body::Body;
use axum::extract::multipart::{Field, Multipart};
use axum::extract::{FromRequest, Request};
use bytes::{Bytes, BytesMut};
use futures::stream::{self, Stream};

use super::form::{Form, FormFields, TOKEN_FIELD, broken, is_of_parts, malformed, not_of_session};
use super::session::CurrentUser;
use crate::clock;
use crate::domain::file::UploadKeep;
use crate::files::{FileLabel, StoredFile};
use crate::http::arriving::Arriving;
use crate::http::auth::Identity;
use crate::http::extract::WITH_SCRIPT;
use crate::http::files::holder;
use crate::http::memory::MemoryPermit;
use crate::http::problem::Problem;
use crate::http::state::AppState;

/// Beginning of the name of a control for files; the name of the field that takes their names
/// follows.
pub(in crate::ui) const UPLOAD: &str = "upload ";

/// Field with the files of an execution, one `NAME=REFERENCE` a line.
pub(super) const FILES_FIELD: &str = "files";

/// Most parts of a form.
const MAX_PARTS: usize = 1_000;

/// Most bytes of all fields that are no uploads.
const MAX_FIELD_BYTES: usize = WITH_SCRIPT;

/// Longest name of an uploaded file, in bytes.
const MAX_NAME_BYTES: usize = 200;

/// Form whose files are in the store of files, and its memory permit.
pub(super) struct UploadForm(pub(super) FormFields, #[expect(dead_code, reason = "held")] Held);

/// Memory of the fields.
type Held = MemoryPermit;

impl FromRequest<AppState> for UploadForm {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Problem> {
        if !is_of_parts(request.headers()) {
            let Form(fields, held) = Form::from_request(request, state).await?;
            return Ok(Self(fields, held));
        }
        let user = request.extensions().get::<CurrentUser>().cloned();
        let user = user.ok_or_else(|| Problem::internal("a form without a session"))?;
        let (parts, body) = request.into_parts();
        let request = Request::from_parts(parts, Body::from_stream(one_by_one(body)));
        let parts = Multipart::from_request(request, &()).await;
        let mut parts = parts.map_err(|error| malformed(&error.body_text()))?;
        let mut reading = Reading::new(state, &user);
        while let Some(part) = parts.next_field().await.map_err(broken)? {
            reading.part(part).await?;
        }
        reading.finish()
    }
}

/// Pieces of a body, each given alone: a parser that takes all that is ready would have a whole
/// file in memory if it came fast enough.
fn one_by_one(body: Body) -> impl Stream<Item = Result<Bytes, std::io::Error>> {
    let pieces = stream::unfold(Arriving::new(body), |mut arriving| async move {
        match arriving.next().await {
            Ok(piece) => piece.map(|piece| (Ok(piece), arriving)),
            Err(problem) => {
                let error = std::io::Error::other(problem.detail().to_owned());
                Some((Err(error), arriving))
            }
        }
    });
    let (mut pieces, mut is_due) = (Box::pin(pieces), true);
    stream::poll_fn(move |context| {
        if !is_due {
            is_due = true;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let polled = pieces.as_mut().poll_next(context);
        is_due = !matches!(polled, Poll::Ready(Some(_)));
        polled
    })
}

/// Form that is read.
struct Reading<'a> {
    state: &'a AppState,
    user: &'a CurrentUser,
    fields: FormFields,
    held: MemoryPermit,
    /// Bytes of the fields so far.
    bytes: usize,
    parts: usize,
}

impl<'a> Reading<'a> {
    fn new(state: &'a AppState, user: &'a CurrentUser) -> Self {
        let (fields, held) = (FormFields::default(), MemoryPermit::default());
        Self { state, user, fields, held, bytes: 0, parts: 0 }
    }

    fn identity(&self) -> &'a Identity {
        &self.user.identity
    }

    fn is_of_session(&self) -> bool {
        self.user.owns(self.fields.text(TOKEN_FIELD))
    }

    async fn part(&mut self, part: Field<'_>) -> Result<(), Problem> {
        self.parts += 1;
        if self.parts > MAX_PARTS {
            return Err(malformed("it has too many fields"));
        }
        let name = part.name().unwrap_or_default().to_owned();
        let file_name = part.file_name().map(str::to_owned);
        match (name.strip_prefix(UPLOAD), file_name) {
            (Some(target), Some(file_name)) => self.upload(target, &file_name, part).await,
            (_, file_name) => {
                let bytes = self.field(part).await?;
                self.fields.add(name, file_name, bytes)
            }
        }
    }

    /// Reads a field, within the bounds of all fields together.
    async fn field(&mut self, mut part: Field<'_>) -> Result<Bytes, Problem> {
        let mut read = BytesMut::new();
        while let Some(piece) = part.chunk().await.map_err(broken)? {
            self.bytes += piece.len();
            if self.bytes > MAX_FIELD_BYTES {
                return Err(malformed("its fields have too many bytes"));
            }
            let taker = self.identity().taker();
            self.state.memory().extend(&mut self.held, taker, self.bytes).await?;
            read.extend_from_slice(&piece);
        }
        Ok(read.freeze())
    }

    async fn upload(
        &mut self,
        target: &str,
        file_name: &str,
        mut part: Field<'_>,
    ) -> Result<(), Problem> {
        if !self.is_of_session() {
            return Err(not_of_session());
        }
        let first = part.chunk().await.map_err(broken)?;
        let first = first.unwrap_or_default();
        // Browsers send a control without a file as an empty one without a name.
        if first.is_empty() && file_name.is_empty() {
            return Ok(());
        }
        let name = plain_name(file_name);
        let media_type = part.content_type().map(str::to_owned);
        let files = &self.state.files;
        let mut room = files.room(self.identity().token_id(), 0).await?;
        let mut incoming = files.begin().await?;
        let mut piece = Some(first);
        while let Some(bytes) = piece {
            room.grow_to(incoming.bytes() + bytes.len() as u64)?;
            incoming.write(bytes).await?;
            piece = part.chunk().await.map_err(broken)?;
        }
        let label = FileLabel { name: Some(name.clone()), media_type };
        let until = UploadKeep::default().until(clock::now(), files.grace());
        let holder = holder(self.identity());
        let stored = files.keep(incoming, None, &holder, label, until).await?;
        self.note(target, &name, stored);
        Ok(())
    }

    /// Puts a file's name into the field of its control, and its digest beside it.
    fn note(&mut self, target: &str, name: &str, stored: StoredFile) {
        let taken = self.fields.text(FILES_FIELD).to_owned();
        let name = free_name(name, &taken);
        self.fields.add_line(FILES_FIELD, &format!("{name}={}", stored.digest));
        if !target.is_empty() {
            self.fields.add_line(target, &name);
        }
    }

    fn finish(self) -> Result<UploadForm, Problem> {
        match self.is_of_session() {
            true => Ok(UploadForm(self.fields, self.held)),
            false => Err(not_of_session()),
        }
    }
}

/// Name of a file for a script, from the one that a browser gives: its last part, without
/// characters that a name can't have.
pub(super) fn plain_name(given: &str) -> String {
    let last = given.rsplit(['/', '\\']).next().unwrap_or_default().trim();
    let plain: String = last
        .chars()
        .map(|it| if it.is_control() || matches!(it, '=' | '"') { '_' } else { it })
        .collect();
    let short = plain.get(..plain.floor_char_boundary(MAX_NAME_BYTES)).unwrap_or_default();
    match short {
        "" | "." | ".." => "file".to_owned(),
        name => name.to_owned(),
    }
}

/// The name, or one with a number that no line of `files` has.
fn free_name(name: &str, files: &str) -> String {
    let is_taken = |name: &str| {
        let mut names = files.lines().filter_map(|line| line.split_once('=')).map(|it| it.0.trim());
        // Names that differ in case alone are refused beside each other.
        names.any(|it| it.to_lowercase() == name.to_lowercase())
    };
    let (stem, ending) = match name.rsplit_once('.') {
        Some((stem, ending)) if !stem.is_empty() => (stem, format!(".{ending}")),
        _ => (name, String::new()),
    };
    let numbered = (2..MAX_PARTS + 2).map(|number| format!("{stem}-{number}{ending}"));
    let mut names = std::iter::once(name.to_owned()).chain(numbered);
    names.find(|it| !is_taken(it)).unwrap_or_else(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;

    use super::*;

    #[test]
    fn the_name_of_an_upload_is_plain_and_free() {
        for (given, plain) in [
            ("plate.mov", "plate.mov"),
            ("C:\\clips\\plate 1.mov", "plate 1.mov"),
            ("a/b/../c", "c"),
            ("..", "file"),
            ("", "file"),
            ("a=b\n\".png", "a_b__.png"),
        ] {
            assert_eq!(plain_name(given), plain, "{given:?}");
        }
        assert!(plain_name(&"ü".repeat(200)).len() <= MAX_NAME_BYTES);
        assert_eq!(free_name("a.png", ""), "a.png");
        assert_eq!(free_name("A.png", "a.png=sha256:1\nA-2.png = x"), "A-3.png");
        assert_eq!(free_name(".hidden", ".hidden=1"), ".hidden-2");
    }

    #[tokio::test]
    async fn a_fast_body_is_taken_piece_by_piece() {
        let pieces = stream::iter((0..100).map(|_| Ok::<_, std::io::Error>(Bytes::from("x"))));
        let mut pieces = Box::pin(one_by_one(Body::from_stream(pieces)));
        let (mut taken, mut was_ready) = (0, false);
        loop {
            match futures::poll!(pieces.next()) {
                Poll::Ready(None) => break,
                Poll::Ready(Some(_)) => {
                    assert!(!was_ready, "two pieces were ready at once");
                    (taken, was_ready) = (taken + 1, true);
                }
                Poll::Pending => was_ready = false,
            }
        }
        assert_eq!(taken, 100);
    }
}
