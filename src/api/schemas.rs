//! OpenAPI schemas of domain values that answers contain. The domain knows no OpenAPI: each type
//! has a twin here with the same fields, from which its schema is derived. A test compares their
//! fields.

use std::borrow::Cow;
use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};
use uuid::Uuid;

use super::script_settings::SettingsView;
use crate::domain::outcome::ErrorKind;
use crate::domain::registry::{self, EnvironmentStatus};
use crate::domain::token::Role;
use crate::domain::{confinement, execution};

/// Describes types by their twins, nested ones included.
macro_rules! described {
    ($($described:ty: $twin:ty),* $(,)?) => {$(
        impl PartialSchema for $described {
            fn schema() -> RefOr<Schema> {
                <$twin>::schema()
            }
        }

        impl ToSchema for $described {
            fn name() -> Cow<'static, str> {
                <$twin>::name()
            }

            fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
                <$twin>::schemas(schemas);
            }
        }
    )*};
}

described! {
    confinement::Confinement: Confinement,
    execution::Artifact: Artifact,
    execution::Execution: Execution,
    execution::ExecutionSummary: ExecutionSummary,
    registry::ScriptSettings: SettingsView,
}

/// Describes types that are one of several words.
macro_rules! words {
    ($($type:ty: $description:literal),* $(,)?) => {$(
        impl PartialSchema for $type {
            fn schema() -> RefOr<Schema> {
                let words = Self::ALL.map(|word| word.name());
                let schema = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words));
                schema.description(Some($description)).into()
            }
        }

        impl ToSchema for $type {}
    )*};
}

words! {
    EnvironmentStatus: "State of an environment.",
    ErrorKind: "Reason why an execution failed.",
    Role: "What a token may do.",
}

/// An execution as lists show it: without input, output, logs and artifacts.
#[derive(Serialize, ToSchema)]
struct ExecutionSummary {
    /// A UUID of version 7: later executions have greater ids.
    #[schema(value_type = String, format = "uuid")]
    id: Uuid,
    /// Id of the registered script; null for `gantry run`.
    script_id: Option<i64>,
    /// Name of the script.
    script_name: String,
    /// Version of the script, from 1; null for `gantry run`.
    version: Option<i64>,
    /// SHA-256 of the script's bytes, in hexadecimal.
    digest: String,
    /// The caller's name for the job that the execution belongs to.
    job_id: Option<String>,
    /// Name of the token that submitted the execution.
    triggered_by: Option<String>,
    /// pending, running, completed, failed, timeout or cancelled.
    status: String,
    /// Kind of failure; null unless it failed.
    error_kind: Option<ErrorKind>,
    /// The error in words.
    error_message: Option<String>,
    /// Executions with a higher priority run first, from −10 to 10.
    priority: i32,
    /// Bytes that the script wrote to stdout, whether kept or not.
    stdout_bytes: u64,
    /// Bytes that the script wrote to stderr, whether kept or not.
    stderr_bytes: u64,
    /// True if stdout was not kept whole, or its end was lost.
    stdout_truncated: bool,
    /// True if stderr was not kept whole, or its end was lost.
    stderr_truncated: bool,
    /// −1 if a signal ended the script; null if it has not ended or never ran.
    exit_code: Option<i32>,
    /// The signal that ended the script.
    signal: Option<i32>,
    /// Run time of the script alone, in milliseconds.
    duration_ms: Option<f64>,
    /// Time in the queue, in milliseconds.
    queue_ms: Option<f64>,
    /// Remaining time (environment, sandbox, transport), in milliseconds.
    overhead_ms: Option<f64>,
    /// Resources that the execution used.
    usage: Option<Usage>,
    /// The sandbox it ran in; null if it never ran.
    sandbox: Option<SandboxReceipt>,
    /// Number of starts; above 1 when the engine failed before the script had started.
    attempt: u32,
    /// Time at which the script started.
    #[schema(value_type = Option<String>, format = "date-time")]
    started_at: Option<DateTime<Utc>>,
    /// Time at which the execution ended.
    #[schema(value_type = Option<String>, format = "date-time")]
    completed_at: Option<DateTime<Utc>>,
    /// Time at which the execution was accepted.
    #[schema(value_type = String, format = "date-time")]
    created_at: DateTime<Utc>,
    /// Time of the execution's last change.
    #[schema(value_type = String, format = "date-time")]
    updated_at: DateTime<Utc>,
}

