//! A confinement that is kept: written as JSON and digested once per container, so
//! that the execution in it has nothing of that to do.

use std::ops::Deref;
use std::sync::Arc;

use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};

use super::Confinement;

/// A confinement with its JSON and the SHA-256 of that. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedConfinement(Arc<Sealed>);

#[derive(Debug, PartialEq, Eq)]
struct Sealed {
    confinement: Confinement,
    json: String,
    digest: [u8; 32],
}

impl SealedConfinement {
    /// Seals a confinement. PostgreSQL keeps no NUL in text; JSON escapes it.
    ///
    /// # Errors
    /// Never, in fact: all of it can be written as JSON.
    pub fn new(confinement: Confinement) -> serde_json::Result<Self> {
        let json = serde_json::to_string(&confinement)?;
        let digest = Sha256::digest(&json).into();
        Ok(Self(Arc::new(Sealed { confinement, json, digest })))
    }

    /// Its JSON.
    #[must_use]
    pub fn json(&self) -> &str {
        &self.0.json
    }

    /// The SHA-256 of its JSON, which it is stored under.
    #[must_use]
    pub fn digest(&self) -> &[u8; 32] {
        &self.0.digest
    }
}

impl Deref for SealedConfinement {
    type Target = Confinement;

    fn deref(&self) -> &Confinement {
        &self.0.confinement
    }
}

impl Serialize for SealedConfinement {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.confinement.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_confinements_have_one_digest_and_others_have_another() {
        let digest = |pids| {
            let sealed = SealedConfinement::new(Confinement { pids, ..Confinement::default() });
            *sealed.unwrap().digest()
        };
        assert_eq!(digest(64), digest(64));
        assert_ne!(digest(64), digest(65));
    }

    #[test]
    fn what_an_older_gantry_has_kept_can_be_read() {
        let older: Confinement = serde_json::from_str(r#"{"pids": 64, "once": true}"#).unwrap();
        assert_eq!(older, Confinement { pids: 64, ..Confinement::default() });
    }
}
