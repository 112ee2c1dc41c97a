//! Answer for a script. Values of variables may be secrets: only admins see them.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::domain::file::FileDigest;
use crate::domain::mount::Mount;
use crate::domain::oci_runtime::OciRuntime;
use crate::domain::registry::{
    DeclaredOutputs, Definition, EnvironmentRecord, EnvironmentStatus, RegisteredScript,
    ScriptSettings, ScriptVersion,
};
use crate::domain::sandbox_spec::Network;
use crate::domain::script_type::ScriptType;
use crate::domain::script_type::python::PythonVersion;
use crate::domain::script_type::python::preload::Preload;
use crate::domain::system_packages::SystemPackages;
use crate::domain::token::Role;
use crate::domain::user::User;
use crate::domain::variables::{AllowedVariables, Variables};
use crate::http::problem::Problem;
use crate::http::scripts::{HIDDEN, environment_of, pending_environment_of};
use crate::http::state::AppState;
use crate::registry::PreloadSchema;

/// A script.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Script)]
pub(super) struct ScriptView {
    /// Id of the script.
    id: i64,
    /// Unique among all scripts.
    #[schema(example = "weather")]
    name: String,
    /// For people.
    description: String,
    /// The file on the server that it was read from; null when it was sent.
    file_path: Option<String>,
    /// The file on the server that its requirements were read from; null when they
    /// were sent.
    requirements_path: Option<String>,
    /// The source, if it was sent and is a text of at most 256 KiB; null in lists. Any
    /// source is at `versions/{version}/source`.
    source: Option<String>,
    /// Definition of what runs.
    #[serde(flatten)]
    definition: DefinitionView,
    /// The environment of the current version; null if it needs no image of its own.
    environment: Option<EnvironmentBrief>,
    /// Settings that operators may change.
    #[serde(flatten)]
    settings: ScriptSettings,
    /// The current version, from 1.
    version: i64,
    /// The version that becomes current as soon as its environment is ready; null if
    /// there is none.
    pending: Option<PendingVersion>,
    /// The name of the token that registered it.
    created_by: String,
    /// Time of its registration.
    #[schema(value_type = String, format = "date-time")]
    created_at: DateTime<Utc>,
    /// Time of the script's last change.
    #[schema(value_type = String, format = "date-time")]
    updated_at: DateTime<Utc>,
}

/// A part of the host that a script sees.
#[derive(Serialize, ToSchema)]
#[schema(as = Mount)]
struct MountView {
    /// Path on the host.
    source: String,
    /// Path in the sandbox.
    target: String,
    /// True if the script can only read it.
    read_only: bool,
}

/// A file or folder that a script leaves.
#[derive(Serialize, ToSchema)]
#[schema(as = Output)]
struct OutputView {
    /// Path below `/work/out`; of a folder it means every file in it.
    path: String,
    /// True if an execution without it has failed; left out for false.
    #[schema(required = false)]
    required: bool,
    /// Purpose for people and programs; left out for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    role: Option<String>,
    /// Media type; left out for that of the name's end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    media_type: Option<String>,
}

/// Definition that a version of a script fixes.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Definition)]
pub(super) struct DefinitionView {
    /// shell, python or binary.
    #[schema(value_type = String, example = "shell")]
    script_type: ScriptType,
    /// SHA-256 of the script's bytes, in hexadecimal.
    digest: String,
    /// The name that it shows itself by.
    file_name: String,
    /// Digest of the bundle that it consists of, whose files are listed at
    /// `versions/{version}/files`; null for a single file. `digest` is of its entry then.
    #[schema(value_type = Option<String>)]
    bundle: Option<FileDigest>,
    /// The file of the bundle that is run, by its path in it.
    entry: Option<String>,
    /// Folder that it starts in, relative to `/work`; null is `/work` itself.
    working_directory: Option<String>,
    /// A `requirements.txt`.
    requirements: Option<String>,
    /// SHA-256 of the requirements in their normal form, in hexadecimal.
    requirements_hash: Option<String>,
    /// The version of Python that was chosen; null is the one that its `#!` line names, or
    /// else the base image's.
    #[schema(value_type = Option<String>, example = "3.11")]
    python: Option<PythonVersion>,
    /// True if packages that have no wheel are built from source.
    sources: bool,
    /// The program and its arguments that fill the environment's caches when it is built.
    warm_up: Vec<String>,
    /// Debian packages.
    #[schema(value_type = Vec<String>)]
    system_packages: SystemPackages,
    /// JSON Schema of inputs; `{}` accepts all.
    #[schema(value_type = serde_json::Value)]
    argument_schema: Value,
    /// JSON Schema of outputs; `{}` accepts all.
    #[schema(value_type = serde_json::Value)]
    output_schema: Value,
    /// Its arguments.
    args: Vec<String>,
    /// Its variables; values are `***` for all but admins.
    env: BTreeMap<String, String>,
    /// File that its result is read from instead of stdout, relative to `/work`.
    output_file: Option<String>,
    /// Files that it leaves in `/work/out`, by their names.
    #[schema(value_type = BTreeMap<String, OutputView>)]
    outputs: DeclaredOutputs,
    /// none or egress.
    #[schema(value_type = String, example = "none")]
    network: Network,
    /// Folders and files of the host that it sees.
    #[schema(value_type = Vec<MountView>)]
    mounts: Vec<Mount>,
    /// User and group that it runs as, and that own what it writes to mounts; null for one of
    /// the sandbox.
    #[schema(value_type = Option<String>, example = "1000:1000")]
    owner: Option<User>,
    /// Modules that a waiting interpreter has imported: true (what the script imports at its
    /// top), false (nothing) or a list of modules; null for what is no Python script.
    #[schema(value_type = Option<PreloadSchema>, inline)]
    preload: Option<Preload>,
    /// The OCI runtime that it needs; null is the server's.
    #[schema(value_type = Option<String>)]
    runtime: Option<OciRuntime>,
    /// Variables that a request may set beside `PARAM_*`; a `*` at the end stands for
    /// anything.
    #[schema(value_type = Vec<String>)]
    env_allowed: AllowedVariables,
    /// True if files that it writes to `/work` and `/tmp` can be executed and loaded.
    exec: bool,
}

