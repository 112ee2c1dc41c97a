//! Scripts that end when the test says so.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::testkit::server::{Server, ServerBuilder};

/// Says that it has begun, and ends when the gate is open.
pub(crate) const WAITS: &str =
    "echo began\nuntil [ -e /gate/open ]; do sleep 0.02; done\necho ended\n";

/// A folder of the host that scripts look into.
pub(crate) struct Gate {
    pub(crate) folder: PathBuf,
}

/// A server whose scripts can be given a gate.
pub(crate) fn gated(builder: ServerBuilder) -> (Server, Gate) {
    let folder = builder.folder().join("gate");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    let builder = builder.env("GANTRY_MOUNT_ROOTS", folder.to_str().unwrap());
    (builder.start(), Gate { folder })
}

impl Gate {
    /// The field of a script that looks into it.
    pub(crate) fn mounts(&self) -> Value {
        json!([{"source": self.folder, "target": "/gate"}])
    }

    /// Lets all scripts go on that wait.
    pub(crate) fn open(&self) {
        fs::write(self.folder.join("open"), "").unwrap();
    }

    /// Registers a script that waits for it.
    pub(crate) async fn register(&self, server: &Server, name: &str) -> Value {
        server.register(name, "shell", WAITS, json!({"mounts": self.mounts()})).await
    }
}
