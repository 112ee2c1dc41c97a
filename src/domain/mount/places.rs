//! Reserved places in a sandbox and on the host.

use std::path::{Component, Path};

/// Longest path, in bytes (`PATH_MAX`, limits.h).
pub const MAX_PATH_BYTES: usize = 4096;

/// Targets that belong to the image or to Gantry; neither they nor a place below or above
/// them can be a target. `/work` is among them because artifacts are collected there, and a
/// mount would be read as the script's own files. `/var/run` links to `/run`, which the
/// engine would follow.
const RESERVED_TARGETS: [&str; 18] = [
    "/work",
    "/tmp",
    "/run",
    "/var/run",
    "/var/tmp",
    "/proc",
    "/sys",
    "/dev",
    "/etc",
    "/usr",
    "/bin",
    "/sbin",
    "/boot",
    "/root",
    "/opt/env",
    "/opt/python",
    "/opt/warm-up",
    "/gantry-init",
];

/// Folders of libraries in Debian's ABIs.
const LIBRARIES: [&str; 4] = ["lib", "lib32", "lib64", "libx32"];

/// Sources that give control over the machine, even if the roots allow them: control
/// sockets of daemons, the state of container engines, and the kernel's own file systems.
/// Neither they nor a place below or above them can be a source.
const FORBIDDEN_SOURCES: [&str; 7] =
    ["/proc", "/sys", "/dev", "/run", "/var/run", "/var/lib/docker", "/var/lib/containerd"];

/// Names of container engines' control sockets, in any folder.
const ENGINE_SOCKETS: [&str; 5] =
    ["docker.sock", "containerd.sock", "podman.sock", "crio.sock", "buildkitd.sock"];

/// Target without needless slashes; `None` if it is not a usable path.
pub(super) fn normalised(target: &str) -> Option<String> {
    if !target.starts_with('/') || target.len() > MAX_PATH_BYTES || target.contains(':') {
        return None;
    }
    let components: Vec<&str> = target.split('/').filter(|part| !part.is_empty()).collect();
    let is_usable = |part: &&str| {
        !matches!(*part, "." | "..") && part.len() <= 255 && !part.contains(char::is_control)
    };
    components.iter().all(is_usable).then(|| format!("/{}", components.join("/")))
}

/// Reserved place at, above or below a normalized target.
pub(super) fn reserved_target(target: &str) -> Option<String> {
    let first = target.split('/').nth(1).unwrap_or_default();
    if target == "/" || LIBRARIES.contains(&first) {
        return Some(format!("/{first}"));
    }
    RESERVED_TARGETS.into_iter().find(|reserved| overlaps(reserved, target)).map(str::to_owned)
}

/// True if one of two paths equals or contains the other.
pub(super) fn overlaps(one: impl AsRef<Path>, other: impl AsRef<Path>) -> bool {
    let (one, other) = (one.as_ref(), other.as_ref());
    one.starts_with(other) || other.starts_with(one)
}

/// True if a path is absolute and has neither `.` nor `..`.
pub(super) fn is_canonical(path: &Path) -> bool {
    // The engine gets the path in JSON, which is UTF-8.
    path.is_absolute()
        && path.to_str().is_some()
        && !path.components().any(|part| part == Component::ParentDir)
}

pub(super) fn is_forbidden(source: &Path) -> bool {
    let is_socket = |name: &str| ENGINE_SOCKETS.contains(&name);
    source.components().any(|part| part.as_os_str().to_str().is_some_and(is_socket))
        || (source.is_absolute()
            && FORBIDDEN_SOURCES.iter().any(|forbidden| overlaps(source, forbidden)))
}
