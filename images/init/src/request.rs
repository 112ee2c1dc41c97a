//! Checks of a request before anything is done with it, and the answer when they fail.
//! Pure.
//!
//! Gantry has checked all this before. It is checked again, because here a name
//! becomes a path.

use std::path::{Component, Path};

use crate::message::{BUNDLE_DIR, Launch, Refused, RefusedReason, Request};

/// Most bytes of [`Refused::detail`], so that it fits into a frame.
const MAX_DETAIL_BYTES: usize = 2048;

/// The answer that the script can't be started.
#[must_use]
pub fn refused(reason: RefusedReason, detail: impl std::fmt::Display) -> Refused {
    let mut detail = detail.to_string();
    detail.truncate(detail.floor_char_boundary(MAX_DETAIL_BYTES));
    Refused { reason, detail }
}

/// Refuses what can't be meant.
///
/// # Errors
/// The answer, with the reason.
pub fn check(request: &Request) -> Result<(), Refused> {
    complaint(request).map_or(Ok(()), |text| Err(refused(RefusedReason::Request, text)))
}

fn complaint(request: &Request) -> Option<String> {
    let texts = std::iter::once(&request.working_directory).chain(&request.args);
    let texts = texts.chain(request.env.iter().flat_map(|(name, value)| [name, value]));
    if texts.chain(launch_texts(&request.launch)).any(|text| text.contains('\0')) {
        return Some("NUL in an argument, a variable or a path".into());
    }
    if let Some((name, _)) = request.env.iter().find(|(name, _)| !is_variable_name(name)) {
        return Some(format!("{name:?} can't be the name of a variable"));
    }
    if !is_plain_absolute(&request.working_directory) {
        let directory = &request.working_directory;
        return Some(format!("working directory {directory:?} is not absolute, or has `..`"));
    }
    if matches!(request.launch, Launch::InImage { .. }) && request.script_bytes > 0 {
        return Some("bytes for a script that is in the image".to_owned());
    }
    if let Some(file) = &request.output_file
        && !is_plain_relative(&file.path)
    {
        return Some(format!("output file {:?} is not a path below /work", file.path));
    }
    launch_complaint(&request.launch)
}

fn launch_texts(launch: &Launch) -> Vec<&String> {
    match launch {
        Launch::Interpreted { interpreter, file_name } => {
            interpreter.iter().chain([file_name]).collect()
        }
        Launch::Executable { name } => vec![name],
        Launch::InImage { command, path } => command.iter().chain([path]).collect(),
    }
}

fn launch_complaint(launch: &Launch) -> Option<String> {
    match launch {
        Launch::Interpreted { interpreter, file_name } => {
            program_complaint("interpreter", interpreter).or_else(|| name_complaint(file_name))
        }
        Launch::Executable { name } => name_complaint(name),
        Launch::InImage { command, path } => {
            let is_below = is_plain_absolute(path) && Path::new(path).starts_with(BUNDLE_DIR);
            let outside = || format!("script {path:?} is not a path below {BUNDLE_DIR}");
            program_complaint("program", command).or_else(|| (!is_below).then(outside))
        }
    }
}

fn program_complaint(what: &str, words: &[String]) -> Option<String> {
    let program = words.first().map_or("", String::as_str);
    let complaint = || format!("{what} {program:?} is not an absolute path, or has `..`");
    (!is_plain_absolute(program)).then(complaint)
}

fn name_complaint(name: &str) -> Option<String> {
    (!is_one_component(name)).then(|| format!("script name {name:?} is not one path component"))
}

fn is_variable_name(name: &str) -> bool {
    !name.is_empty() && !name.contains('=')
}

fn is_plain_absolute(path: &str) -> bool {
    let mut components = Path::new(path).components();
    components.next() == Some(Component::RootDir) && components.all(is_name)
}

