//! Format of every refusal and failure: RFC 9457 `application/problem+json`.
//!
//! A [`Problem`] is created at the point of failure and rendered once, by [`super::envelope`],
//! which knows the request's id. Its text is for the caller: no SQL, and no host path that the
//! caller did not give. Its cause is only logged.

use std::error::Error;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::error_chain::chain;
use crate::domain::fault::Fault;
use crate::files::FilesError;
use crate::orchestrator::SubmitError;
use crate::registry::RegistryError;
use crate::store::StoreError;

/// Time after which to retry after an outage.
const RETRY_OUTAGE: Duration = Duration::from_secs(2);

/// Media type of problems (RFC 9457, 3).
pub(crate) const MEDIA_TYPE: &str = "application/problem+json";

/// Reason that a request failed.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    kind: Kind,
    detail: Box<str>,
    hint: Option<Box<str>>,
    errors: Vec<FieldProblem>,
    retry_after: Option<Duration>,
    /// Cause, only for the log.
    cause: Option<Box<str>>,
    is_of_database: bool,
}

/// Kind of a problem; programs distinguish them by their type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Malformed,
    Unauthorized,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    Refused,
    SlowBody,
    Conflict,
    Disabled,
    TooLarge,
    MediaType,
    Invalid,
    InputMissing,
    InputPending,
    KeyReused,
    QueueFull,
    TooManyRequests,
    Internal,
    Unavailable,
    Stopping,
    TooManyStreams,
    TooMuch,
    DigestMismatch,
    PreconditionFailed,
    RangeNotSatisfiable,
    Quota,
    NoRoom,
    UploadOffset,
    UploadBusy,
    UploadChecksum,
}

impl Kind {
    /// Status, the last part of the type, and title.
    fn row(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::Malformed => (StatusCode::BAD_REQUEST, "malformed", "Malformed request"),
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "unauthorized", "No valid token"),
            Self::Forbidden => (StatusCode::FORBIDDEN, "forbidden", "Not allowed"),
            Self::NotFound => (StatusCode::NOT_FOUND, "not-found", "Not found"),
            Self::MethodNotAllowed => {
                (StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "Method not allowed")
            }
            Self::Refused => (StatusCode::BAD_REQUEST, "refused", "Request refused"),
            Self::SlowBody => (StatusCode::REQUEST_TIMEOUT, "slow-body", "Body came too slowly"),
            Self::Conflict => (StatusCode::CONFLICT, "conflict", "Conflict"),
            Self::Disabled => (StatusCode::CONFLICT, "disabled", "Script is disabled"),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too-large", "Body is too large"),
            Self::MediaType => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "media-type", "Unsupported media type")
            }
            Self::Invalid => (StatusCode::UNPROCESSABLE_ENTITY, "invalid", "Invalid request"),
            Self::InputMissing => {
                (StatusCode::UNPROCESSABLE_ENTITY, "input-missing", "Input file is missing")
            }
            Self::InputPending => {
                (StatusCode::CONFLICT, "input-pending", "Execution of an input has not ended")
            }
            Self::KeyReused => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "key-reused",
                "Idempotency-Key was used for another request",
            ),
            Self::QueueFull => (StatusCode::TOO_MANY_REQUESTS, "queue-full", "Queue is full"),
            Self::TooManyRequests => {
                (StatusCode::TOO_MANY_REQUESTS, "too-many-requests", "Too many requests")
            }
            Self::Internal => {
                (StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal server error")
            }
            Self::Unavailable => {
                (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Not available right now")
            }
            Self::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "stopping", "Server is stopping"),
            Self::TooMuch => {
                (StatusCode::SERVICE_UNAVAILABLE, "too-much", "Too much is sent and answered")
            }
            Self::TooManyStreams => {
                (StatusCode::SERVICE_UNAVAILABLE, "too-many-streams", "Too many open streams")
            }
            Self::DigestMismatch => {
                (StatusCode::UNPROCESSABLE_ENTITY, "digest-mismatch", "Content has another digest")
            }
            Self::PreconditionFailed => {
                (StatusCode::PRECONDITION_FAILED, "precondition-failed", "Precondition failed")
            }
            Self::RangeNotSatisfiable => {
                (StatusCode::RANGE_NOT_SATISFIABLE, "range", "Range begins behind the end")
            }
            Self::Quota => (StatusCode::INSUFFICIENT_STORAGE, "quota", "Quota is used up"),
            Self::NoRoom => (StatusCode::INSUFFICIENT_STORAGE, "no-room", "No room on the disk"),
            Self::UploadOffset => {
                (StatusCode::CONFLICT, "upload-offset", "Upload goes on elsewhere")
            }
            Self::UploadBusy => (StatusCode::LOCKED, "upload-busy", "Upload is in use"),
            Self::UploadChecksum => (checksum_mismatch(), "upload-checksum", "Part was damaged"),
        }
    }
}