/// An execution.
#[derive(Serialize, ToSchema)]
struct Execution {
    /// All but the following.
    #[serde(flatten)]
    summary: ExecutionSummary,
    /// The input as the script read it from stdin, byte for byte.
    #[schema(value_type = Option<serde_json::Value>)]
    input_data: Option<()>,
    /// The script's stdout, or its output file, if that is one JSON document.
    #[schema(value_type = Option<serde_json::Value>)]
    output_data: Option<()>,
    /// stdout as text: invalid UTF-8 is replaced, and a note marks a cut.
    stdout_log: String,
    /// stderr as text, in the same way.
    stderr_log: String,
    /// The first 1,000 files that the script finds below `/work/in`, those of folders one by
    /// one.
    files: Vec<InputFile>,
    /// Number of all files that the script finds there.
    file_count: u64,
    /// The first 1,000 files that the script left, including those that were not kept; the
    /// list of artifacts has all.
    artifacts: Vec<Artifact>,
    /// Number of all files that the script left.
    artifact_count: u64,
}

/// Resources that an execution used.
#[derive(Serialize, ToSchema)]
struct Usage {
    /// CPU time, user and system, in milliseconds.
    cpu_ms: f64,
    /// Peak memory, in bytes.
    peak_memory_bytes: u64,
    /// Processes that the kernel killed because memory ran out.
    oom_kills: u64,
    /// Most bytes on disk at once; null if `/work` was in memory.
    peak_disk_bytes: Option<u64>,
}

/// Sandbox of an execution.
#[derive(Serialize, ToSchema)]
struct SandboxReceipt {
    /// Id of the image.
    image: String,
    /// Name of the container, which is unique.
    container_id: String,
    /// Name of the node; null for `gantry run`.
    node: Option<String>,
    /// True if the container had been started before the execution came.
    warm: bool,
    /// True if the interpreter had already imported the script's modules, false if it
    /// started with the execution. Null for scripts other than Python, until the execution
    /// has ended, and if its end was lost.
    preloaded: Option<bool>,
    /// Reason why `preloaded` is false; null when it is true.
    preload_reason: Option<String>,
    /// Confinement of the container, as the engine reports it. Left out of lists, until
    /// the execution has ended, and if the engine did not report it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    confinement: Option<Confinement>,
}

/// A file that a script left.
#[derive(Serialize, ToSchema)]
struct Artifact {
    /// A relative path, with `/` between components.
    name: String,
    /// Size in bytes; 0 if it was not kept.
    bytes: u64,
    /// Reason why it was not kept; null if it was.
    skipped: Option<String>,
    /// `sha256:` and the SHA-256 of its content in hexadecimal; null if it was not kept.
    digest: Option<String>,
    /// Media type that the script's version declares for it, or else that of its name;
    /// null if neither tells.
    #[schema(example = "video/mp4")]
    media_type: Option<String>,
    /// Role that the script's version declares for it.
    #[schema(example = "preview")]
    role: Option<String>,
    /// True if the script left it executable.
    executable: bool,
}

/// A file that an execution takes.
#[derive(Serialize, ToSchema)]
struct InputFile {
    /// Path below `/work/in`, with `/` between components.
    name: String,
    /// `sha256:` and the SHA-256 of its content in hexadecimal.
    digest: String,
    /// Size in bytes.
    bytes: u64,
}

/// The effective settings of a container, as its engine reports them. What the engine
/// does not report is null or empty.
#[derive(Default, Serialize, ToSchema)]
#[serde(default)]
struct Confinement {
    /// The OCI runtime.
    runtime: Option<String>,
    /// User and group of all its processes.
    user: String,
    /// Supplementary groups.
    groups: Vec<String>,
    /// Docker's network mode.
    network_mode: String,
    /// True if the only network interface is loopback, whatever the mode.
    network_disabled: bool,
    /// The engine's networks that the container is attached to.
    networks: Vec<String>,
    /// True if the root file system is read-only.
    readonly_root: bool,
    /// True if the container is privileged, and none of the other settings confine it.
    privileged: bool,
    /// Dropped capabilities.
    capabilities_dropped: Vec<String>,
    /// Capabilities beyond the engine's defaults.
    capabilities_added: Vec<String>,
    /// True if no program can gain more rights than its caller has.
    no_new_privileges: bool,
    /// The system call filter: `sha256:` and the SHA-256 of its content in hexadecimal, or
    /// the engine's name for it.
    seccomp: Option<String>,
    /// The AppArmor profile.
    apparmor: Option<String>,
    /// All other security options.
    security_options: Vec<String>,
    /// Memory limit, in bytes.
    memory_bytes: i64,
    /// Limit of memory and swap together, in bytes; −1 if the kernel can't limit swap.
    memory_swap_bytes: i64,
    /// CPU limit, in billionths of a CPU.
    nano_cpus: i64,
    /// Limit of processes and threads.
    pids: i64,
    /// Limits of each process, by name.
    ulimits: BTreeMap<String, Ulimit>,
    /// Settings of its own kernel namespaces; null if the engine does not report them.
    sysctls: Option<BTreeMap<String, String>>,
    /// Writable places in memory, with their mount options.
    tmpfs: BTreeMap<String, String>,
    /// Folders and volumes of the host.
    mounts: Vec<SeenMount>,
    /// Devices of the host.
    devices: Vec<String>,
    /// Hidden paths in /proc and /sys; null if the engine does not report them.
    masked_paths: Option<Vec<String>>,
    /// Read-only paths in /proc; null if the engine does not report them.
    readonly_paths: Option<Vec<String>>,
    /// The IPC namespace.
    ipc_mode: String,
    /// The process namespace; empty for its own.
    pid_mode: String,
    /// The UTS (host name) namespace; empty for its own.
    uts_mode: String,
    /// The user namespace; empty for the engine's default.
    userns_mode: String,
    /// The cgroup namespace.
    cgroupns_mode: String,
    /// The log driver.
    log_driver: String,
}

