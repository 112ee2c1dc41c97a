//! Requests of tokens, from authentication until their answers are sent. They are limited to fewer
//! than the connections, so that some connections always serve no token and can be closed for
//! others ([`crate::server`]). Each token has a share of them ([`super::shares`]).

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

/// Time after which a refused caller may retry.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Counter of the requests in progress.
#[derive(Debug)]
pub(crate) struct Admission(Shares);

/// Permit for one request; released on drop.
#[derive(Debug)]
pub(crate) struct Admitted {
    _share: Share,
    _hold: Option<Hold>,
}

impl Admission {
    /// Permits for so many connections: three quarters for everyone, and an eighth for admins.
    pub(crate) fn new(connections: usize) -> Self {
        Self(Shares::new(connections / 4 * 3, connections / 8))
    }

    /// Admits a request of a token.
    ///
    /// # Errors
    /// A [`Problem`] if the token has no share left.
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
    /// Holds the permit until the answer is sent.
    pub(crate) fn until_sent(self, answer: Response) -> Response {
        answer.map(|body| Body::new(Sent { body, _admitted: self }))
    }
}

/// Body of an answer that holds a permit until it ends.
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