/// Status of a part whose checksum is another one (tus 1.0, "Checksum").
fn checksum_mismatch() -> StatusCode {
    StatusCode::from_u16(460).unwrap_or(StatusCode::UNPROCESSABLE_ENTITY)
}

/// One fault of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct FieldProblem {
    /// Place in the body as a JSON pointer (RFC 6901); empty for the whole body.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "/timeout_secs")]
    pointer: Option<String>,
    /// The query parameter or header, if the fault is not in the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    parameter: Option<String>,
    /// The problem.
    #[schema(example = "0 s is below the least, 100 ms")]
    detail: String,
}

/// An error (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem, example = json!({
    "type": "urn:gantry:problem:invalid",
    "title": "Invalid request",
    "status": 422,
    "detail": "1 thing is wrong with the request",
    "errors": [{"pointer": "/timeout_secs", "detail": "0 s is below the least, 100 ms"}],
    "request_id": "0198f3b2c4e07d41a3c5d2b0f1e6a798"
}))]
pub(crate) struct ProblemBody<'a> {
    /// Kind of the problem: `urn:gantry:problem:…`.
    r#type: String,
    /// The kind in words.
    title: &'a str,
    /// The HTTP status.
    status: u16,
    /// Description of the problem.
    detail: &'a str,
    /// Advice on what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
    /// All faults of the request.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldProblem],
    /// Id of the request in the server's log.
    request_id: &'a str,
}