/// A limit of each process.
#[derive(Serialize, ToSchema)]
struct Ulimit {
    /// The limit at the start.
    soft: i64,
    /// The highest value that a process may set.
    hard: i64,
}

/// A folder or volume of the host.
#[derive(Serialize, ToSchema)]
struct SeenMount {
    /// Its path on the host.
    source: String,
    /// Its path in the sandbox.
    target: String,
    /// True if it is read-only.
    read_only: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::execution::{
        Caller, ExecutionSnapshot, FilesSnapshot, NewExecution, Priority,
    };
    use crate::domain::json_input::JsonInput;
    use crate::domain::limits::{Limits, Timeout};
    use crate::domain::variables::Variables;
    use serde_json::Value;

    /// Names of the fields that a twin declares itself.
    fn described<T: ToSchema>() -> Vec<String> {
        let schema = serde_json::to_value(T::schema()).unwrap();
        let parts = schema["allOf"].as_array().into_iter().flatten().chain([&schema]);
        parts.flat_map(|part| names(&part["properties"])).collect()
    }

    fn names(object: &Value) -> Vec<String> {
        object.as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect()
    }

    #[track_caller]
    fn assert_fields(value: &impl Serialize, mut described: Vec<String>) {
        let mut found = names(&serde_json::to_value(value).unwrap());
        found.sort();
        described.sort();
        assert_eq!(found, described);
    }

    fn summary() -> execution::ExecutionSummary {
        let new = NewExecution {
            id: Uuid::nil(),
            script_id: 1,
            version_id: 1,
            caller: Caller { token_id: 1, name: String::new() },
            job_id: None,
            idempotency_key: None,
            priority: Priority::default(),
            snapshot: ExecutionSnapshot {
                args: Vec::new(),
                env: Variables::default(),
                limits: Limits::default(),
                timeout_secs: Timeout::default(),
                files: FilesSnapshot::default(),
            },
            input: JsonInput::parse(b"{}".to_vec()).unwrap(),
            created_at: DateTime::default(),
        };
        execution::ExecutionSummary::pending(&new, String::new(), 1, String::new())
    }

    #[test]
    fn the_twin_of_the_settings_has_their_fields() {
        let settings = registry::ScriptSettings::default();
        assert_fields(&settings, described::<SettingsView>());
    }

    #[test]
    fn twins_of_executions_have_their_fields() {
        assert_fields(&summary(), described::<ExecutionSummary>());
        let execution = execution::Execution {
            summary: summary(),
            input_data: None,
            output_data: None,
            stdout_log: String::new(),
            stderr_log: String::new(),
            files: Vec::new(),
            file_count: 0,
            artifacts: Vec::new(),
            artifact_count: 0,
        };
        let both = [described::<ExecutionSummary>(), described::<Execution>()].concat();
        assert_fields(&execution, both);
    }

    #[test]
    fn twins_of_the_parts_of_executions_have_their_fields() {
        let confinement = confinement::Confinement::default();
        assert_fields(&confinement, described::<Confinement>());
        assert_fields(&confinement::Ulimit { soft: 1, hard: 2 }, described::<Ulimit>());
        let (source, target) = (String::new(), String::new());
        let mount = confinement::SeenMount { source, target, read_only: true };
        assert_fields(&mount, described::<SeenMount>());
        assert_fields(&execution::Usage::default(), described::<Usage>());
        let artifact = execution::Artifact::kept(String::new(), 0);
        assert_fields(&artifact, described::<Artifact>());
        let digest = crate::domain::file::FileDigest::new([0; 32]);
        let input = crate::domain::input_files::InputFile { name: String::new(), digest, bytes: 0 };
        assert_fields(&input, described::<InputFile>());
        let receipt = execution::SandboxReceipt {
            image: String::new(),
            container_id: String::new(),
            node: None,
            warm: false,
            preloaded: None,
            preload_reason: None,
            confinement: confinement::SealedConfinement::new(confinement).ok(),
        };
        assert_fields(&receipt, described::<SandboxReceipt>());
    }
}
