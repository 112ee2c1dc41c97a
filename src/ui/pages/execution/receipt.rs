//! Confinement of a container: a summary, and all details from the engine. Settings weaker than
//! required are highlighted.

use maud::{Markup, html};

use super::usage::cpus;
use crate::domain::confinement::{Confinement, SealedConfinement};
use crate::ui::components::json;
use crate::ui::components::value::{bytes, count, short};

/// Longest word or list, in characters.
const MAX_CHARACTERS: usize = 200;

/// Most mounts and tmpfs mounts.
const MAX_PLACES: usize = 12;

/// Renders the receipt as a table.
pub(super) fn table(sealed: &SealedConfinement) -> Markup {
    html! {
        div.table {
            table.receipt-table {
                tbody {
                    (privileges(sealed))
                    (limits(sealed))
                    (files(sealed))
                }
            }
        }
        details {
            summary { "All of it" }
            (json::tree(sealed.json()))
        }
    }
}

fn privileges(it: &Confinement) -> Markup {
    let drops_all = it.capabilities_dropped.iter().any(|name| name.eq_ignore_ascii_case("ALL"));
    let dropped = if drops_all { "all".to_owned() } else { list(&it.capabilities_dropped) };
    let has_network = !(it.network_disabled || it.network_mode == "none");
    let network = format!("{} {}", it.network_mode, it.networks.join(", "));
    let added = list(&it.capabilities_added);
    let new_privileges = if it.no_new_privileges { "never" } else { "possible" };
    html! {
        (row("Privileged", if it.privileged { "yes" } else { "no" }, it.privileged))
        (row("Network", if has_network { network.trim() } else { "none" }, false))
        (row("User", &it.user, false))
        @if !it.groups.is_empty() { (row("Groups", &list(&it.groups), true)) }
        (row("Capabilities dropped", &dropped, it.capabilities_dropped.is_empty()))
        (row("Capabilities added", &added, !added.is_empty()))
        (row("New privileges", new_privileges, !it.no_new_privileges))
        (row("System calls (seccomp)", said(it.seccomp.as_deref()), false))
        (row("AppArmor", said(it.apparmor.as_deref()), false))
        (row("ScriptType", said(it.runtime.as_deref()), false))
        (row("Devices of the host", &list(&it.devices), !it.devices.is_empty()))
    }
}

fn limits(it: &Confinement) -> Markup {
    // 0 or less means no limit.
    let limit = |number: i64| u64::try_from(number).ok().filter(|number| *number > 0);
    let told = |number: i64, show: fn(u64) -> String| {
        limit(number).map_or_else(|| "no limit".to_owned(), show)
    };
    let swap = match it.memory_swap_bytes {
        -1 => "the kernel can't limit it".to_owned(),
        both if both == it.memory_bytes => "none".to_owned(),
        both => told(both.saturating_sub(it.memory_bytes), bytes),
    };
    html! {
        (row("Memory", &told(it.memory_bytes, bytes), limit(it.memory_bytes).is_none()))
        (row("Swap", &swap, false))
        (row("CPU", &told(it.nano_cpus, cpus), limit(it.nano_cpus).is_none()))
        (row("Processes", &told(it.pids, count), limit(it.pids).is_none()))
    }
}

fn files(it: &Confinement) -> Markup {
    let root = if it.readonly_root { "read-only" } else { "writable" };
    let places = it.tmpfs.len() + it.mounts.len();
    html! {
        (row("Root file system", root, !it.readonly_root))
        @for (target, options) in it.tmpfs.iter().take(MAX_PLACES) {
            (row("In memory", &format!("{target} ({options})"), false))
        }
        @for mount in it.mounts.iter().take(MAX_PLACES) {
            // Its source is an internal file of the server, which is not shown.
            (row("Mount", &mount.to_string(), false))
        }
        @if places > 2 * MAX_PLACES { (row("More places", &places.to_string(), false)) }
    }
}

fn row(name: &str, text: &str, is_weak: bool) -> Markup {
    let text = if text.is_empty() { "none" } else { text };
    html! {
        tr {
            th scope="row" { (name) }
            td.break.wrong[is_weak] {
                (short(text, MAX_CHARACTERS))
                @if short(text, MAX_CHARACTERS).len() < text.len() { "…" }
            }
        }
    }
}

fn said(word: Option<&str>) -> &str {
    word.unwrap_or("not said")
}

fn list(names: &[String]) -> String {
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::confinement::SeenMount;

    fn shown(confinement: Confinement) -> String {
        table(&SealedConfinement::new(confinement).unwrap()).into_string()
    }

    #[test]
    fn a_receipt_is_told_in_words() {
        let text = shown(Confinement {
            network_mode: "none".to_owned(),
            readonly_root: true,
            capabilities_dropped: vec!["ALL".to_owned()],
            no_new_privileges: true,
            memory_bytes: 512 << 20,
            memory_swap_bytes: 512 << 20,
            nano_cpus: 1_500_000_000,
            pids: 256,
            mounts: vec![SeenMount {
                source: "/srv/secret".to_owned(),
                target: "/data".to_owned(),
                read_only: true,
            }],
            ..Confinement::default()
        });
        let all = "<td class=\"break\">all";
        for part in ["512 MiB", "1.5 CPUs", "read-only", "/data (read-only)", all] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("wrong"), "{text}");
    }

    #[test]
    fn what_is_weak_stands_out_and_nothing_is_long() {
        let text = shown(Confinement {
            privileged: true,
            pids: -1,
            devices: vec!["/dev/sda".to_owned(); 10_000],
            ..Confinement::default()
        });
        assert!(text.contains("<td class=\"break wrong\">yes"), "{text}");
        assert!(text.contains("<td class=\"break wrong\">no limit"), "{text}");
        assert!(text.len() < 40_000, "{}", text.len());
    }
}