impl Problem {
    /// Creates a problem of a kind with its detail.
    pub(crate) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into().into_boxed_str(),
            hint: None,
            errors: Vec::new(),
            retry_after: None,
            cause: None,
            is_of_database: false,
        }
    }

    /// Problem of an unknown resource, or of one that the caller may not see.
    pub(crate) fn not_found(what: &str) -> Self {
        Self::new(Kind::NotFound, format!("there is no such {what}"))
    }

    /// Problem of an invalid body.
    pub(crate) fn invalid(faults: Vec<Fault>) -> Self {
        let errors = faults.into_iter().map(|fault| FieldProblem {
            pointer: Some(fault.pointer),
            parameter: None,
            detail: fault.detail,
        });
        Self::of_fields(errors.collect())
    }

    /// Problem of files that an execution can't take.
    fn of_inputs(kind: Kind, faults: Vec<Fault>) -> Self {
        Self { kind, ..Self::invalid(faults) }
    }

    /// Problem of an invalid parameter or header.
    pub(crate) fn parameter(name: &str, detail: impl Into<String>) -> Self {
        let parameter = Some(name.to_owned());
        Self::of_fields(vec![FieldProblem { pointer: None, parameter, detail: detail.into() }])
    }

    fn of_fields(errors: Vec<FieldProblem>) -> Self {
        let detail = match errors.as_slice() {
            [only] => only.detail.clone(),
            several => format!("{} things are wrong with the request", several.len()),
        };
        Self { errors, ..Self::new(Kind::Invalid, detail) }
    }

    /// Problem of a bug in the server; its cause is only logged.
    pub(crate) fn internal(cause: impl Into<String>) -> Self {
        let detail = "the server failed; its log has more under the request's id";
        Self { cause: Some(cause.into().into_boxed_str()), ..Self::new(Kind::Internal, detail) }
    }

    /// Problem of a dependency that does not answer.
    pub(crate) fn unavailable(detail: impl Into<String>, error: &dyn Error) -> Self {
        let problem = Self::new(Kind::Unavailable, detail).after(RETRY_OUTAGE);
        Self { cause: Some(chain(error).into_boxed_str()), ..problem }
    }

    /// Problem of a server that is shutting down.
    pub(crate) fn stopping() -> Self {
        Self::new(Kind::Stopping, "the server takes nothing more, it is about to end")
            .after(RETRY_OUTAGE)
    }

    /// Adds a hint.
    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into().into_boxed_str()), ..self }
    }

    /// Adds a pointer into the body.
    pub(crate) fn at(mut self, pointer: &str) -> Self {
        let pointer = Some(pointer.to_owned());
        self.errors.push(FieldProblem {
            pointer,
            parameter: None,
            detail: self.detail.to_string(),
        });
        self
    }

    /// Adds a time after which to retry.
    pub(crate) fn after(self, time: Duration) -> Self {
        Self { retry_after: Some(time), ..self }
    }

    /// Kind in words.
    pub(crate) fn title(&self) -> &'static str {
        self.kind.row().2
    }

    /// Description of the failure.
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    /// Hint for the caller.
    pub(crate) fn what_to_do(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// Seconds after which to retry.
    pub(crate) fn retry_seconds(&self) -> Option<u64> {
        self.retry_after.map(|time| time.as_secs().max(1))
    }

    /// Faults of the body, each a JSON pointer and a detail.
    pub(crate) fn faults(&self) -> impl Iterator<Item = (&str, &str)> {
        self.errors.iter().map(|it| {
            let place = it.pointer.as_deref().or(it.parameter.as_deref());
            (place.unwrap_or_default(), it.detail.as_str())
        })
    }

    /// Status of the answer.
    pub(crate) fn status(&self) -> StatusCode {
        self.kind.row().0
    }

    /// Cause, for the log.
    pub(crate) fn cause(&self) -> Option<&str> {
        self.cause.as_deref()
    }

    /// True if the database failed.
    pub(crate) fn is_of_database(&self) -> bool {
        self.is_of_database
    }

    /// Renders the response.
    pub(crate) fn render(&self, request_id: &str) -> Response {
        let status = self.status();
        let mut response = (status, Body::from(self.json(request_id))).into_response();
        let mut set = |name: HeaderName, value: HeaderValue| {
            response.headers_mut().insert(name, value);
        };
        set(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        if let Some(seconds) = self.retry_seconds() {
            set(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            set(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"gantry\""));
        }
        response
    }

    /// Renders the body.
    pub(crate) fn json(&self, request_id: &str) -> Vec<u8> {
        let (status, kind, title) = self.kind.row();
        let body = ProblemBody {
            r#type: format!("urn:gantry:problem:{kind}"),
            title,
            status: status.as_u16(),
            detail: &self.detail,
            hint: self.hint.as_deref(),
            errors: &self.errors,
            request_id,
        };
        // Serialising strings and numbers can't fail.
        serde_json::to_vec(&body).unwrap_or_default()
    }
}

/// Carries the problem to [`super::envelope`], which renders it.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(Box::new(self));
        response
    }
}

/// Marks a response whose error status is its answer, not a problem.
#[derive(Debug, Clone, Copy)]
pub(crate) struct IsAnswer;

/// Returns the problem of a response; an error status without one gets one.
pub(crate) fn problem_in(response: &Response) -> Option<Problem> {
    if let Some(problem) = response.extensions().get::<Box<Problem>>() {
        return Some((**problem).clone());
    }
    let status = response.status();
    let is_answer = response.extensions().get::<IsAnswer>().is_some();
    if is_answer || !(status.is_client_error() || status.is_server_error()) {
        return None;
    }
    Some(match status {
        StatusCode::NOT_FOUND => Problem::not_found("page"),
        // The router adds the allowed methods.
        StatusCode::METHOD_NOT_ALLOWED => {
            Problem::new(Kind::MethodNotAllowed, "this route has no such method")
        }
        status if status.is_client_error() => {
            Problem::new(Kind::Refused, "the request can't be understood")
        }
        status => Problem::internal(format!("a response with status {status} and no problem")),
    })
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let problem = if error.is_outage() {
            Self::unavailable("the database is not available", &error).hint("try again in a moment")
        } else {
            Self::internal(format!("database: {}", chain(&error)))
        };
        Self { is_of_database: true, ..problem }
    }
}

