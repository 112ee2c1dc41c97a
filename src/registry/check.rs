//! Validation without changes.

use super::register::admins_only;
use super::{Actor, Registry, RegistryError, ScriptInput};
use crate::domain::fault::Fault;

impl Registry {
    /// Returns all faults that [`Registry::register`] would report for a script, or
    /// [`Registry::change`] for a change of the script with this id; empty if it would be accepted
    /// now.
    ///
    /// # Errors
    /// Theirs, except [`RegistryError::Invalid`] and [`RegistryError::NameConflict`].
    pub async fn check(
        &self,
        actor: &Actor,
        id: Option<i64>,
        input: ScriptInput,
    ) -> Result<Vec<Fault>, RegistryError> {
        let name = input.name.clone();
        let checked = match id {
            Some(id) => self.check_change(actor, id, &input).await,
            None => {
                admins_only(actor)?;
                self.drafted(input, None).await.map(drop)
            }
        };
        let mut faults = match checked {
            Ok(()) => Vec::new(),
            Err(RegistryError::Invalid(faults)) => faults,
            Err(other) => return Err(other),
        };
        // Databases are not asked for invalid names.
        let is_name = faults.iter().all(|fault| fault.pointer != "/name");
        if let Some(name) = name.filter(|_| is_name)
            && let Some(namesake) = self.store.script_named(&name).await?
            && Some(namesake.id) != id
        {
            faults.push(Fault::new("/name", RegistryError::NameConflict(name).to_string()));
        }
        Ok(faults)
    }
}
