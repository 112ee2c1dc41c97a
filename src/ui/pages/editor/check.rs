//! Validation of a script's form while it is filled in, for `assets/form.js`. It parses and checks
//! by the same rules as the final submission. Nothing is changed or stored.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;

use super::input::{field_of, readable};
use super::values::Values;
use super::{purpose_of, values_of};
use crate::domain::fault::Fault;
use crate::domain::registry::RegisteredScript;
use crate::http::path::NamedScript;
use crate::http::problem::Problem;
use crate::http::state::AppState;
use crate::ui::form::{Form, FormFields};
use crate::ui::session::CurrentUser;

/// Faults by the ids of their fields.
type Words = BTreeMap<String, Vec<String>>;

/// Checks the form of a new script.
pub(in crate::ui) async fn check_new(
    State(state): State<AppState>,
    user: CurrentUser,
    form: Form,
) -> Result<Json<Words>, Problem> {
    checked(&state, &user, None, &form.0).await
}

/// Checks a change.
pub(in crate::ui) async fn check_change(
    State(state): State<AppState>,
    user: CurrentUser,
    NamedScript(script): NamedScript,
    form: Form,
) -> Result<Json<Words>, Problem> {
    checked(&state, &user, Some(&script), &form.0).await
}

async fn checked(
    state: &AppState,
    user: &CurrentUser,
    script: Option<&RegisteredScript>,
    fields: &FormFields,
) -> Result<Json<Words>, Problem> {
    let before = match script {
        Some(script) => values_of(state, user, script).await?,
        None => Values::of_new(),
    };
    let (input, unread) = readable(fields, &before, purpose_of(user, script));
    let actor = user.identity.actor();
    let refused = state.registry.check(&actor, script.map(|it| it.id), input).await?;
    Ok(Json(by_field(unread, refused, fields.text("source_from"))))
}

/// Merges the faults. Unreadable fields are absent for the registry, which would report them as
/// missing, there and in dependent fields.
fn by_field(unread: Vec<Fault>, refused: Vec<Fault>, source_from: &str) -> Words {
    let field = |fault: &Fault| field_of(&fault.pointer, source_from);
    // Fields of which one is checked against the other.
    let together = [["/limits/memory_bytes", "/limits/scratch_bytes"], ["/source", "/file_path"]];
    let is_among = |fault: &Fault, places: &[&str]| {
        places.iter().any(|place| fault.pointer.starts_with(place))
    };
    let follows = |fault: &Fault| {
        let is_due = |places: &&[&str; 2]| unread.iter().any(|it| is_among(it, *places));
        together.iter().filter(is_due).any(|places| is_among(fault, places))
    };
    let refused: Vec<_> = refused.into_iter().filter(|fault| !follows(fault)).collect();
    let mut words = Words::new();
    for fault in unread {
        if let Some(field) = field(&fault) {
            words.entry(field).or_default().push(fault.detail);
        }
    }
    let known: Vec<_> = words.keys().cloned().collect();
    for fault in refused {
        if let Some(field) = field(&fault).filter(|field| !known.contains(field)) {
            words.entry(field).or_default().push(fault.detail);
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_has_its_own_words_and_no_others() {
        let unread = vec![Fault::new("/limits/cpus", "it is not a number")];
        let refused = vec![
            Fault::new("/limits/cpus", "too few"),
            Fault::new("/env/A", "odd"),
            Fault::new("/env/B", "odd, too"),
            Fault::new("/source", "it is empty"),
            Fault::new("", "nothing in particular"),
        ];
        let words = by_field(unread, refused, "file");
        let expected = [
            ("cpus", vec!["it is not a number"]),
            ("env", vec!["odd", "odd, too"]),
            ("upload", vec!["it is empty"]),
        ];
        let seen: Vec<_> = words.iter().map(|(id, it)| (id.as_str(), it.clone())).collect();
        assert_eq!(
            seen,
            expected.map(|(id, it)| (id, it.into_iter().map(str::to_owned).collect()))
        );
    }
}
