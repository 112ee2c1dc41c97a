//! Identity of the script, and attempts to change it.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};

use nix::libc;

use crate::attempt::Attempts;

/// Fields of `/proc/self/status` with its identity.
const STATUS: [&str; 10] = [
    "Uid",
    "Gid",
    "Groups",
    "CapInh",
    "CapPrm",
    "CapEff",
    "CapBnd",
    "CapAmb",
    "NoNewPrivs",
    "Seccomp",
];

/// Set-user-id and set-group-id (inode(7)).
const SET_ID: u32 = 0o6000;

/// Files that are looked at for these bits at most.
const MAX_FILES: usize = 500_000;

pub(crate) fn attempt(attempts: &mut Attempts) {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    for (name, value) in status.lines().filter_map(|line| line.split_once(':')) {
        if STATUS.contains(&name) {
            let mut words: Vec<_> = value.split_whitespace().collect();
            // The four kinds of an id are one as a rule.
            words.dedup();
            let value = words.join(" ");
            attempts.read(format!("identity.{name}"), Ok(value));
        }
    }
    attempts.call("identity.setuid root", libc::SYS_setuid, [0]);
    attempts.call("identity.setgid root", libc::SYS_setgid, [0]);
    let groups = [0_u32];
    attempts.call("identity.setgroups root", libc::SYS_setgroups, [1, groups.as_ptr() as usize]);
    attempts.try_to("identity.chown to root", chown_to_root());
    // `_LINUX_CAPABILITY_VERSION_3` and this process; CAP_SYS_ADMIN is the 21st.
    let header = [0x2008_0522_u32, 0];
    let data = [1_u32 << 21; 6];
    let arguments = [header.as_ptr() as usize, data.as_ptr() as usize];
    attempts.call("identity.capset", libc::SYS_capset, arguments);
    attempts.read("identity.set-id files", set_id_files());
    let hostname = nix::libc::SYS_uname;
    let mut names = [0_u8; 6 * 65];
    let named = crate::attempt::call(hostname, [names.as_mut_ptr() as usize]);
    attempts.read("identity.host name", named.map(|_| text_at(&names, 65)));
    // A plain number is one of CPUs, for those who would count them (`OMP_NUM_THREADS`).
    let is_number = |value: &OsStr| value.to_str().is_some_and(|it| it.parse::<u32>().is_ok());
    let variables = std::env::vars_os().filter(|(_, value)| !is_number(value));
    let mut environment: Vec<_> = variables.map(|(name, _)| name).collect();
    environment.sort();
    let names: Vec<_> = environment.iter().map(|it| it.to_string_lossy()).collect();
    attempts.read("identity.environment", Ok(names.join(" ")));
}

fn chown_to_root() -> io::Result<()> {
    let path = "/tmp/owned";
    fs::write(path, "")?;
    chown(path, Some(0), Some(0))
}

/// The paths of all programs that give their starter rights.
fn set_id_files() -> io::Result<String> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from("/")];
    let device = fs::metadata("/")?.dev();
    let mut looked_at = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            looked_at += 1;
            if looked_at > MAX_FILES {
                return Err(io::ErrorKind::FileTooLarge.into());
            }
            let Ok(status) = entry.path().symlink_metadata() else { continue };
            if status.is_dir() && status.dev() == device {
                folders.push(entry.path());
            } else if status.is_file() && status.mode() & SET_ID != 0 {
                found.push(shown(&entry.path()));
            }
        }
    }
    Ok(found.join(" "))
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// The text that ends with NUL at a place.
fn text_at(bytes: &[u8], place: usize) -> String {
    let text = bytes.get(place..).unwrap_or_default().split(|it| *it == 0).next();
    String::from_utf8_lossy(text.unwrap_or_default()).into_owned()
}
