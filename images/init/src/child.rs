//! Starts the script's process: its own session, exactly the requested environment,
//! default signals, nothing open but stdin, stdout and stderr, and first in line when
//! memory runs out.

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl, open};
use nix::sys::prctl;
use nix::sys::stat::{Mode, fchmod};
use nix::unistd::{Pid, execve, setsid, write};
use std::env::set_current_dir;
use std::ffi::{CString, NulError, OsStr};
use std::fs::{create_dir, create_dir_all};
use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use gantry_init::message::{ARTIFACT_DIR, Refused, RefusedReason, Request, WORK_DIR};

use crate::delivery::Script;
use crate::signals;
use gantry_init::request::refused;

/// The script's process.
pub(crate) struct Child {
    /// Its number. It is ours to reap.
    pub(crate) pid: Pid,
    /// Time of its start.
    pub(crate) started: Instant,
    /// The way to its stdin.
    pub(crate) stdin: PipeWriter,
    /// Output of it and its children. Non-blocking.
    pub(crate) stdout: PipeReader,
    /// See [`Child::stdout`].
    pub(crate) stderr: PipeReader,
}

/// The ends of its pipes that are ours, and those that are not.
pub(crate) struct Pipes {
    pub(crate) stdin: PipeWriter,
    pub(crate) stdout: PipeReader,
    pub(crate) stderr: PipeReader,
    pub(crate) its_stdin: PipeReader,
    pub(crate) its_outputs: [PipeWriter; 2],
}

impl Pipes {
    /// Pipes of the default size. Larger ones make a flood no faster (init keeps up),
    /// and their pages count against a limit that all containers' user shares: beyond
    /// it the kernel gives every new pipe only two pages.
    pub(crate) fn new() -> io::Result<Self> {
        let (its_stdin, stdin) = io::pipe()?;
        // Otherwise a process that opens its own stdin by name could write into it, and
        // wait for ever for a reader.
        fchmod(&its_stdin, Mode::S_IRUSR)?;
        let (stdout, stdout_writer) = io::pipe()?;
        let (stderr, stderr_writer) = io::pipe()?;
        for ours in [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()] {
            fcntl(ours, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        }
        let its_outputs = [stdout_writer, stderr_writer];
        Ok(Self { stdin, stdout, stderr, its_stdin, its_outputs })
    }
}

/// Starts the script in its working directory, which becomes ours too.
pub(crate) fn spawn(request: &Request, script: &Script) -> Result<Child, Refused> {
    enter(&request.working_directory)?;
    let no_pipe = |error| refused(RefusedReason::Spawn, format_args!("no pipe: {error}"));
    let Pipes { stdin, stdout, stderr, its_stdin, its_outputs } = Pipes::new().map_err(no_pipe)?;
    let image = Image::of(request, script).map_err(|error| not_started(script, &error.into()))?;
    let started = Instant::now();
    let pid = start(program(script), image, its_stdin, its_outputs, &[])
        .map_err(|error| not_started(script, &error))?;
    Ok(Child { pid, started, stdin, stdout, stderr })
}

/// Starts a process in our working directory, with these files besides its stdin,
/// stdout and stderr.
pub(crate) fn start(
    program: &str,
    image: Image,
    stdin: impl Into<Stdio>,
    [stdout, stderr]: [impl Into<Stdio>; 2],
    inherited: &[OwnedFd],
) -> io::Result<Pid> {
    let inherited: Vec<RawFd> = inherited.iter().map(AsRawFd::as_raw_fd).collect();
    let mut command = Command::new(program);
    command.stdin(stdin).stdout(stdout).stderr(stderr);
    // SAFETY: what runs between fork and exec may not meet a lock that another
    // thread has held during the fork. There is no other thread.
    unsafe { command.pre_exec(move || become_a_script(&image, &inherited)) };
    Ok(Pid::from_raw(command.spawn()?.id().cast_signed()))
}

/// Goes where the script starts, and makes the place for its artifacts.
pub(crate) fn enter(directory: &str) -> Result<(), Refused> {
    // A script that wants it can do without; one that has made it a file can't.
    let _ = create_dir(ARTIFACT_DIR);
    let path = Path::new(directory);
    let made = if path.starts_with(WORK_DIR) { create_dir_all(path) } else { Ok(()) };
    made.and_then(|()| set_current_dir(path)).map_err(|error| {
        refused(RefusedReason::WorkingDirectory, format_args!("{directory}: {error}"))
    })
}

/// Arguments of execve(2).
pub(crate) struct Image {
    path: CString,
    argv: Vec<CString>,
    env: Vec<CString>,
}

impl Image {
    fn of(request: &Request, script: &Script) -> Result<Self, NulError> {
        match script {
            Script::OnDisk { interpreter, path } => {
                Self::of_interpreter(interpreter, path, &request.args, &request.env)
            }
            Script::InImage { command } => Self::of_command(command, &request.args, &request.env),
            Script::Program { path } => {
                let path = path.as_os_str().as_bytes();
                let words = [path].into_iter().chain(request.args.iter().map(String::as_bytes));
                Self::new(path, words, &request.env)
            }
            Script::InMemory { name, file } => {
                let path = format!("/proc/self/fd/{}", file.as_raw_fd());
                let words = [name.as_bytes()].into_iter();
                Self::new(
                    path,
                    words.chain(request.args.iter().map(String::as_bytes)),
                    &request.env,
                )
            }
        }
    }

