//! Request for an execution.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use crate::domain::execution::{NewExecution, Priority};
use crate::domain::fault::{Fault, pointer_to};
use crate::domain::input_files::{RequestFiles, SentFiles};
use crate::domain::json_input::JsonInput;
use crate::domain::keep::Keep;
use crate::domain::limits::Timeout;
use crate::domain::registry::{RegisteredScript, ScriptVersion};
use crate::domain::sanitize::sanitize;
use crate::domain::variables::{EnvVar, MAX_VARIABLES, Variables};
use crate::http::auth::Identity;
use crate::http::fields::BodyFields;
use crate::http::problem::Problem;
use crate::http::script_ref::ScriptRef;
use crate::http::state::AppState;
use crate::http::submission::{NO_INPUT, read_input};

/// An execution to run. It can only tighten the script's settings.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ExecutionRequest {
    /// The script's name or id.
    script: ScriptRef,
    /// The script's stdin, byte for byte: any JSON, up to 64 MiB and 128 levels
    /// deep; `{}` by default.
    #[schema(value_type = serde_json::Value)]
    #[expect(dead_code, reason = "it is taken out as it stands, before the rest is read")]
    #[serde(default)]
    input: Option<IgnoredAny>,
    /// Version of the script; the current one by default.
    #[schema(minimum = 1)]
    version: Option<i64>,
    /// Arguments after the script's own.
    #[serde(default)]
    args: Vec<String>,
    /// Environment variables that override the script's own: `PARAM_*`, and those in
    /// its `env_allowed`; admins may set any.
    #[serde(default)]
    #[schema(value_type = std::collections::HashMap<String, String>)]
    env: RequestVariables,
    /// The caller's name for the job that the execution belongs to.
    #[schema(min_length = 1, max_length = 200)]
    job_id: Option<String>,
    /// Timeout in seconds; at most the script's own.
    #[schema(value_type = Option<f64>, minimum = 0.1, maximum = 86400)]
    timeout_secs: Option<Timeout>,
    /// Executions with a higher priority run first.
    #[schema(minimum = -10, maximum = 10, default = 0)]
    priority: Option<i64>,
    /// Files that the script finds below `/work/in`, by their names there: `sha256:HEX` is
    /// a file, `tree:sha256:HEX` a folder, `execution:ID/PATH` what an ended execution left
    /// (all of it without a path). At most 10,000 entries, and 100,000 files with those of
    /// folders.
    #[serde(default)]
    #[schema(value_type = std::collections::HashMap<String, String>)]
    files: SentFiles,
    /// Time for which the content of the files that it leaves is kept after its end, such
    /// as `7d`; `none` gives them up at its end, `job` with the files of its job. By default
    /// they are kept as long as the execution.
    #[schema(value_type = Option<String>, example = "7d")]
    keep: Option<Keep>,
}

/// A request validated as far as is possible without its script.
pub(super) struct ValidatedRequest {
    script: ScriptRef,
    version: Option<i64>,
    pub(super) args: Vec<String>,
    pub(super) env: Variables,
    pub(super) job_id: Option<String>,
    pub(super) timeout: Option<Timeout>,
    pub(super) priority: Priority,
    pub(super) input: JsonInput,
    pub(super) files: RequestFiles,
    pub(super) keep: Option<Keep>,
}

impl ValidatedRequest {
    /// Parses a body, and returns the raw input with it.
    pub(super) fn parse(body: &[u8]) -> Result<(Self, Option<Box<RawValue>>), Problem> {
        let mut fields = BodyFields::parse(body)?;
        let input = fields.take("input").map(RawValue::to_owned);
        let request: ExecutionRequest = fields.into_value()?;
        let (env, mut faults) = request.env.check("/env");
        let files = request.files.check("/files").unwrap_or_else(|wrong| {
            faults.extend(wrong);
            RequestFiles::default()
        });
        let mut fault = |pointer: &str, detail: String| faults.push(Fault::new(pointer, detail));
        let priority = Priority::new(request.priority.unwrap_or_default());
        let priority = priority.map_err(|error| fault("/priority", error.to_string()));
        if let Some(job_id) = &request.job_id
            && let Err(error) = NewExecution::check_job_id(job_id)
        {
            fault("/job_id", error.to_string());
        }
        check_args(&request.args, &mut fault);
        if !faults.is_empty() {
            return Err(Problem::invalid(faults));
        }
        let validated = Self {
            input: read_input(input.as_deref(), "/input")?,
            script: request.script,
            version: request.version,
            args: request.args,
            env,
            job_id: request.job_id,
            timeout: request.timeout_secs,
            priority: priority.unwrap_or_default(),
            files,
            keep: request.keep,
        };
        Ok((validated, input.or_else(|| RawValue::from_string(NO_INPUT.to_owned()).ok())))
    }

