//! Parsers of request bodies, without a server. For the fuzzers (`tests/fuzz`), which feed them
//! arbitrary bytes; handlers read theirs through [`crate::http::extract`].

use super::execution_request::ValidatedRequest;
use crate::http::fields::BodyFields;
use crate::http::problem::Problem;
use crate::registry::ScriptInput;

/// Refusal of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// Body of the answer, `application/problem+json`.
    pub problem: Vec<u8>,
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self { status: problem.status().as_u16(), problem: problem.json("") }
    }
}

/// Parts of a request for an execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// Input, byte for byte.
    pub input: String,
    /// Arguments after the script's own.
    pub args: Vec<String>,
    /// Variables over the script's own, by name and value.
    pub env: Vec<(String, String)>,
    /// Digest that identifies the request under an idempotency key.
    pub fingerprint: [u8; 32],
}

/// Parses the body of `POST /api/v1/admin/scripts`.
///
/// # Errors
/// The answer if the body is invalid.
pub fn registration(body: &[u8]) -> Result<ScriptInput, Refusal> {
    Ok(BodyFields::parse(body)?.into_value()?)
}

/// Parses the body of `POST /api/v1/executions`.
///
/// # Errors
/// The answer if the body is invalid.
pub fn submission(body: &[u8]) -> Result<Submission, Refusal> {
    let (request, _) = ValidatedRequest::parse(body)?;
    let fingerprint = request.fingerprint(1);
    let env = request.env.iter().map(|it| (it.name().to_owned(), it.value().to_owned())).collect();
    Ok(Submission {
        input: request.input.as_str().to_owned(),
        args: request.args,
        env,
        fingerprint,
    })
}
