//! Input to register or to change a script.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::openapi::{ArrayBuilder, OneOfBuilder, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::faults::{Faults, advised};
use super::present::{present, present_named, present_object, present_objects, present_variables};
use super::{RegistrySettings, limits};
use crate::bundles::Packed;
use crate::domain::file::FileDigest;
use crate::domain::limits::Timeout;
use crate::domain::registry::settings::Tags;
use crate::domain::registry::{DeclaredOutput, ScriptSettings};
use crate::domain::sandbox_spec::Network;
use crate::domain::script_type::ScriptType;
use crate::domain::script_type::python::preload::{MAX_MODULES, Preload};
use crate::domain::unique_keys::once;

/// A script as it is sent. What is absent stays as it is, or has its default;
/// `null` sets a field back to its default. Exactly one of `file_path`, `source`
/// and `source_base64` registers a script.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ScriptInput {
    /// Unique: a letter, then letters, digits, `.`, `_` and `-`, at most 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// For people; at most 64 KiB.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub description: Option<Option<String>>,
    /// Script type; a file on the server tells it by its name and content.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub script_type: Option<ScriptType>,
    /// A file on the server, below one of `GANTRY_SCRIPT_ROOTS`, or the folder of a bundle.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_path: Option<String>,
    /// The script itself, as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The script itself, in base64 (RFC 4648).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_base64: Option<String>,
    /// The name that the script shows itself by; of `file_path` by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_name: Option<String>,
    /// A bundle that the server keeps, by its digest: `sha256:` and 64 hexadecimal digits. Its
    /// files are sent as `multipart/form-data`, or are a folder at `file_path`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, pattern = "^sha256:[0-9a-f]{64}$")]
    pub bundle: Option<FileDigest>,
    /// The file of a bundle that is run, by its path in it; by default `__main__.py`,
    /// `main.py`, `main.sh` or `main`, or the only file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entry: Option<String>,
    /// The files of a bundle that were sent.
    #[serde(skip)]
    #[schema(ignore)]
    pub packed: Option<Packed>,
    /// Folder that it starts in, relative to `/work`.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub working_directory: Option<Option<String>>,
    /// A `requirements.txt`; Python only.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub requirements: Option<Option<String>>,
    /// A `requirements.txt` on the server, below one of `GANTRY_SCRIPT_ROOTS`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requirements_path: Option<String>,
    /// The version of Python: 3.10, 3.11, 3.12, 3.13 or 3.14; Python only. By default it is
    /// the one that the script's `#!` line names, and otherwise the base image's.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, pattern = "^3\\.1[0-4]$", example = "3.11")]
    pub python: Option<Option<String>>,
    /// True if packages that have no wheel are built from source, with a compiler that is
    /// there for the build alone: their code runs then when the environment is built. Only
    /// with requirements; false by default.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<bool>)]
    pub sources: Option<Option<bool>>,
    /// A program and its arguments, without a shell, run once when the environment is
    /// built, in a sandbox without a network: the caches that it leaves below `/work` become
    /// part of the image. The script's file name stands for the script among them. At most
    /// 64 words with 16 KiB; none by default.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>, max_items = 64)]
    pub warm_up: Option<Option<Vec<String>>>,
    /// Debian packages: `name` or `name=version`.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>)]
    pub system_packages: Option<Option<Vec<String>>>,
    /// JSON Schema of inputs; `{}` accepts all.
    #[serde(deserialize_with = "once", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub argument_schema: Option<Option<Value>>,
    /// JSON Schema of outputs; `{}` accepts all.
    #[serde(deserialize_with = "once", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub output_schema: Option<Option<Value>>,
    /// Arguments, before those of a request.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>)]
    pub args: Option<Option<Vec<String>>>,
    /// Environment variables by name.
    // Never masked here: a caller who sends what was shown masked says so itself.
    #[serde(deserialize_with = "present_variables", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    pub env: Option<Option<BTreeMap<String, String>>>,
    /// File that the result is read from instead of stdout, relative to `/work`.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub output_file: Option<Option<String>>,
    /// Files that it leaves in `/work/out`, by names of your own; an execution without a
    /// required one fails with `output_missing`. At most 1,000; none by default.
    #[serde(deserialize_with = "present_named", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<BTreeMap<String, OutputInput>>)]
    pub outputs: Option<Option<BTreeMap<String, DeclaredOutput>>>,
    /// Network that it can reach.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub network: Option<Option<Network>>,
    /// Folders and files of the host that it sees, below `GANTRY_MOUNT_ROOTS`.
    #[serde(deserialize_with = "present_objects", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<MountInput>>)]
    pub mounts: Option<Option<Vec<MountInput>>>,
    /// User and group that it runs as, `UID:GID`, one of `GANTRY_OWNERS`: what it writes to
    /// a mount belongs to them. By default it has a user of its own, or 65534 if it writes
    /// to a mount.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, pattern = "^[0-9]+:[0-9]+$", example = "1000:1000")]
    pub owner: Option<Option<String>>,
    /// Modules that a waiting interpreter has imported: `true` (what the script imports at
    /// its top), `false` (nothing), or a list of modules; Python only.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<PreloadSchema>, inline)]
    pub preload: Option<Option<Preload>>,
    /// The OCI runtime that it needs, such as `runsc`; `null` is the server's.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, max_length = 64, pattern = "^[a-zA-Z0-9._-]+$")]
    pub runtime: Option<Option<String>>,
    /// Variables that a request may set beside `PARAM_*`: names, or beginnings of names
    /// with a `*`; none by default. Admins set any.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>, max_items = 100)]
    pub env_allowed: Option<Option<Vec<String>>>,
    /// True if files that it writes to `/work` and `/tmp` can be executed and loaded, which
    /// is so by default.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<bool>)]
    pub exec: Option<Option<bool>>,
    // The settings: what operators may change.
    /// Time limit of one execution, in seconds.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<f64>)]
    pub timeout_secs: Option<Option<f64>>,
    /// Limits of one execution; absent ones stay as they are.
    #[serde(deserialize_with = "present_object", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<LimitsInput>)]
    pub limits: Option<Option<LimitsInput>>,
    /// Executions of it at once, on each node; `null` is as many as fit.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u32>)]
    pub max_concurrency: Option<Option<u32>>,
    /// Unused sandboxes that each node always holds for it, from 0 to 64, as far as
    /// `GANTRY_POOL_SIZE` and `GANTRY_POOL_MEMORY` allow; not with `mounts`.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u32>, maximum = 64)]
    pub warm: Option<Option<u32>>,
    /// True if it can be invoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_enabled: Option<bool>,
    /// Words by which people find it: at most 20, each of 1 to 40 of a-z, 0-9, `.`, `_` and
    /// `-`, beginning with a letter or a digit; none by default.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>, max_items = 20)]
    pub tags: Option<Option<Vec<String>>>,
}

