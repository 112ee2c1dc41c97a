//! Tests what a script can and can't do from inside a sandbox. A program that tries all
//! that a hostile script would try runs in every kind of sandbox, through the same code
//! as any execution; its results are compared with expectations ([`expected`],
//! [`table`]). The program judges nothing, and nothing but its document is taken from the
//! sandbox.

mod expected;
mod table;

use std::fmt;

use gantry_probe::Document;
use serde::Serialize;
use uuid::Uuid;

use crate::domain::environment::EnvironmentSpec;
use crate::domain::job::Job;
use crate::domain::limits::{DEFAULT_FILE_COUNT, Limits, Timeout};
use crate::domain::sandbox_spec::Network;
use crate::domain::sanitize::sanitize;
use crate::domain::script::Script;
use crate::domain::script_type::ScriptType;
use crate::domain::script_type::python::preload::Preload;
use crate::domain::uid_range::UidRange;
use crate::domain::variables::Variables;
use crate::engine::docker::Progress;
use crate::orchestrator::{Capture, RunError};
use crate::sandbox::Cancel;
use crate::services::Services;

/// The program, static: it runs in every image.
const PROGRAM: &[u8] = include_bytes!(env!("GANTRY_PROBE"));

/// Small, so that filling and exhausting everything takes no time; but the script's own
/// folder has room for the largest script.
const LIMITS: Limits = Limits {
    nano_cpus: 1_000_000_000,
    memory_bytes: 192 << 20,
    pids: 48,
    scratch_bytes: 16 << 20,
    disk_bytes: 0,
    file_count: DEFAULT_FILE_COUNT,
    output_bytes: 1 << 20,
};

/// Kind of sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Kind {
    /// The script type whose image it is of.
    pub image: ScriptType,
    /// Its network.
    pub network: Network,
    /// True if files that it writes can be executed.
    pub exec: bool,
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { image, network, exec } = self;
        let end = if *exec { "" } else { "/noexec" };
        write!(formatter, "{image}/{}{end}", name(*network))
    }
}

/// Results of one kind of sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Probed {
    /// Its kind.
    #[serde(flatten)]
    pub kind: Kind,
    /// The error that prevented all attempts; the checks are empty then.
    pub error: Option<String>,
    /// One check for each attempt.
    pub checks: Vec<Check>,
}

/// One thing that was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Its group.
    pub group: String,
    /// The attempt.
    pub what: String,
    /// The expected result.
    pub expected: String,
    /// The actual result.
    pub found: String,
    /// True if the result is as expected.
    pub is_met: bool,
}

impl Probed {
    /// True if everything was tried and is as expected.
    #[must_use]
    pub fn is_met(&self) -> bool {
        self.error.is_none() && self.checks.iter().all(|check| check.is_met)
    }
}

/// Tries everything in every kind of sandbox, one after the other, until it is
/// cancelled. Images that are not there are built; `progress` hears what is done.
pub async fn probe(
    services: &Services,
    oci_runtime: Option<&str>,
    progress: Progress<'_>,
    cancel: &Cancel,
) -> Vec<Probed> {
    let mut all = Vec::new();
    for kind in kinds() {
        if cancel.is_cancelled() {
            return all;
        }
        progress(&format!("probing {kind}"));
        let said = one(services, kind, oci_runtime, progress, cancel).await;
        let (checks, error) = match said {
            Ok(document) => (judge(&document, kind, services.docker.uids()), None),
            Err(error) => (Vec::new(), Some(error)),
        };
        all.push(Probed { kind, error, checks });
    }
    all
}

/// All kinds: of those without executable files one, which differ in nothing else.
fn kinds() -> impl Iterator<Item = Kind> {
    let of = |image, exec| move |network| Kind { image, network, exec };
    let all = ScriptType::ALL
        .into_iter()
        .flat_map(move |image| [Network::None, Network::Egress].map(of(image, true)));
    all.chain([of(ScriptType::Binary, false)(Network::None)])
}

/// The network as it is called on the command line.
fn name(network: Network) -> &'static str {
    match network {
        Network::None => "none",
        Network::Egress => "egress",
    }
}

/// Runs the program in one sandbox and reads its document.
async fn one(
    services: &Services,
    kind: Kind,
    oci_runtime: Option<&str>,
    progress: Progress<'_>,
    cancel: &Cancel,
) -> Result<Document, String> {
    let job = job(kind, oci_runtime)?;
    let image = async {
        let found = services.library.type_image(kind.image, progress, cancel).await;
        found.map(|it| it.id).map_err(RunError::from)
    };
    let (report, error) =
        services.runner.run(&job, image, Capture::unfollowed(), None, cancel).await;
    if let Some(error) = error {
        return Err(error.to_string());
    }
    let said = report.output.as_ref().map_or("", |it| it.get());
    serde_json::from_str(said).map_err(|_| {
        let outcome = report.outcome.error_message.unwrap_or_default();
        let stderr = String::from_utf8_lossy(report.log.stderr()).into_owned();
        format!("the probe did not come to its end: {outcome} {}", sanitize(&stderr))
    })
}

