//! Resources that can be used up. Children do so: they are ended, and their resources are
//! free again. Each stops by itself where nothing stops it.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use gantry_probe::Found;
use nix::libc;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, fork, pause};

use crate::attempt::Attempts;

/// Processes that are made at most: far more than the sandbox has.
const MAX_FORKS: usize = 2_000;

/// Memory that is taken at most, in MiB: far more than the sandbox has.
const MAX_MIB: usize = 1_024;

/// Bytes of each file system that are filled at most.
const MAX_FILLED: usize = 512 << 20;

const MIB: usize = 1 << 20;

/// The places that are filled.
const PLACES: [&str; 4] = ["/work", "/tmp", "/dev/shm", "/run/gantry"];

/// Limits of each process.
const RESOURCES: [(&str, Resource); 2] =
    [("open files", Resource::RLIMIT_NOFILE), ("core files", Resource::RLIMIT_CORE)];

pub(crate) fn attempt(attempts: &mut Attempts) {
    for (name, resource) in RESOURCES {
        let hard = getrlimit(resource).map(|(_, hard)| hard.to_string());
        attempts.read(format!("limits.{name}"), hard.map_err(io::Error::from));
    }
    attempts.try_to("limits.raised", raise());
    attempts.read("limits.core files once lowered", lowered_core());
    for place in PLACES {
        let filled = fill(place);
        attempts.read(format!("limits.bytes in {place}"), filled.map(|it| it.to_string()));
        attempts.read(format!("limits.files in {place}"), inodes(place));
    }
    attempts.read("limits.core file", core_file());
    attempts.read("limits.processes", fork_on().map(|it| it.to_string()));
    attempts.read("limits.memory", use_memory());
    // A process that runs out of memory can't report it itself.
    attempts.found.insert("limits.outlived".to_owned(), Found::Done);
}

fn raise() -> io::Result<()> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    Ok(setrlimit(Resource::RLIMIT_NOFILE, soft, hard.saturating_add(1))?)
}

/// The limit of core files after it was set to 0: with that the kernel would hand what
/// fails to a program of the host's, where it has one (core(5)).
fn lowered_core() -> io::Result<String> {
    let (_, hard) = getrlimit(Resource::RLIMIT_CORE)?;
    setrlimit(Resource::RLIMIT_CORE, 0, hard)?;
    Ok(getrlimit(Resource::RLIMIT_CORE)?.0.to_string())
}

/// Bytes that fit into a place.
fn fill(place: &str) -> io::Result<usize> {
    let path = format!("{place}/gantry-probe-filling");
    let mut file = OpenOptions::new().write(true).create_new(true).open(&path)?;
    let piece = vec![0_u8; 64 * 1024];
    let mut filled = 0;
    let ended = loop {
        match file.write(&piece) {
            Ok(written) if filled < MAX_FILLED && written > 0 => filled += written,
            Ok(_) => break Ok(()),
            Err(error) if error.kind() == io::ErrorKind::StorageFull => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    fs::remove_file(path)?;
    ended.map(|()| filled)
}

/// Files that fit into a place.
fn inodes(place: &str) -> io::Result<String> {
    let status = std::ffi::CString::new(place)?;
    // SAFETY: all-zero bytes are a value of this type.
    let mut room: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: both are valid during the call.
    let answer = unsafe { libc::statvfs(status.as_ptr(), &raw mut room) };
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(room.f_files.to_string()) }
}

/// Runs in a child what may end it; how it has ended.
fn in_child(work: impl FnOnce() -> i32) -> io::Result<ExitStatus> {
    // SAFETY: there is one thread, so the child may do all that its parent may.
    match unsafe { fork() }? {
        ForkResult::Child => {
            let code = work();
            // SAFETY: ends this process, and runs nothing of its parent's.
            unsafe { libc::_exit(code) }
        }
        ForkResult::Parent { child } => {
            let mut status = 0;
            // SAFETY: `status` is a valid place for an int during the call.
            let waited = unsafe { libc::waitpid(child.as_raw(), &raw mut status, 0) };
            if waited < 0 {
                return Err(io::Error::last_os_error());
            }
            Ok(ExitStatus::from_raw(status))
        }
    }
}

/// Reports the core file of a child that aborts. The wait status has a flag for it, too,
/// but then the host may have taken it (core(5)).
fn core_file() -> io::Result<String> {
    in_child(|| {
        // SAFETY: ends this process.
        unsafe { libc::abort() }
    })?;
    let names = fs::read_dir(".")?.flatten().map(|it| it.file_name());
    let names = names.map(|it| it.to_string_lossy().into_owned());
    Ok(names.filter(|it| it.starts_with("core")).collect::<Vec<_>>().join(" "))
}

/// Number of processes that could be made until no more could.
fn fork_on() -> io::Result<usize> {
    let (reader, writer) = io::pipe()?;
    let status = in_child(|| {
        let count = fork_until_refused().unwrap_or(MAX_FORKS);
        let mut writer = writer;
        i32::from(writer.write_all(&(count as u32).to_le_bytes()).is_err())
    })?;
    if !status.success() {
        return Err(io::Error::other(status.to_string()));
    }
    let mut reader = reader;
    let mut count = [0; 4];
    io::Read::read_exact(&mut reader, &mut count)?;
    Ok(u32::from_le_bytes(count) as usize)
}

/// `None` when it was never refused.
fn fork_until_refused() -> Option<usize> {
    let mut children: Vec<Pid> = Vec::new();
    let mut refused = None;
    while children.len() < MAX_FORKS {
        // SAFETY: as above; the child does nothing but wait for its end.
        match unsafe { fork() } {
            Ok(ForkResult::Child) => loop {
                pause();
            },
            Ok(ForkResult::Parent { child }) => children.push(child),
            Err(_) => {
                refused = Some(children.len());
                break;
            }
        }
    }
    for child in children {
        let _ = kill(child, Signal::SIGKILL);
        let _ = waitpid(child, None);
    }
    refused
}

/// Reports the end of a child that takes ever more memory.
fn use_memory() -> io::Result<String> {
    let status = in_child(|| {
        let mut taken: Vec<Vec<u8>> = Vec::new();
        for _ in 0..MAX_MIB {
            taken.push(vec![1; MIB]);
        }
        // So that nothing of it is left out.
        i32::from(taken.iter().any(|it| it.first() != Some(&1)))
    })?;
    Ok(match status.signal() {
        Some(signal) => format!("ended by signal {signal}"),
        None => format!("{MAX_MIB} MiB"),
    })
}
