//! Corners of the kernel that ordinary programs have no use for, and that holes are
//! found in.

use std::fs;
use std::io;

use nix::libc;

use crate::attempt::{Attempts, signed};

/// A personality without randomised addresses (`ADDR_NO_RANDOMIZE`, personality(2)).
const NO_RANDOMIZE: usize = 0x0004_0000;

/// Namespaces, each with the flag that makes one (clone(2)).
const NAMESPACES: [(&str, i32); 7] = [
    ("user", libc::CLONE_NEWUSER),
    ("mount", libc::CLONE_NEWNS),
    ("process", libc::CLONE_NEWPID),
    ("network", libc::CLONE_NEWNET),
    ("host name", libc::CLONE_NEWUTS),
    ("IPC", libc::CLONE_NEWIPC),
    ("cgroup", libc::CLONE_NEWCGROUP),
];

pub(crate) fn attempt(attempts: &mut Attempts) {
    namespaces(attempts);
    mounts(attempts);
    keyring(attempts);
    risky(attempts);
    administration(attempts);
    shared_memory(attempts);
    attributes(attempts);
    clock(attempts);
}

fn namespaces(attempts: &mut Attempts) {
    for (name, flag) in NAMESPACES {
        attempts.call(&format!("namespaces.{name}"), libc::SYS_unshare, [signed(flag)]);
    }
    // Fails before it forks: a thread shares memory (clone(2)), and there is no stack.
    let flags = signed(libc::CLONE_NEWUSER | libc::CLONE_THREAD);
    attempts.call("namespaces.clone with one", libc::SYS_clone, [flags, 0, 0, 0, 0]);
    // Has no arguments at all: refused where it is known, too.
    attempts.call("namespaces.clone3", libc::SYS_clone3, [0, 0]);
    attempts.call("namespaces.setns", libc::SYS_setns, [0, 0]);
}

fn mounts(attempts: &mut Attempts) {
    let (none, work, tmpfs, root) = (
        c"none".as_ptr() as usize,
        c"/work".as_ptr() as usize,
        c"tmpfs".as_ptr() as usize,
        c"/".as_ptr() as usize,
    );
    let here = signed(libc::AT_FDCWD);
    attempts.call("mounts.mount", libc::SYS_mount, [none, work, tmpfs, 0, 0]);
    // MS_BIND and MS_REMOUNT (mount(2)), which makes what is read-only writable.
    let remount = signed(4096 | 32);
    attempts.call("mounts.remount the root", libc::SYS_mount, [none, root, 0, remount, 0]);
    // Only marks it: nothing is taken away from those who use it (MNT_EXPIRE, umount(2)).
    attempts.call("mounts.umount", libc::SYS_umount2, [c"/proc".as_ptr() as usize, 4]);
    attempts.call("mounts.open_tree", libc::SYS_open_tree, [here, root, 1]);
    attempts.call("mounts.move_mount", libc::SYS_move_mount, [here, work, here, work, 0]);
    attempts.call("mounts.fsopen", libc::SYS_fsopen, [tmpfs, 0]);
    attempts.call("mounts.mount_setattr", libc::SYS_mount_setattr, [here, work, 0, 0, 0]);
    attempts.call("mounts.pivot_root", libc::SYS_pivot_root, [work, work]);
    attempts.call("mounts.chroot", libc::SYS_chroot, [root]);
    let handle = [0_usize; 18];
    let at = handle.as_ptr() as usize;
    attempts.call("mounts.open_by_handle_at", libc::SYS_open_by_handle_at, [here, at, 0]);
}

fn keyring(attempts: &mut Attempts) {
    let (user, name) = (c"user".as_ptr() as usize, c"gantry-probe".as_ptr() as usize);
    // The session's keyring (keyctl(2)), which the container's processes share.
    let session = signed(-3);
    attempts.call("keyring.keyctl", libc::SYS_keyctl, [0, session, 0]);
    attempts.call("keyring.add_key", libc::SYS_add_key, [user, name, name, 1, session]);
    attempts.call("keyring.request_key", libc::SYS_request_key, [user, name, 0, session]);
}

