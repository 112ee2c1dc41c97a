//! Grants of a new token: the parts of the server's shares that its executions may read.

use super::problem::Problem;
use super::state::AppState;
use crate::domain::fault::Fault;
use crate::domain::share::{MAX_GRANTS, ShareGrant, ShareGrants};

/// Reads grants as they were sent, `NAME` or `NAME/PATH` each.
///
/// # Errors
/// [`Problem`] with a fault for each that is no grant, or that names no share of this server.
pub(crate) fn share_grants(state: &AppState, texts: &[String]) -> Result<ShareGrants, Problem> {
    if texts.len() > MAX_GRANTS {
        let detail = format!("{} shares, at most {MAX_GRANTS} are possible", texts.len());
        return Err(Problem::invalid(vec![Fault::new("/shares", detail)]));
    }
    let mut grants = Vec::with_capacity(texts.len());
    let mut faults = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        match grant(state, text) {
            Ok(grant) => grants.push(grant),
            Err(detail) => faults.push(Fault::new(format!("/shares/{index}"), detail)),
        }
    }
    if !faults.is_empty() {
        return Err(Problem::invalid(faults));
    }
    ShareGrants::new(grants)
        .map_err(|fault| Problem::invalid(vec![Fault::new("/shares", fault.to_string())]))
}

fn grant(state: &AppState, text: &str) -> Result<ShareGrant, String> {
    let grant: ShareGrant =
        text.parse().map_err(|fault: crate::domain::share::ShareTextFault| fault.to_string())?;
    match state.shares.check_grant(&grant) {
        Ok(()) => Ok(grant),
        Err(fault) => match fault.hint() {
            Some(hint) => Err(format!("{fault}; {hint}")),
            None => Err(fault.to_string()),
        },
    }
}