fn is_plain_relative(path: &str) -> bool {
    let path = path.strip_prefix("./").unwrap_or(path);
    let mut components = Path::new(path).components().peekable();
    !path.contains('\0') && components.peek().is_some() && components.all(is_name)
}

fn is_one_component(name: &str) -> bool {
    !name.contains('/') && is_plain_relative(name)
}

fn is_name(component: Component<'_>) -> bool {
    matches!(component, Component::Normal(_))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{ArtifactCaps, OutputFile};

    fn request() -> Request {
        Request {
            launch: Launch::Interpreted {
                interpreter: vec!["/bin/sh".into(), "-e".into()],
                file_name: "script.sh".into(),
            },
            args: vec![String::new(), "a b".into()],
            env: vec![("NAME".into(), "x=y".into())],
            working_directory: "/work/deeper".into(),
            script_bytes: 0,
            stdin_bytes: 0,
            timeout_ms: 1,
            grace_ms: 1,
            stream_cap: 1,
            output_file: Some(OutputFile { path: "./results/out.json".into(), cap: 1 }),
            artifacts: ArtifactCaps { count: 0, bytes: 0 },
            disk: None,
            stay_ms: 0,
        }
    }

    fn with(change: impl FnOnce(&mut Request)) -> Result<(), Refused> {
        let mut request = request();
        change(&mut request);
        check(&request)
    }

    fn named(file_name: &str) -> Result<(), Refused> {
        with(|request| {
            request.launch = Launch::Interpreted {
                interpreter: vec!["/bin/sh".into()],
                file_name: file_name.into(),
            };
        })
    }

    #[test]
    fn an_ordinary_request_passes() {
        assert_eq!(with(|_| ()), Ok(()));
        assert_eq!(with(|request| request.output_file = None), Ok(()));
        assert_eq!(named("naïve name.sh"), Ok(()));
    }

    #[test]
    fn a_script_name_is_one_component() {
        for name in ["", ".", "..", "a/b", "/a", "a/", "a\0"] {
            assert!(named(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn paths_stay_where_they_are_meant_to_be() {
        for path in ["", "work", "/work/../etc", "../work", "/wo\0rk"] {
            assert!(with(|it| it.working_directory = path.into()).is_err(), "{path:?}");
        }
        for path in ["", ".", "/etc/passwd", "../x", "a/../../x", "a\0"] {
            let file = OutputFile { path: path.into(), cap: 1 };
            assert!(with(|it| it.output_file = Some(file)).is_err(), "{path:?}");
        }
    }

    #[test]
    fn an_interpreter_is_an_absolute_path() {
        for interpreter in [vec![], vec!["sh".to_owned()], vec!["/bin/../sh".to_owned()]] {
            let launch = Launch::Interpreted { interpreter, file_name: "s".into() };
            assert!(with(|request| request.launch = launch).is_err());
        }
    }

    #[test]
    fn strings_that_the_kernel_would_cut_are_refused() {
        assert!(with(|request| request.args = vec!["a\0b".into()]).is_err());
        assert!(with(|request| request.env = vec![("A".into(), "\0".into())]).is_err());
        assert!(with(|request| request.env = vec![("A=B".into(), "c".into())]).is_err());
        assert!(with(|request| request.env = vec![(String::new(), "c".into())]).is_err());
    }

    #[test]
    fn a_programs_name_is_one_component() {
        for name in ["\0", "", ".", "..", "a/b", "/a", "../a"] {
            let launch = Launch::Executable { name: name.into() };
            assert!(with(|request| request.launch = launch).is_err(), "{name:?}");
        }
        let launch = Launch::Executable { name: "..a b".into() };
        assert!(with(|request| request.launch = launch).is_ok());
    }

    #[test]
    fn a_long_detail_is_cut_between_characters() {
        let detail = refused(RefusedReason::Request, "é".repeat(MAX_DETAIL_BYTES)).detail;
        assert_eq!(detail.len(), MAX_DETAIL_BYTES);
    }
}