/// Schema of [`Preload`]: a switch or a list.
#[derive(Debug)]
pub struct PreloadSchema;

impl PartialSchema for PreloadSchema {
    fn schema() -> RefOr<Schema> {
        let modules = ArrayBuilder::new().items(String::schema()).max_items(Some(MAX_MODULES));
        Schema::OneOf(OneOfBuilder::new().item(bool::schema()).item(modules.build()).build()).into()
    }
}

impl ToSchema for PreloadSchema {}

/// Limits as they are sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsInput {
    /// CPUs, such as 0.5.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpus: Option<f64>,
    /// Memory with all files in `/work` and `/tmp`, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// Processes and threads at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pids: Option<u32>,
    /// Room in `/work` and `/tmp` in memory, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scratch_bytes: Option<u64>,
    /// Room in `/work` on the server's disk, in bytes, from 16 MiB; 0 keeps `/work` in
    /// memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_bytes: Option<u64>,
    /// Files that an execution may leave.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 100000)]
    pub file_count: Option<u32>,
    /// Bytes kept of each of stdout and stderr.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_bytes: Option<u64>,
}

/// A file or folder that a script leaves, as it is sent.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "it describes what is read as a value of the domain")]
pub struct OutputInput {
    /// Path below `/work/out`; of a folder it means every file in it.
    #[schema(example = "graded.mp4")]
    path: String,
    /// True if an execution without it has failed; false by default.
    #[schema(required = false)]
    required: bool,
    /// Purpose for people and programs.
    #[schema(example = "preview")]
    role: Option<String>,
    /// Media type; by default that of the name's end.
    #[schema(example = "video/mp4")]
    media_type: Option<String>,
}

/// A mount as it is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MountInput {
    /// A folder or file of the server.
    pub source: String,
    /// Path at which the script sees it.
    pub target: String,
    /// True if the script can only read it, which is the default.
    #[serde(default = "read_only_by_default")]
    pub read_only: bool,
}

fn read_only_by_default() -> bool {
    true
}

impl ScriptInput {
    /// Returns the settings after this input: what was sent over what there is.
    pub(super) fn settings(
        &self,
        before: &ScriptSettings,
        registry: &RegistrySettings,
        faults: &mut Faults,
    ) -> ScriptSettings {
        ScriptSettings {
            timeout_secs: faults.merged(
                "/timeout_secs",
                &before.timeout_secs,
                self.timeout_secs,
                |sent| Timeout::try_from(sent).map_err(|error| advised(&error, error.hint())),
            ),
            limits: limits::merged(before.limits, self.limits, registry.host_limits, faults),
            max_concurrency: faults.merged(
                "/max_concurrency",
                &before.max_concurrency,
                self.max_concurrency,
                ScriptSettings::check_max_concurrency,
            ),
            warm: faults.merged("/warm", &before.warm, self.warm, ScriptSettings::check_warm),
            is_enabled: self.is_enabled.unwrap_or(before.is_enabled),
            tags: faults.merged("/tags", &before.tags, self.tags.clone(), Tags::new),
        }
    }

    /// Fields that are present and that operators may not change.
    pub(super) fn fields_of_admins(&self) -> Vec<String> {
        let Ok(Value::Object(fields)) = serde_json::to_value(self) else { return Vec::new() };
        let settings = ScriptSettings::names();
        let packed = self.packed.iter().map(|_| "bundle".to_owned());
        let named = fields.into_iter().map(|(name, _)| name);
        named.filter(|name| !settings.contains(name)).chain(packed).collect()
    }

    /// True if it has the script's bytes or their location.
    pub(super) fn brings_source(&self) -> bool {
        self.file_path.is_some()
            || self.source.is_some()
            || self.source_base64.is_some()
            || self.packed.is_some()
    }

    /// True if it can make a script with mounts hold sandboxes. A script that got there by an older
    /// version can still be changed in other ways.
    pub(super) fn says_what_is_held(&self) -> bool {
        self.warm.is_some() || self.mounts.is_some()
    }

    /// True if it only enables or disables the script.
    pub(super) fn is_switch_only(&self) -> bool {
        let switched = Self { is_enabled: self.is_enabled, ..Self::default() };
        self.is_enabled.is_some() && *self == switched
    }
}
