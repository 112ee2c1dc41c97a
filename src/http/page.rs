//! Lists: `limit` and `offset` in, an array and `X-Total-Count` out.

use axum::Json;
use axum::http::HeaderName;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::IntoParams;

/// Most entries of one answer.
pub(crate) const MAX_LIMIT: u32 = 1_000;

/// Header with the total number of entries.
const TOTAL_COUNT: HeaderName = HeaderName::from_static("x-total-count");

/// Which part of a list is wanted.
#[derive(Debug, Clone, Copy, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageQuery {
    /// Most entries to return.
    #[param(minimum = 1, maximum = 1000, default = 50, required = false)]
    pub(crate) limit: u32,
    /// Entries to skip.
    #[param(minimum = 0, maximum = 9_223_372_036_854_775_807_i64, default = 0, required = false)]
    pub(crate) offset: u64,
}

impl Default for PageQuery {
    fn default() -> Self {
        Self { limit: 50, offset: 0 }
    }
}

/// One page of a list.
#[derive(Debug)]
pub(crate) struct Listed<T> {
    /// Entries of the page.
    pub(crate) entries: Vec<T>,
    /// Total number of entries.
    pub(crate) total: i64,
}

impl<T: Serialize> IntoResponse for Listed<T> {
    fn into_response(self) -> Response {
        ([(TOTAL_COUNT, self.total.to_string())], Json(self.entries)).into_response()
    }
}
