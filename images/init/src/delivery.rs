//! Puts a request's bytes where the script will find them, as they arrive: the
//! script into a file or into memory, its stdin into memory. They are never in
//! the heap of PID 1 as a whole.
//!
//! Stdin is there as a whole before the script starts, and has an end; the script reads
//! it from a pipe ([`crate::feed`]).

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::libc;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::statvfs::{FsFlags, statvfs};
use std::ffi::CStr;
use std::fs::{File, remove_file};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use gantry_init::message::{Launch, Refused, RefusedReason, Request, SCRIPT_DIR, SCRIPT_TIME};

use gantry_init::request::refused;

/// A request that is on its way in.
pub(crate) struct Delivery {
    request: Request,
    /// `None` for a script that is in the image.
    script: Option<File>,
    stdin: File,
}

/// A request that is here as a whole.
pub(crate) struct Delivered {
    /// The request.
    pub(crate) request: Request,
    /// The script's bytes.
    pub(crate) script: Script,
    /// The script's stdin, from its first byte.
    pub(crate) stdin: File,
}

/// Place of the script's bytes.
pub(crate) enum Script {
    /// A file for an interpreter.
    OnDisk {
        /// See [`Launch::Interpreted`].
        interpreter: Vec<String>,
        /// The file.
        path: PathBuf,
    },
    /// A program with a place of its own.
    Program {
        /// The file, which nothing has open for writing.
        path: PathBuf,
    },
    /// A program where no file can be executed.
    InMemory {
        /// See [`Launch::Executable`].
        name: String,
        /// A sealed memory file, not open for writing anywhere, so that it can
        /// be executed.
        file: File,
    },
    /// A file of the image.
    InImage {
        /// See [`Launch::InImage`].
        command: Vec<String>,
    },
}

impl Delivery {
    /// Makes room for what the request announces.
    pub(crate) fn begin(request: Request) -> Result<Self, Refused> {
        let script = match &request.launch {
            Launch::Interpreted { file_name, .. } => Some(create_script(&script_path(file_name))),
            Launch::Executable { name } if executes_files() => {
                Some(create_program(&script_path(name)))
            }
            Launch::Executable { .. } => Some(create_in_memory(c"script", libc::MFD_EXEC)),
            Launch::InImage { .. } => None,
        };
        let script = script.transpose().map_err(|error| not_written("script", &error))?;
        let stdin = create_in_memory(c"stdin", libc::MFD_NOEXEC_SEAL);
        let stdin = stdin.map_err(|error| not_written("stdin", &error))?;
        Ok(Self { request, script, stdin })
    }

    /// The next piece of the script.
    pub(crate) fn script(&mut self, piece: &[u8]) -> Result<(), Refused> {
        match &mut self.script {
            Some(script) => script.write_all(piece).map_err(|error| not_written("script", &error)),
            // A request that announces any is refused.
            None => Ok(()),
        }
    }

    /// The next piece of its stdin.
    pub(crate) fn stdin(&mut self, piece: &[u8]) -> Result<(), Refused> {
        self.stdin.write_all(piece).map_err(|error| not_written("stdin", &error))
    }

    /// All pieces are here.
    pub(crate) fn finish(self) -> Result<Delivered, Refused> {
        let Self { request, script, stdin } = self;
        if let Some(script) = &script {
            set_time(script).map_err(|error| not_written("script", &error))?;
        }
        let script = match (request.launch.clone(), script) {
            (Launch::Interpreted { interpreter, file_name }, _) => {
                Ok(Script::OnDisk { interpreter, path: script_path(&file_name) })
            }
            (Launch::InImage { command, .. }, _) => Ok(Script::InImage { command }),
            (Launch::Executable { name }, Some(script)) if !executes_files() => {
                executable(script).map(|file| Script::InMemory { name, file })
            }
            (Launch::Executable { name }, _) => Ok(Script::Program { path: script_path(&name) }),
        };
        let script = script.map_err(|error| not_written("script", &error))?;
        Ok(Delivered { request, script, stdin })
    }
}

fn not_written(what: &str, error: &io::Error) -> Refused {
    refused(RefusedReason::Script, format_args!("can't write the {what}: {error}"))
}

/// Path of a script of this name.
pub(crate) fn script_path(file_name: &str) -> PathBuf {
    Path::new(SCRIPT_DIR).join(file_name)
}

/// A file for a script, in the place of the one that a process found there while it got
/// ready for it.
pub(crate) fn create_script(path: &Path) -> io::Result<File> {
    match remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = File::options();
    options.write(true).create_new(true).mode(0o600).open(path)
}

/// Gives a script's file the time that every script's file has.
pub(crate) fn set_time(script: &File) -> io::Result<()> {
    script.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(SCRIPT_TIME))
}

/// True when files beside the script can be executed.
fn executes_files() -> bool {
    statvfs(SCRIPT_DIR).is_ok_and(|it| !it.flags().contains(FsFlags::ST_NOEXEC))
}

/// A program's own file: what `/proc/self/exe`, `$ORIGIN` and argv\[0\] lead to. Nobody
/// is to write to it.
fn create_program(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.write(true).create_new(true).mode(0o555).open(path)
}

/// Creates a memory file. `execution` decides if it may ever be executed; kernels before
/// 6.3 do not know it: they allow it always.
pub(crate) fn create_in_memory(name: &CStr, execution: libc::c_uint) -> io::Result<File> {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let with_execution = flags | MFdFlags::from_bits_retain(execution);
    let file = memfd_create(name, with_execution).or_else(|error| match error {
        Errno::EINVAL => memfd_create(name, flags),
        other => Err(other),
    })?;
    Ok(file.into())
}

/// Fixes a memory file's content for ever.
fn seal(file: &File) -> io::Result<()> {
    let seals = SealFlag::F_SEAL_WRITE
        | SealFlag::F_SEAL_SHRINK
        | SealFlag::F_SEAL_GROW
        | SealFlag::F_SEAL_SEAL;
    fcntl(file, FcntlArg::F_ADD_SEALS(seals))?;
    Ok(())
}

/// The same file, open for reading only: what is open for writing anywhere
/// can't be executed (ETXTBSY).
fn executable(written: File) -> io::Result<File> {
    seal(&written)?;
    File::open(format!("/proc/self/fd/{}", written.as_raw_fd()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Seek};

    #[test]
    fn a_sealed_file_is_read_and_not_written() {
        let mut file = create_in_memory(c"test", libc::MFD_NOEXEC_SEAL).unwrap();
        file.write_all(b"content").unwrap();
        seal(&file).unwrap();
        assert!(file.write_all(b"more").is_err());
        assert!(file.set_len(0).is_err());
        file.rewind().unwrap();
        let mut content = String::new();
        file.read_to_string(&mut content).unwrap();
        assert_eq!(content, "content");
    }

    #[test]
    fn an_executable_is_open_for_reading_only() {
        let mut file = create_in_memory(c"test", libc::MFD_EXEC).unwrap();
        file.write_all(b"content").unwrap();
        let mut file = executable(file).unwrap();
        assert!(file.write_all(b"more").is_err());
        assert_eq!(io::read_to_string(file).unwrap(), "content");
    }
}