impl From<FilesError> for Problem {
    fn from(error: FilesError) -> Self {
        let (detail, hint) = (error.to_string(), error.hint());
        let problem = match error {
            FilesError::Missing(_) => Self::invalid(vec![Fault::new("", detail)]),
            FilesError::Mismatch { .. } => Self::new(Kind::DigestMismatch, detail),
            FilesError::Quota { .. } => Self::new(Kind::Quota, detail),
            FilesError::NoRoom { .. } => Self::new(Kind::NoRoom, detail),
            FilesError::Tree(_) => Self::invalid(vec![Fault::new("/files", detail)]),
            FilesError::Stopped => Self::stopping(),
            FilesError::Store(error) => return error.into(),
            FilesError::Offset { .. } => Self::new(Kind::UploadOffset, detail),
            FilesError::Busy => Self::new(Kind::UploadBusy, detail).after(RETRY_OUTAGE),
            FilesError::TooLong { .. } => Self::new(Kind::TooLarge, detail),
            FilesError::TooManyUploads(_) => Self::new(Kind::TooManyRequests, detail),
            FilesError::Checksum => Self::new(Kind::UploadChecksum, detail),
            FilesError::Length => Self::parameter("Upload-Length", detail),
            FilesError::NotAFile(_) | FilesError::Io { .. } => {
                return Self::internal(format!("files: {}", chain(&error)));
            }
        };
        match hint {
            Some(hint) => problem.hint(hint),
            None => problem,
        }
    }
}

impl From<SubmitError> for Problem {
    fn from(error: SubmitError) -> Self {
        let (detail, hint) = (error.to_string(), error.hint());
        let problem = match error {
            SubmitError::Disabled(_) => Self::new(Kind::Disabled, detail),
            SubmitError::Invalid(faults) => Self::invalid(faults),
            SubmitError::InputsMissing(faults) => Self::of_inputs(Kind::InputMissing, faults),
            SubmitError::InputsPending(faults) => Self::of_inputs(Kind::InputPending, faults),
            SubmitError::Files(error) => Self::internal(chain(error.as_ref())),
            SubmitError::Full { retry_after, .. } => {
                Self::new(Kind::QueueFull, detail).after(retry_after)
            }
            SubmitError::KeyReused(_) => Self::new(Kind::KeyReused, detail),
            SubmitError::Stopping => Self::stopping(),
            SubmitError::Store(error) => return error.into(),
        };
        match hint {
            Some(hint) => problem.hint(hint),
            None => problem,
        }
    }
}

impl From<RegistryError> for Problem {
    fn from(error: RegistryError) -> Self {
        let (detail, hint) = (error.to_string(), error.hint());
        let problem = match error {
            RegistryError::Invalid(faults) => Self::invalid(faults),
            RegistryError::NameConflict(_) => Self::new(Kind::Conflict, detail).at("/name"),
            RegistryError::NotFound => Self::not_found("script"),
            RegistryError::NoSuchVersion(_) => Self::not_found("version"),
            RegistryError::Forbidden(_) => Self::new(Kind::Forbidden, detail),
            RegistryError::ChangedMeanwhile => Self::new(Kind::Conflict, detail),
            RegistryError::Engine(error) if error.is_outage() => {
                Self::unavailable("the container engine does not answer", &error)
            }
            RegistryError::Engine(error) => Self::internal(format!("engine: {}", chain(&error))),
            RegistryError::Unkept(reason) => Self::internal(format!("bundle: {reason}")),
            RegistryError::Store(error) => return error.into(),
        };
        match hint {
            Some(hint) => problem.hint(hint),
            None => problem,
        }
    }
}
