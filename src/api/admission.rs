//! Requests of tokens, from when it is known whose they are until their answers are
//! sent. There are fewer of them than connections, so that there are always some that
//! work for nobody and can be closed for another ([`crate::server`]); and a token has
//! a share of them ([`super::shares`]).

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Error;
use axum::body::{Body, Bytes};
use axum::response::Response;
use http_body::{Frame, SizeHint};

use super::connection::{Connection, Hold};
use super::problem::{Kind, Problem};
use super::shares::{Share, Shares, Taker};

/// After how long whoever was refused may ask again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Counts requests that are under way.
#[derive(Debug)]
pub(crate) struct Admission(Shares);

/// The right to a request; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Admitted {
    _share: Share,
    _hold: Option<Hold>,
}

impl Admission {
    /// Requests on so many connections: three quarters of them for everybody, and
    /// an eighth for admins.
    pub(super) fn new(connections: usize) -> Self {
        Self(Shares::new(connections / 4 * 3, connections / 8))
    }

    /// Admits a request of a token.
    ///
    /// # Errors
    /// A [`Problem`] when there are too many for another of this token.
    pub(crate) fn admit(
        &self,
        taker: Taker,
        connection: Option<&Connection>,
    ) -> Result<Admitted, Problem> {
        let refused = || {
            Problem::new(Kind::TooManyRequests, "too many requests of this token are under way")
                .after(RETRY_AFTER)
                .hint("wait for some of their answers first")
        };
        let share = self.0.take(taker, 1).ok_or_else(refused)?;
        Ok(Admitted { _share: share, _hold: connection.map(Connection::hold) })
    }
}

impl Admitted {
    /// Holds it until an answer is sent.
    pub(crate) fn until_sent(self, answer: Response) -> Response {
        answer.map(|body| Body::new(Sent { body, _admitted: self }))
    }
}

/// An answer's body that ends an admission with itself.
struct Sent {
    body: Body,
    _admitted: Admitted,
}

impl http_body::Body for Sent {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http_body::Body as _;

    use super::*;

    #[test]
    fn requests_are_under_way_until_their_answers_are_sent() {
        let admission = Admission::new(16);
        let taker = Taker { token_id: 1, is_admin: false };
        let connection = Connection::new([127, 0, 0, 1].into());
        let admitted = || admission.admit(taker, Some(&connection));
        let answers: Vec<_> =
            (0..6).map(|_| admitted().unwrap().until_sent(Response::new("a".into()))).collect();
        assert_eq!(answers[0].body().size_hint().exact(), Some(1));
        assert_eq!(admitted().unwrap_err().status().as_u16(), 429);
        assert!(connection.is_held());
        let admin = Taker { token_id: 2, is_admin: true };
        let of_admin: Vec<_> = (0..8).map(|_| admission.admit(admin, None).unwrap()).collect();
        drop((answers, of_admin));
        assert!(!connection.is_held() && admitted().is_ok());
    }
}
