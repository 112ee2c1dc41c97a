//! The names of executions' containers.

use sha2::{Digest, Sha256};
use uuid::Uuid;

/// The name of the only container of an execution. It does not say which: the engine's
/// resolver tells names to every container on the same network. Whoever may ask the
/// engine finds it by its label ([`crate::engine::LABEL_EXECUTION`]).
#[must_use]
pub fn container_name(execution_id: &str) -> String {
    let digest = Sha256::digest(execution_id);
    format!("gantry-{}", hex::encode(&digest[..8]))
}

/// The name of one of the containers of an execution that may be tried again: the
/// one before may not be removed yet.
pub(super) fn fresh_container_name(execution_id: &str) -> String {
    let number = Uuid::new_v4().as_u64_pair().1 & 0xffff_ffff;
    format!("{}-{number:08x}", container_name(execution_id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_always_the_same_and_has_no_id_in_it() {
        let id = "019ab3f2-0000-7000-8000-000000000001";
        let name = container_name(id);
        assert_eq!(name, container_name(id));
        assert_ne!(name, container_name("019ab3f2-0000-7000-8000-000000000002"));
        let has_part = id.split('-').any(|part| part.len() > 4 && name.contains(part));
        assert!(name.len() == "gantry-".len() + 16 && !has_part, "{name}");
        assert!(fresh_container_name(id).starts_with(&name));
    }
}
