//! What bodies of requests are read as, without a server. For the fuzzers
//! (`tests/fuzz`), who hold arbitrary bytes against it; handlers read theirs
//! through [`super::extract`].

use super::fields::Fields;
use super::order::Order;
use super::problem::Problem;
use crate::registry::ScriptInput;

/// How a body is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The answer's body, `application/problem+json`.
    pub problem: Vec<u8>,
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self { status: problem.status().as_u16(), problem: problem.json("") }
    }
}

/// What an execution was asked to do, in part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// The input, byte for byte.
    pub input: String,
    /// Arguments behind the script's own.
    pub args: Vec<String>,
    /// Variables over the script's own, by name and value.
    pub env: Vec<(String, String)>,
    /// What makes it the same request under an idempotency key.
    pub fingerprint: [u8; 32],
}

/// The body of `POST /api/v1/admin/scripts`.
///
/// # Errors
/// What is answered when it can't be read as such.
pub fn registration(body: &[u8]) -> Result<ScriptInput, Refusal> {
    Ok(Fields::parse(body)?.into_value()?)
}

/// The body of `POST /api/v1/executions`.
///
/// # Errors
/// What is answered when it can't be read as such.
pub fn submission(body: &[u8]) -> Result<Submission, Refusal> {
    let (order, _) = Order::parse(body)?;
    let fingerprint = order.fingerprint(1);
    let env = order.env.iter().map(|it| (it.name().to_owned(), it.value().to_owned())).collect();
    Ok(Submission { input: order.input.as_str().to_owned(), args: order.args, env, fingerprint })
}