    /// An interpreter with its own arguments, a script's path, and the script's.
    pub(crate) fn of_interpreter(
        interpreter: &[String],
        script: &Path,
        args: &[String],
        env: &[(String, String)],
    ) -> Result<Self, NulError> {
        let program = interpreter.first().map_or("", String::as_str);
        let words = interpreter.iter().map(String::as_bytes);
        let words = words.chain([script.as_os_str().as_bytes()]);
        Self::new(program, words.chain(args.iter().map(String::as_bytes)), env)
    }

    /// A command with the script's path in it, and the script's arguments.
    pub(crate) fn of_command(
        command: &[String],
        args: &[String],
        env: &[(String, String)],
    ) -> Result<Self, NulError> {
        let program = command.first().map_or("", String::as_str);
        Self::new(program, command.iter().chain(args).map(String::as_bytes), env)
    }

    /// The program that `words` begin with, without any variable.
    pub(crate) fn of_words(words: &[String]) -> Result<Self, NulError> {
        let program = words.first().map_or("", String::as_str);
        Self::new(program, words.iter().map(String::as_bytes), &[])
    }

    fn new<'words>(
        path: impl Into<Vec<u8>>,
        words: impl Iterator<Item = &'words [u8]>,
        env: &[(String, String)],
    ) -> Result<Self, NulError> {
        let env = env.iter().map(|(name, value)| CString::new(format!("{name}={value}")));
        Ok(Self {
            path: CString::new(path)?,
            argv: words.map(CString::new).collect::<Result<_, _>>()?,
            env: env.collect::<Result<_, _>>()?,
        })
    }
}

/// Name of the program to execute, as the user knows it.
fn program(script: &Script) -> &str {
    match script {
        Script::OnDisk { interpreter: words, .. } | Script::InImage { command: words } => {
            words.first().map_or("", String::as_str)
        }
        Script::Program { path } => path.file_name().and_then(OsStr::to_str).unwrap_or_default(),
        Script::InMemory { name, .. } => name,
    }
}

/// Runs in the forked process and returns only with an error, which `spawn`
/// gets. The standard library's own exec would hand to the shell what the kernel
/// does not know (ENOEXEC, see execvp(3)).
fn become_a_script(image: &Image, inherited: &[RawFd]) -> io::Result<()> {
    signals::restore_defaults();
    setsid()?;
    for number in inherited {
        // SAFETY: the caller keeps them open until we are started.
        let descriptor = unsafe { BorrowedFd::borrow_raw(*number) };
        fcntl(descriptor, FcntlArg::F_SETFD(FdFlag::empty()))?;
    }
    // We are not dumpable, which makes our files in /proc root's, and the fork
    // is not either until exec.
    prctl::set_dumpable(true)?;
    volunteer_for_the_oom_killer();
    execve(&image.path, &image.argv, &image.env)?;
    Ok(())
}

/// Makes the kernel kill the script and its children before PID 1 when memory runs out:
/// without PID 1 the whole sandbox and the result are lost. Where this is not permitted,
/// the kernel's own choice, the largest process, is mostly the same.
fn volunteer_for_the_oom_killer() {
    let file = open(c"/proc/self/oom_score_adj", OFlag::O_WRONLY | OFlag::O_CLOEXEC, Mode::empty());
    if let Ok(file) = file {
        let _ = write(&file, b"1000");
    }
}

/// Maps an error of fork or exec to a refusal.
fn not_started(script: &Script, error: &io::Error) -> Refused {
    let (reason, hint) = match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ENOENT | Errno::ENOTDIR) => (RefusedReason::NotFound, missing(script)),
        Some(Errno::EAGAIN | Errno::ENOMEM | Errno::ENFILE | Errno::EMFILE) => {
            (RefusedReason::Spawn, "")
        }
        Some(Errno::E2BIG) => {
            (RefusedReason::NotExecutable, "; arguments and environment together are too long")
        }
        _ => (RefusedReason::NotExecutable, ""),
    };
    refused(reason, format_args!("{}: {error}{hint}", program(script)))
}

fn missing(script: &Script) -> &'static str {
    match script {
        Script::OnDisk { .. } => "; the interpreter, or its loader, is not in the image",
        Script::InImage { .. } => "; it, or the loader that it names, is not in the image",
        Script::Program { .. } | Script::InMemory { .. } => {
            "; the loader that the binary names is not in the image"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_start_is_named() {
        let script = Script::OnDisk { interpreter: vec!["/bin/x".into()], path: "/s".into() };
        for (errno, expected) in [
            (Errno::ENOENT, RefusedReason::NotFound),
            (Errno::ENOTDIR, RefusedReason::NotFound),
            (Errno::EACCES, RefusedReason::NotExecutable),
            (Errno::ENOEXEC, RefusedReason::NotExecutable),
            (Errno::E2BIG, RefusedReason::NotExecutable),
            (Errno::EAGAIN, RefusedReason::Spawn),
            (Errno::ENOMEM, RefusedReason::Spawn),
        ] {
            let refused = not_started(&script, &errno.into());
            assert_eq!(refused.reason, expected, "{errno}");
            assert!(refused.detail.starts_with("/bin/x: "), "{}", refused.detail);
        }
    }
}