fn risky(attempts: &mut Attempts) {
    let mut place = [0_usize; 32];
    let at = place.as_mut_ptr() as usize;
    let none = signed(-1);
    attempts.call("kernel.io_uring_setup", libc::SYS_io_uring_setup, [8, at]);
    attempts.call("kernel.io_uring_enter", libc::SYS_io_uring_enter, [0, 0, 0, 0, 0]);
    attempts.call("kernel.io_uring_register", libc::SYS_io_uring_register, [0, 0, 0, 0]);
    attempts.call("kernel.bpf", libc::SYS_bpf, [0, 0, 0]);
    attempts.call("kernel.perf_event_open", libc::SYS_perf_event_open, [at, 0, none, none, 0]);
    attempts.call("kernel.userfaultfd", libc::SYS_userfaultfd, [0]);
    attempts.call("kernel.personality", libc::SYS_personality, [NO_RANDOMIZE]);
    attempts.call("kernel.init_module", libc::SYS_init_module, [at, 0, at]);
    attempts.call("kernel.finit_module", libc::SYS_finit_module, [none, at, 0]);
    attempts.call("kernel.delete_module", libc::SYS_delete_module, [at, 0]);
    attempts.call("kernel.fanotify_init", libc::SYS_fanotify_init, [0, 0]);
    attempts.call("kernel.name_to_handle_at", libc::SYS_name_to_handle_at, [none, at, at, at, 0]);
    attempts.call("kernel.mbind", libc::SYS_mbind, [at, 0, 0, 0, 0]);
    attempts.call("kernel.set_mempolicy", libc::SYS_set_mempolicy, [0, 0, 0]);
    #[cfg(target_arch = "x86_64")]
    {
        attempts.call("kernel.iopl", libc::SYS_iopl, [3]);
        attempts.call("kernel.ioperm", libc::SYS_ioperm, [0x80, 1, 1]);
        attempts.call("kernel.modify_ldt", libc::SYS_modify_ldt, [0, at, 0]);
    }
}

/// Each with arguments that change nothing where it is allowed.
fn administration(attempts: &mut Attempts) {
    let mut place = [0_usize; 32];
    let at = place.as_mut_ptr() as usize;
    let nowhere = c"/work/nothing".as_ptr() as usize;
    let none = signed(-1);
    attempts.call("administration.reboot", libc::SYS_reboot, [0, 0, 0, 0]);
    attempts.call("administration.kexec_load", libc::SYS_kexec_load, [0, 0, 0, none]);
    attempts.call("administration.swapon", libc::SYS_swapon, [nowhere, 0]);
    attempts.call("administration.swapoff", libc::SYS_swapoff, [nowhere]);
    attempts.call("administration.acct", libc::SYS_acct, [nowhere]);
    attempts.call("administration.quotactl", libc::SYS_quotactl, [0, 0, 0, 0]);
    attempts.call("administration.sethostname", libc::SYS_sethostname, [at, none]);
    attempts.call("administration.setdomainname", libc::SYS_setdomainname, [at, none]);
    attempts.call("administration.syslog", libc::SYS_syslog, [10, 0, 0]);
    attempts.call("administration.vhangup", libc::SYS_vhangup, []);
}

/// Kept by the kernel, and reached without any file.
fn shared_memory(attempts: &mut Attempts) {
    attempts.call("IPC.shmget", libc::SYS_shmget, [0, 4096, 0o1600]);
    attempts.call("IPC.msgget", libc::SYS_msgget, [0, 0o1600]);
    attempts.call("IPC.semget", libc::SYS_semget, [0, 1, 0o1600]);
    let name = c"gantry-probe".as_ptr() as usize;
    let flags = signed(libc::O_CREAT | libc::O_RDWR);
    attempts.call("IPC.mq_open", libc::SYS_mq_open, [name, flags, 0o600, 0]);
    attempts.read("IPC.beyond its own", of_others());
}

/// True if there is anything but what was just made.
fn of_others() -> io::Result<String> {
    let mut counts = Vec::new();
    for kind in ["shm", "msg", "sem"] {
        // The first line is the heading.
        let lines = fs::read_to_string(format!("/proc/sysvipc/{kind}"))?.lines().count();
        counts.push(lines.saturating_sub(2).to_string());
    }
    counts.dedup();
    Ok(counts.join(" "))
}

/// Extended attributes: those that anybody may write, and those that only root may.
fn attributes(attempts: &mut Attempts) {
    if let Err(error) = fs::write("/work/attributes", "") {
        return attempts.try_to::<()>("attributes.user", Err(error));
    }
    let path = c"/work/attributes".as_ptr() as usize;
    for (what, name) in [
        ("user", c"user.gantry"),
        ("capability", c"security.capability"),
        ("trusted", c"trusted.gantry"),
    ] {
        // `VFS_CAP_REVISION_2` (linux/capability.h); to others it is any value.
        let value = [0x0200_0000_u32, 0, 0, 0, 0];
        let (name, value) = (name.as_ptr() as usize, value.as_ptr() as usize);
        attempts.call(
            &format!("attributes.{what}"),
            libc::SYS_setxattr,
            [path, name, value, 20, 0],
        );
    }
}

/// The time is set to what it is, and adjusted by nothing.
fn clock(attempts: &mut Attempts) {
    let mut now = [0_i64; 2];
    let at = now.as_mut_ptr() as usize;
    attempts.call("clock.read", libc::SYS_clock_gettime, [0, at]);
    attempts.call("clock.set", libc::SYS_clock_settime, [0, at]);
    attempts.call("clock.settimeofday", libc::SYS_settimeofday, [0, 0]);
    let mut adjustment = [0_i64; 32];
    attempts.call("clock.adjust", libc::SYS_adjtimex, [adjustment.as_mut_ptr() as usize]);
}