    /// Returns the script and its version, if the caller may see them.
    pub(super) async fn resolve(
        &self,
        state: &AppState,
        identity: &Identity,
    ) -> Result<(RegisteredScript, Option<ScriptVersion>), Problem> {
        let script = self.script.find(state, identity).await?;
        let script = script.ok_or_else(|| Problem::not_found("script").at("/script"))?;
        let version = match self.version {
            None => None,
            Some(number) if number == script.version.number => Some(script.version.clone()),
            Some(number) => {
                let version = state.store.version(script.id, number).await?;
                Some(version.ok_or_else(|| {
                    let detail = format!("script {} has no version {number}", script.name);
                    Problem::invalid(vec![Fault::new("/version", detail)])
                })?)
            }
        };
        Ok((script, version))
    }

    /// SHA-256 over all parts of the request; the end of each part is hashed too.
    pub(super) fn fingerprint(&self, script_id: i64) -> [u8; 32] {
        let mut hasher = Sha256::new();
        let mut add = |part: &[u8]| {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
        };
        let count = |number: usize| (number as u64).to_le_bytes();
        let optional = |number: Option<i64>| number.map(i64::to_le_bytes).unwrap_or_default();
        add(&script_id.to_le_bytes());
        add(&optional(self.version));
        add(&count(self.args.len()));
        self.args.iter().for_each(|argument| add(argument.as_bytes()));
        // Independent of their order.
        let env: BTreeMap<_, _> = self.env.iter().map(|it| (it.name(), it.value())).collect();
        add(&count(env.len()));
        for (name, value) in env {
            add(name.as_bytes());
            add(value.as_bytes());
        }
        add(self.job_id.as_deref().unwrap_or_default().as_bytes());
        add(&self.timeout.map(Timeout::as_millis).unwrap_or_default().to_le_bytes());
        add(&self.priority.value().to_le_bytes());
        add(self.input.as_str().as_bytes());
        // Without files as in versions that know of none.
        if !self.files.is_empty() || self.keep.is_some() {
            let mut files: Vec<_> =
                self.files.iter().map(|(name, it)| (name, it.to_string())).collect();
            files.sort_unstable();
            add(&count(files.len()));
            for (name, reference) in files {
                add(name.as_bytes());
                add(reference.as_bytes());
            }
            add(self.keep.map(|keep| keep.to_string()).unwrap_or_default().as_bytes());
        }
        hasher.finalize().into()
    }
}

/// Refuses arguments with a NUL (execve(2)). Names some of them.
pub(super) fn check_args(args: &[String], fault: &mut impl FnMut(&str, String)) {
    let with_nul = args.iter().enumerate().filter(|(_, argument)| argument.contains('\0'));
    for (index, _) in with_nul.take(MAX_FAULTS) {
        let detail = format!("argument {index} has a NUL byte");
        fault(&pointer_to("/args", &index.to_string()), detail);
    }
}

/// Variables by name, as sent.
#[derive(Debug, Default)]
pub(super) struct RequestVariables(Vec<(String, String)>);

impl RequestVariables {
    /// Splits the variables into valid ones and faults.
    pub(super) fn check(self, base: &str) -> (Variables, Vec<Fault>) {
        let (mut variables, mut faults) = (Vec::new(), Vec::new());
        for (name, value) in self.0 {
            let pointer = pointer_to(base, &crate::domain::sanitize::sanitize(&name));
            match EnvVar::new(name, value) {
                Ok(variable) => variables.push(variable),
                Err(error) => faults.push(Fault::new(pointer, error.to_string())),
            }
        }
        faults.truncate(MAX_FAULTS);
        let variables = Variables::new(variables).unwrap_or_else(|error| {
            faults.push(Fault::new(base, error.to_string()));
            Variables::default()
        });
        (variables, faults)
    }
}

/// Most faults reported for variables, and for arguments.
const MAX_FAULTS: usize = 20;

impl<'de> Deserialize<'de> for RequestVariables {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = RequestVariables;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object of strings")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let (mut variables, mut names) = (Vec::new(), HashSet::new());
                while let Some((name, value)) = map.next_entry::<String, String>()? {
                    if !names.insert(name.clone()) {
                        let detail = format!("{:?} is there more than once", sanitize(&name));
                        return Err(A::Error::custom(detail));
                    }
                    if variables.len() == MAX_VARIABLES {
                        let detail = format!("more than {MAX_VARIABLES} variables");
                        return Err(A::Error::custom(detail));
                    }
                    variables.push((name, value));
                }
                Ok(RequestVariables(variables))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn validated(body: &str) -> ValidatedRequest {
        ValidatedRequest::parse(body.as_bytes()).unwrap().0
    }

