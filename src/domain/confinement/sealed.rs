//! Confinement with its JSON and digest, computed once per container, so that no execution
//! spends time on it.

use std::ops::Deref;
use std::sync::Arc;

use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};

use super::Confinement;

/// Confinement with its JSON and the JSON's SHA-256. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedConfinement(Arc<Sealed>);

#[derive(Debug, PartialEq, Eq)]
struct Sealed {
    confinement: Confinement,
    json: String,
    digest: [u8; 32],
}

impl SealedConfinement {
    /// Seals a confinement. PostgreSQL stores no NUL in text; JSON escapes it.
    ///
    /// # Errors
    /// None in practice: every confinement can be written as JSON.
    pub fn new(confinement: Confinement) -> serde_json::Result<Self> {
        let json = serde_json::to_string(&confinement)?;
        let digest = Sha256::digest(&json).into();
        Ok(Self(Arc::new(Sealed { confinement, json, digest })))
    }

    /// The confinement as JSON.
    #[must_use]
    pub fn json(&self) -> &str {
        &self.0.json
    }

    /// SHA-256 of the JSON, the key under which it is stored.
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
