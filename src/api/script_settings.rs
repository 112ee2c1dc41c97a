//! Settings of scripts in the API: their descriptions, and the filters of a list. A setting that
//! is added in the domain is described here, and nowhere else in the API.

use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use crate::domain::registry::settings::Tags;
use crate::domain::script_type::ScriptType;
use crate::http::auth::Identity;
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::store::ScriptFilter;

/// Settings of a script: operators may change them, and a change makes no version.
#[derive(Serialize, ToSchema)]
#[schema(as = ScriptSettings)]
pub(super) struct SettingsView {
    /// Time limit of one execution, in seconds.
    #[schema(minimum = 0.1, maximum = 86400, example = 300)]
    timeout_secs: f64,
    /// Limits of one execution.
    limits: LimitsView,
    /// Executions of it at once, on each node; null is as many as fit.
    #[schema(minimum = 1)]
    max_concurrency: Option<u32>,
    /// Unused sandboxes that each node always holds for it, as far as its pool has
    /// room.
    #[schema(maximum = 64, example = 0)]
    warm: u32,
    /// True if it can be invoked.
    is_enabled: bool,
    /// Words by which people find it.
    #[schema(max_items = 20)]
    tags: Vec<String>,
}

/// Limits of one execution.
#[derive(Serialize, ToSchema)]
#[schema(as = Limits)]
struct LimitsView {
    /// CPUs.
    #[schema(example = 1)]
    cpus: f64,
    /// Memory with all files in `/work` and `/tmp`, in bytes.
    memory_bytes: u64,
    /// Processes and threads at once.
    pids: u32,
    /// Size of the private writable directories in memory, in bytes.
    scratch_bytes: u64,
    /// Size of `/work` on the server's disk, in bytes; 0 means that it is in memory.
    #[schema(minimum = 0, example = 0)]
    disk_bytes: u64,
    /// Files that an execution may leave.
    #[schema(minimum = 1, maximum = 100000, example = 10000)]
    file_count: u32,
    /// Bytes kept of each of stdout and stderr.
    output_bytes: u64,
}

/// Parameters that narrow a list of scripts.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ScriptsQuery {
    /// Only scripts with this text in their name or description, ignoring case.
    #[param(max_length = 200)]
    search: Option<String>,
    /// Only scripts of this type: shell, python or binary.
    #[param(value_type = Option<String>, example = "python")]
    r#type: Option<ScriptType>,
    /// Only enabled scripts (true), or only disabled ones (false).
    enabled: Option<bool>,
    /// Only scripts with this tag; repeated, only those with all of them.
    #[param(value_type = Option<Vec<String>>, example = json!(["colour"]))]
    tag: Vec<String>,
}

/// Longest search text, in characters.
const MAX_SEARCH_CHARS: usize = 200;

impl ScriptsQuery {
    /// Takes the filters of a query.
    pub(super) fn take(query: &mut Query) -> Result<Self, Problem> {
        let search = query.text("search")?;
        if search.as_ref().is_some_and(|it| it.chars().count() > MAX_SEARCH_CHARS) {
            let detail = format!("search has more than {MAX_SEARCH_CHARS} characters");
            return Err(Problem::parameter("search", detail));
        }
        let tag = query.texts("tag")?;
        let checked = tag.iter().try_for_each(|tag| Tags::check(tag));
        checked.map_err(|fault| Problem::parameter("tag", fault.to_string()))?;
        let (r#type, enabled) = (query.parsed("type")?, query.parsed("enabled")?);
        Ok(Self { search, r#type, enabled, tag })
    }

    /// Filter of the scripts that the caller may see.
    pub(super) fn filter(self, identity: &Identity) -> ScriptFilter {
        ScriptFilter {
            search: self.search,
            script_type: self.r#type,
            is_enabled: self.enabled,
            tags: self.tag,
            scope: identity.scope().cloned(),
        }
    }
}