/// A version that waits for its environment, or whose environment can't be built.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PendingVersion {
    /// Its number.
    version: i64,
    /// Its environment; null if it needs no image of its own.
    environment: Option<EnvironmentBrief>,
}

/// A script's environment in short.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EnvironmentBrief {
    /// SHA-256 over its packages and base image, in hexadecimal.
    key: String,
    /// Id of the image; null until it is built.
    image: Option<String>,
    /// State of the environment.
    status: EnvironmentStatus,
    /// Reason of the failed build.
    error: Option<String>,
    /// The version of Python that is installed in it; null is the base image's.
    #[schema(value_type = Option<String>, example = "3.11")]
    python: Option<PythonVersion>,
}

/// A version of a script.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ScriptVersion)]
pub(super) struct VersionView {
    /// Its number within its script, from 1.
    version: i64,
    /// True for the version that runs when a request names none.
    is_current: bool,
    /// Definition of what runs.
    #[serde(flatten)]
    definition: DefinitionView,
    /// The environment that it needs.
    environment_key: Option<String>,
    /// The name of the token that made it.
    created_by: String,
    /// Time at which it was made.
    #[schema(value_type = String, format = "date-time")]
    created_at: DateTime<Utc>,
}

impl DefinitionView {
    fn new(definition: Definition, role: Role) -> Self {
        Self {
            env: variables(&definition.env, role),
            script_type: definition.script_type,
            digest: definition.digest,
            file_name: definition.file_name,
            bundle: definition.bundle,
            entry: definition.entry,
            working_directory: definition.working_directory,
            requirements: definition.requirements,
            requirements_hash: definition.requirements_hash,
            python: definition.python,
            sources: definition.sources,
            warm_up: definition.warm_up,
            system_packages: definition.system_packages,
            argument_schema: definition.argument_schema,
            output_schema: definition.output_schema,
            args: definition.args,
            output_file: definition.output_file,
            outputs: definition.outputs,
            network: definition.network,
            mounts: definition.mounts,
            owner: definition.owner,
            preload: Some(definition.preload).filter(|_| definition.script_type.has_python()),
            runtime: definition.runtime,
            env_allowed: definition.env_allowed,
            exec: definition.exec,
        }
    }
}

fn variables(variables: &Variables, role: Role) -> BTreeMap<String, String> {
    let shown = |value: &str| match role {
        Role::Admin => value.to_owned(),
        _ => HIDDEN.to_owned(),
    };
    variables.iter().map(|it| (it.name().to_owned(), shown(it.value()))).collect()
}

impl ScriptView {
    /// Renders a script for a role.
    pub(super) fn new(
        script: RegisteredScript,
        environments: Environments,
        source: Option<String>,
        role: Role,
    ) -> Self {
        let Environments { current, pending } = environments;
        let pending = script.pending_version.map(|version| PendingVersion {
            version,
            environment: pending.map(EnvironmentBrief::from),
        });
        Self {
            pending,
            id: script.id,
            name: script.name.into(),
            description: script.description,
            file_path: script.file_path,
            requirements_path: script.requirements_path,
            source,
            version: script.version.number,
            definition: DefinitionView::new(script.version.definition, role),
            environment: current.map(EnvironmentBrief::from),
            settings: script.settings,
            created_by: script.created_by,
            created_at: script.created_at,
            updated_at: script.updated_at,
        }
    }
}

impl From<EnvironmentRecord> for EnvironmentBrief {
    fn from(record: EnvironmentRecord) -> Self {
        Self {
            key: record.key,
            image: record.image,
            status: record.status,
            error: record.error,
            python: record.python,
        }
    }
}

impl VersionView {
    /// Renders a version of a script whose current one is `current`.
    pub(super) fn new(version: ScriptVersion, current: i64, role: Role) -> Self {
        Self {
            version: version.number,
            is_current: version.number == current,
            definition: DefinitionView::new(version.definition, role),
            environment_key: version.environment_key,
            created_by: version.created_by,
            created_at: version.created_at,
        }
    }
}

/// Environments of a script.
pub(super) struct Environments {
    current: Option<EnvironmentRecord>,
    /// Environment of the pending version.
    pending: Option<EnvironmentRecord>,
}

impl Environments {
    /// Loads the environments of a script.
    pub(super) async fn of(state: &AppState, script: &RegisteredScript) -> Result<Self, Problem> {
        Ok(Self {
            current: environment_of(state, script).await?,
            pending: pending_environment_of(state, script).await?,
        })
    }
}
