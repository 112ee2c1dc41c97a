//! What would be refused, said before it is sent for good. Nothing is changed here.

use super::register::admins_only;
use super::{Actor, Registry, RegistryError, ScriptInput};
use crate::domain::fault::Fault;

impl Registry {
    /// All that [`Registry::register`] would refuse about a script, or
    /// [`Registry::change`] about a change of the one with this id; empty when it would
    /// be accepted as things are now.
    ///
    /// # Errors
    /// As theirs, but for [`RegistryError::Invalid`] and [`RegistryError::NameConflict`].
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
        // Databases are asked for nothing that can't be a name.
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
