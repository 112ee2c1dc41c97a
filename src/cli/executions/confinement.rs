//! The confinement of an execution's sandbox, in a few lines for people. `--json` has all
//! of it.

use crate::cli::fields::{Lines, bytes};
use crate::client::wire::{Confinement, Shown};
use crate::domain::sanitize::sanitize;

/// Characters of the system call filter's digest that are shown.
const DIGEST_CHARS: usize = 19;

pub(super) fn add(lines: &mut Lines, confinement: &Confinement) {
    lines.add("runtime", &confinement.runtime).add("user", &confinement.user);
    lines.add("network", &confinement.network_mode);
    lines.text("limits", limits(confinement));
    lines.text("confinement", walls(confinement));
}

fn limits(confinement: &Confinement) -> String {
    let cpus = confinement.nano_cpus.as_str().parse::<f64>().map(|it| it / 1e9);
    let cpus = cpus.map_or_else(|_| String::new(), |cpus| format!("{cpus} CPUs"));
    let memory = format!("{} of memory", bytes(&confinement.memory_bytes));
    let pids = format!("{} processes", sanitize(confinement.pids.as_str()));
    [cpus, memory, pids].join(", ")
}

fn walls(confinement: &Confinement) -> String {
    let root = if confinement.readonly_root.is_true() { "read-only" } else { "writable" };
    let seccomp: String = confinement.seccomp.as_str().chars().take(DIGEST_CHARS).collect();
    let mut walls = vec![
        format!("{root} root"),
        format!("capabilities dropped {}", list(&confinement.capabilities_dropped)),
        format!("seccomp {}", sanitize(&seccomp)),
    ];
    if confinement.no_new_privileges.is_true() {
        walls.push("no new privileges".to_owned());
    }
    if confinement.privileged.is_true() {
        walls.push("privileged".to_owned());
    }
    walls.join(", ")
}

/// The items of a list.
fn list(value: &Shown) -> String {
    let words: Vec<String> = serde_json::from_str(value.as_str()).unwrap_or_default();
    sanitize(&words.join(" "))
}
