//! Preparation of a sandbox before its request arrives, which saves time for the request.
//! Pure. It must hold nothing of a request, and must not change anything that a script can
//! observe except the time at which things happen.

use gantry_init::message::{Launch, Preparation, StandBy};

use super::job::{DIFFERING_VARIABLES, Job};
use super::script_type::ScriptType;
use super::script_type::python::preload::Preload;

/// Longest script that an interpreter parses in advance, in bytes.
const MAX_SOURCE: usize = 256 * 1024;

impl Job {
    /// Preparation of warm sandboxes for this script. All executions of a version share it,
    /// and other versions do too if no interpreter waits.
    #[must_use]
    pub fn preparation(&self) -> Preparation {
        let launch = self.request_launch();
        let interpreter = self.script.interpreter(self.environment.has_own_python());
        let rehearsal = rehearsal(self.script.script_type(), interpreter.as_deref());
        Preparation { rehearsal, stand_by: self.stand_by(launch) }
    }

    /// True if a warm sandbox may import the script's modules; false for a script whose
    /// interpreter can't wait.
    ///
    /// # Errors
    /// The reason why a script is never preloaded although its interpreter could wait.
    pub fn preloads(&self) -> Result<bool, &'static str> {
        let interpreter = self.script.interpreter(self.environment.has_own_python());
        let (Some(rules), Some(interpreter)) = (self.script.script_type().stand_by(), interpreter)
        else {
            return Ok(false);
        };
        if self.preload == Preload::Off {
            return Err("the script's `preload` is false");
        }
        if self.script.bytes().len() > MAX_SOURCE {
            return Err("the script has over 256 KiB");
        }
        (rules.check)(&interpreter)?;
        match std::str::from_utf8(self.script.bytes()) {
            Ok(_) => Ok(true),
            Err(_) => Err("the script is not UTF-8"),
        }
    }

    fn stand_by(&self, launch: Launch) -> Option<StandBy> {
        let rules = self.script.script_type().stand_by()?;
        if self.preloads() != Ok(true) {
            return None;
        }
        let own_env = rules.env.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        let source = std::str::from_utf8(self.script.bytes()).ok()?.to_owned();
        let modules = match &self.preload {
            Preload::Modules(names) => Some(names.clone()),
            Preload::Automatic | Preload::Off => None,
        };
        Some(StandBy {
            launch,
            working_directory: self.absolute_working_directory(),
            env: self.environment_of_all_runs(),
            differing: DIFFERING_VARIABLES.map(str::to_owned).to_vec(),
            own_env: own_env.collect(),
            source,
            modules,
        })
    }
}

/// Command that is run once without input to fill caches: the interpreter, and for a shell
/// the program that most scripts read their input with. Both are from the image: a `#!`
/// line that could contain a program of its own is not run, because other executions may
/// use the sandbox.
fn rehearsal(script_type: ScriptType, interpreter: Option<&[String]>) -> Vec<String> {
    let Some(interpreter) = interpreter else {
        return vec!["/bin/cat".to_owned()];
    };
    if !interpreter.iter().skip(1).all(|word| is_plain(word)) {
        return Vec::new();
    }
    let more = script_type.rehearsal(interpreter).unwrap_or_default();
    interpreter.iter().cloned().chain(more.iter().map(|word| (*word).to_owned())).collect()
}

/// True for a name or a few flags, without code.
fn is_plain(word: &str) -> bool {
    word.len() < 16 && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(script_type: ScriptType, words: &[&str]) -> Vec<String> {
        let interpreter: Vec<_> = words.iter().map(|word| (*word).to_owned()).collect();
        rehearsal(script_type, Some(&interpreter))
    }

    fn rehearsed(words: &[&str]) -> Vec<String> {
        of(ScriptType::Shell, words)
    }

    #[test]
    fn an_interpreter_is_run_on_nothing() {
        assert_eq!(rehearsed(&["/bin/bash"]), ["/bin/bash", "-c", "cat"]);
        assert_eq!(rehearsed(&["/bin/sh", "-eu"]), ["/bin/sh", "-eu", "-c", "cat"]);
        assert_eq!(rehearsed(&["/usr/bin/env", "bash"]), ["/usr/bin/env", "bash", "-c", "cat"]);
        let python = of(ScriptType::Python, &["/opt/env/bin/python"]);
        assert_eq!(python, ["/opt/env/bin/python", "-c", ""]);
        assert_eq!(rehearsed(&["/usr/bin/perl", "-w"]), ["/usr/bin/perl", "-w", "/dev/null"]);
        assert!(rehearsed(&["/usr/bin/env", "-S sh -c 'touch /work/x'"]).is_empty());
        assert!(rehearsed(&["/usr/bin/perl", "-eopen(F,'>/work/x')"]).is_empty());
        assert_eq!(rehearsal(ScriptType::Binary, None), ["/bin/cat"]);
    }
}
