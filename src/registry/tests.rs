use std::fs;
use std::num::NonZeroU32;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::*;
use crate::bundles::Shelf;
use crate::domain::elf::Architecture;
use crate::domain::fault::Fault;
use crate::domain::quantities::NANO_CPUS_PER_CPU;
use crate::domain::registry::RegisteredScript;
use crate::domain::script_type::python::requirements::RequirementsPolicy;
use crate::store::{AuditEntry, DatabaseUrl};

mod bundles;
mod changing;
mod environment;
mod registering;
mod running;

/// A reported change: the script's id, and its limit.
type Changed = (i64, Option<u32>);

/// Registry on its own database.
struct World {
    folder: tempfile::TempDir,
    registry: Registry,
    requested: Arc<Mutex<Vec<String>>>,
    changed: Arc<Mutex<Vec<Changed>>>,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["scripts", "data"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        let database = DatabaseUrl::Sqlite(folder.path().join("gantry.db"));
        let store = Store::open(&database).await.unwrap();
        let requested = Arc::new(Mutex::new(Vec::new()));
        let heard = requested.clone();
        let settings = RegistrySettings {
            script_roots: vec![folder.path().join("scripts")],
            mount_roots: vec![folder.path().join("data").canonicalize().unwrap()],
            owners: vec!["1000:1000".parse().unwrap()],
            requirements: RequirementsPolicy::default(),
            host_limits: HostLimits { nano_cpus: 2 * NANO_CPUS_PER_CPU, memory_bytes: 1 << 30 },
            is_engine_local: true,
            bundles: Shelf::new(&folder.path().join("data-folder")),
        };
        let engine = EngineFacts::fixed(Architecture::X86_64, |it| format!("gantry/{it}:1"));
        let environments: EnvironmentRequests =
            Arc::new(move |key| heard.lock().unwrap().push(key.to_owned()));
        let changed = Arc::new(Mutex::new(Vec::new()));
        let reported = changed.clone();
        let changes: ScriptChanges = Arc::new(move |id, limit| {
            reported.lock().unwrap().push((id, limit.map(NonZeroU32::get)));
        });
        let registry = Registry::new(store, settings, engine, environments, changes);
        Self { folder, registry, requested, changed }
    }

    fn path(&self, below: &str) -> String {
        self.folder.path().join(below).to_str().unwrap().to_owned()
    }

    fn write(&self, below: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.path(below);
        fs::write(&path, content).unwrap();
        path
    }

    async fn register(&self, input: Value) -> Result<RegisteredScript, RegistryError> {
        self.registry.register(&admin(), sent(input)).await
    }

    async fn change(&self, id: i64, input: Value) -> Result<RegisteredScript, RegistryError> {
        self.registry.change(&admin(), id, sent(input)).await
    }

    async fn faults(&self, input: Value) -> Vec<Fault> {
        invalid(self.register(input).await)
    }

    async fn audit(&self) -> Vec<AuditEntry> {
        self.registry.store.audit(None, 100, 0).await.unwrap()
    }
}

fn sent(input: Value) -> ScriptInput {
    serde_json::from_value(input).unwrap()
}

fn admin() -> Actor {
    Actor { name: "root".to_owned(), role: Role::Admin }
}

fn operator() -> Actor {
    Actor { name: "op".to_owned(), role: Role::Operator }
}

/// Script with default fields.
fn plain(name: &str) -> Value {
    json!({"name": name, "script_type": "shell", "source": "echo 1\n"})
}

/// Script with additional fields.
fn with(mut script: Value, fields: Value) -> Value {
    let (Value::Object(script_fields), Value::Object(fields)) = (&mut script, fields) else {
        panic!("not objects");
    };
    script_fields.extend(fields);
    script
}

fn invalid(answer: Result<RegisteredScript, RegistryError>) -> Vec<Fault> {
    match answer {
        Err(RegistryError::Invalid(faults)) => faults,
        other => panic!("it was not found invalid: {other:?}"),
    }
}

fn pointers(faults: &[Fault]) -> Vec<&str> {
    faults.iter().map(|it| it.pointer.as_str()).collect()
}