fn job(kind: Kind, oci_runtime: Option<&str>) -> Result<Job, String> {
    let script = Script::new("gantry-probe", Some(ScriptType::Binary), PROGRAM.to_vec());
    let job = Job {
        execution_id: Uuid::now_v7().to_string(),
        script_id: None,
        script_name: "gantry-probe".to_owned(),
        job_id: None,
        script: script.map_err(|error| error.to_string())?,
        environment: EnvironmentSpec::plain(ScriptType::Binary),
        working_directory: None,
        input: None,
        takes_files: false,
        args: Vec::new(),
        variables: Variables::default(),
        script_variables: Variables::default(),
        limits: LIMITS,
        timeout: Timeout::default(),
        network: kind.network,
        mounts: Vec::new(),
        owner: None,
        oci_runtime: oci_runtime.map(str::to_owned),
        exec: kind.exec,
        preload: Preload::Off,
        output_file: None,
        inputs: Vec::new(),
        shared: Vec::new(),
    };
    job.validate().map_err(|error| error.to_string())?;
    Ok(job)
}

/// Compares every attempt with its expectation, and reports expected ones that were not
/// made.
fn judge(document: &Document, kind: Kind, uids: UidRange) -> Vec<Check> {
    let expectations = table::expectations(kind.network, kind.exec, &LIMITS, uids);
    let expected = expectations.iter().map(|(name, expected)| {
        let found = document.get(name);
        let is_met = found.is_some_and(|it| expected.is_met_by(it));
        check(name, expected.to_string(), found.map(expected::shown), is_met)
    });
    let is_known = |name: &String| expectations.iter().any(|(known, _)| known == name);
    let others = document.iter().filter(|(name, _)| !is_known(name)).map(|(name, found)| {
        check(name, "not to be tried".to_owned(), Some(expected::shown(found)), false)
    });
    expected.chain(others).collect()
}

fn check(name: &str, expected: String, found: Option<String>, is_met: bool) -> Check {
    let (group, what) = name.split_once('.').unwrap_or(("", name));
    Check {
        group: group.to_owned(),
        what: sanitize(what),
        expected,
        found: found.map_or_else(|| "not tried".to_owned(), |it| sanitize(&it)),
        is_met,
    }
}

#[cfg(test)]
mod tests {
    use gantry_probe::Found;

    use super::*;

    const PLAIN: Kind = Kind { image: ScriptType::Shell, network: Network::None, exec: true };

    fn only(name: &str, found: Found) -> Vec<Check> {
        let checks = judge(&Document::from([(name.to_owned(), found)]), PLAIN, UidRange::DEFAULT);
        checks.into_iter().filter(|it| format!("{}.{}", it.group, it.what) == name).collect()
    }

    #[test]
    fn what_is_tried_is_held_against_what_is_expected() {
        let refused = only("keyring.keyctl", Found::Refused("EPERM".to_owned()));
        assert!(matches!(refused.as_slice(), [check] if check.is_met), "{refused:?}");
        let done = only("keyring.keyctl", Found::Done);
        assert!(matches!(done.as_slice(), [check] if !check.is_met), "{done:?}");
    }

    #[test]
    fn files_are_executed_where_the_kind_allows_it() {
        let noexec = Kind { exec: false, ..PLAIN };
        for (kind, found, is_met) in [
            (PLAIN, Found::Done, true),
            (PLAIN, Found::Refused("EACCES".to_owned()), false),
            (noexec, Found::Done, false),
            (noexec, Found::Refused("EACCES".to_owned()), true),
        ] {
            let checks = judge(
                &Document::from([("executing./work".to_owned(), found)]),
                kind,
                UidRange::DEFAULT,
            );
            let work = checks.iter().find(|it| it.group == "executing" && it.what == "/work");
            assert_eq!(work.map(|it| it.is_met), Some(is_met), "{kind}: {work:?}");
        }
        assert_eq!(
            (PLAIN.to_string(), noexec.to_string()),
            ("shell/none".to_owned(), "shell/none/noexec".to_owned(),)
        );
    }

    #[test]
    fn what_was_not_tried_and_what_nobody_expects_are_not_met() {
        let nothing = judge(&Document::new(), PLAIN, UidRange::DEFAULT);
        assert!(nothing.iter().all(|it| !it.is_met && it.found == "not tried"));
        assert!(nothing.len() > 150, "{}", nothing.len());
        let more = only("moon.landing", Found::Refused("EPERM".to_owned()));
        assert!(matches!(more.as_slice(), [check] if !check.is_met), "{more:?}");
    }
}
