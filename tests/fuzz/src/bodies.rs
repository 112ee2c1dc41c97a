//! Arbitrary bytes as the body of a request: a script to register, with all that it
//! brings (source, requirements, packages, schemas), and an execution to submit.

use std::path::{Path, PathBuf};

use gantry::api::bodies::{Refusal, registration, submission};
use gantry::bundles::Shelf;
use gantry::domain::registry::Definition;
use gantry::domain::script_type::python::requirements::RequirementsPolicy;
use gantry::registry::{HostLimits, RegistrySettings, ScriptInput, definition_of};
use serde_json::Value;

/// Most faults that the registry names.
const MAX_FAULTS: usize = 50;

/// What is taken is the same when it is sent again as it was understood; what is
/// refused is refused as the caller's fault, in few words.
pub fn hold(body: &[u8]) -> bool {
    let script = match registration(body) {
        Ok(input) => is_registered(&input),
        Err(refusal) => is_answered(&refusal),
    };
    let execution = match submission(body) {
        Ok(submission) => {
            assert!(is_part(submission.input.as_bytes(), body) || submission.input == "{}");
            assert!(submission.args.iter().all(|argument| !argument.contains('\0')));
            for (name, value) in &submission.env {
                assert!(!name.is_empty() && !name.contains(['=', '\0']) && !value.contains('\0'));
                assert!(name != "PATH" && !name.starts_with("LD_"), "{name}");
            }
            assert_eq!(Ok(submission), self::submission(body));
            true
        }
        Err(refusal) => is_answered(&refusal),
    };
    script || execution
}

fn is_part(part: &[u8], whole: &[u8]) -> bool {
    whole.windows(part.len()).any(|it| it == part)
}

fn is_answered(refusal: &Refusal) -> bool {
    assert!((400..500).contains(&refusal.status), "{refusal:?}");
    assert!(refusal.problem.len() <= 64 * 1024, "{} bytes", refusal.problem.len());
    let problem: Value = serde_json::from_slice(&refusal.problem).expect("it is JSON");
    assert_eq!(problem["status"], refusal.status);
    super::is_short(problem["detail"].as_str().expect("it says what happened"));
    false
}

fn is_registered(input: &ScriptInput) -> bool {
    let sent = serde_json::to_vec(input).expect("it can be written");
    assert_eq!(registration(&sent).as_ref(), Ok(input));
    // No folder is allowed: nothing is read but the body.
    let settings = RegistrySettings {
        script_roots: Vec::<PathBuf>::new(),
        mount_roots: Vec::new(),
        owners: Vec::new(),
        requirements: RequirementsPolicy::default(),
        host_limits: HostLimits { nano_cpus: 4_000_000_000, memory_bytes: 8 << 30 },
        is_engine_local: true,
        bundles: Shelf::new(Path::new("/nowhere")),
    };
    match definition_of(input.clone(), &settings) {
        Ok(definition) => {
            is_kept(&definition);
            assert_eq!(definition_of(input.clone(), &settings), Ok(definition));
            true
        }
        Err(faults) => {
            assert!((1..=MAX_FAULTS).contains(&faults.len()));
            for fault in faults {
                assert!(fault.pointer.is_empty() || fault.pointer.starts_with('/'));
                super::is_short(&fault.detail);
            }
            false
        }
    }
}

/// A database gives it back as it was, and with the same digest.
fn is_kept(definition: &Definition) {
    definition.validate().expect("what is registered is valid");
    assert!(definition.mounts.is_empty(), "no folder is allowed");
    let written = serde_json::to_string(definition).expect("it can be written");
    assert!(!written.contains("\\u0000"), "databases keep no NUL");
    let read: Definition = serde_json::from_str(&written).expect("it can be read");
    assert_eq!(&read, definition);
    assert_eq!(read.content_digest(), definition.content_digest());
}
