//! Executions that a caller may see, whole ones with the memory permit for them.

use uuid::Uuid;

use super::auth::Identity;
use super::memory::MemoryPermit;
use super::problem::Problem;
use super::state::AppState;
use crate::domain::execution::{Execution, ExecutionSummary};
use crate::domain::output_log::OutputLog;

/// Returns an execution of this id that the caller may see.
pub(crate) async fn find(
    state: &AppState,
    identity: &Identity,
    id: Uuid,
) -> Result<ExecutionSummary, Problem> {
    let found = state.store.execution_summary(id).await?;
    let known = found.filter(|execution| identity.knows(execution));
    known.ok_or_else(|| Problem::not_found("execution"))
}

/// An execution with its input and output, and the memory permit for it.
pub(crate) struct BudgetedExecution {
    pub(crate) execution: Execution,
    pub(crate) held: MemoryPermit,
}

/// Returns an execution with its output as bytes instead of texts.
pub(crate) async fn whole_and_log(
    state: &AppState,
    identity: &Identity,
    id: Uuid,
) -> Result<(BudgetedExecution, OutputLog), Problem> {
    let held = room(state, identity, id).await?;
    let found = state.store.execution_and_log(id).await?;
    let (execution, log) = found.ok_or_else(|| Problem::not_found("execution"))?;
    Ok((BudgetedExecution { execution, held }, log))
}

/// Returns an execution with its input and output.
pub(crate) async fn whole(
    state: &AppState,
    identity: &Identity,
    id: Uuid,
) -> Result<BudgetedExecution, Problem> {
    let held = room(state, identity, id).await?;
    let execution = state.store.execution(id).await?;
    let execution = execution.ok_or_else(|| Problem::not_found("execution"))?;
    Ok(BudgetedExecution { execution, held })
}

/// Acquires memory for a whole execution. One that ends meanwhile may take more.
pub(crate) async fn room(
    state: &AppState,
    identity: &Identity,
    id: Uuid,
) -> Result<MemoryPermit, Problem> {
    state.memory().hold(identity.taker(), state.store.execution_bytes(id).await?).await
}