    #[test]
    fn equal_requests_have_equal_fingerprints_and_others_have_others() {
        let same = r#"{"script": "a", "input": [1], "env": {"A": "1", "B": "2"}}"#;
        let reordered = r#"{"input": [1], "env": {"B": "2", "A": "1"}, "script": "a"}"#;
        assert_eq!(validated(same).fingerprint(7), validated(reordered).fingerprint(7));
        let all = [
            r#"{"script": "a"}"#,
            r#"{"script": "a", "input": [1]}"#,
            r#"{"script": "a", "input": [1 ]}"#,
            r#"{"script": "a", "args": ["x", "y"]}"#,
            r#"{"script": "a", "args": ["xy"]}"#,
            r#"{"script": "a", "env": {"A": "1"}}"#,
            r#"{"script": "a", "job_id": "j"}"#,
            r#"{"script": "a", "timeout_secs": 1}"#,
            r#"{"script": "a", "priority": 1}"#,
            r#"{"script": "a", "version": 1}"#,
            r#"{"script": "a", "files": {"a": "share:m/a"}}"#,
            r#"{"script": "a", "files": {"b": "share:m/a"}}"#,
            r#"{"script": "a", "files": {"a": "share:m/b"}}"#,
            r#"{"script": "a", "files": {"a": "share:m/a", "b": "share:m/a"}}"#,
            r#"{"script": "a", "keep": "7d"}"#,
            r#"{"script": "a", "keep": "job"}"#,
        ];
        for (at, one) in all.iter().enumerate() {
            for other in &all[..at] {
                assert_ne!(
                    validated(one).fingerprint(7),
                    validated(other).fingerprint(7),
                    "{one} {other}"
                );
            }
            assert_ne!(validated(one).fingerprint(7), validated(one).fingerprint(8), "{one}");
        }
    }

    #[test]
    fn the_input_is_kept_byte_for_byte() {
        let sent = r#"{"n": 123456789012345678901234567890, "n": 1E+400, "s":  "\u00e4"}"#;
        let body = format!(r#"{{"script": 3, "input": {sent}}}"#);
        assert_eq!(validated(&body).input.as_str(), sent);
        assert_eq!(validated(r#"{"script": "a"}"#).input.as_str(), "{}");
        assert_eq!(validated(r#"{"script": "a", "input": null}"#).input.as_str(), "null");
    }

    #[test]
    fn everything_that_is_wrong_is_said_at_once() {
        let body = r#"{"script": "a", "env": {"PATH": "x", "1": "y"}, "args": ["\u0000"],
            "job_id": "", "priority": 11, "files": {"../x": "share:a/b", "y": "z"}}"#;
        let problem = format!("{:?}", ValidatedRequest::parse(body.as_bytes()).err().unwrap());
        for pointer in
            ["/env/PATH", "/env/1", "/args/0", "/job_id", "/priority", "/files/..~1x", "/files/y"]
        {
            assert!(problem.contains(pointer), "{pointer}: {problem}");
        }
    }

    #[test]
    fn what_is_wrong_a_thousand_times_is_said_a_few_times() {
        let args = vec!["\0"; 1_000];
        let env: BTreeMap<_, _> = (0..1_000).map(|number| (number.to_string(), "")).collect();
        let body = serde_json::json!({"script": "a", "args": args, "env": env}).to_string();
        let problem = ValidatedRequest::parse(body.as_bytes()).err().unwrap();
        assert_eq!(problem.status().as_u16(), 422);
        assert!(problem.json("").len() < 8_192, "{}", problem.json("").len());
    }

    #[test]
    fn variables_are_counted_while_they_are_read() {
        let env: BTreeMap<_, _> = (0..=MAX_VARIABLES).map(|it| (format!("V{it}"), "")).collect();
        let body = serde_json::json!({"script": "a", "env": env}).to_string();
        let problem = ValidatedRequest::parse(body.as_bytes()).err().unwrap();
        assert!(format!("{problem:?}").contains("more than 1000 variables"), "{problem:?}");
    }

    #[test]
    fn a_variable_that_is_there_twice_is_refused() {
        let body = r#"{"script": "a", "env": {"A": "1", "B": "2", "A": "1"}}"#;
        let problem = ValidatedRequest::parse(body.as_bytes()).err().unwrap();
        assert_eq!(problem.status().as_u16(), 422);
        assert!(format!("{problem:?}").contains("/env"), "{problem:?}");
    }

    #[test]
    fn an_input_that_is_too_deep_is_refused() {
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        let body = format!(r#"{{"script": "a", "input": {deep}}}"#);
        let problem = ValidatedRequest::parse(body.as_bytes()).err().unwrap();
        assert_eq!(problem.status().as_u16(), 400);
    }
}
