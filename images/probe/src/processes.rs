//! Attempts on other processes, above all on PID 1, which has the same user.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};

use nix::libc;

use crate::attempt::{Attempts, signed};

/// Files of PID 1 that would give its memory, descriptors and files away.
const OF_PID_ONE: [&str; 7] = ["environ", "maps", "auxv", "stack", "syscall", "io", "pagemap"];

pub(crate) fn attempt(attempts: &mut Attempts) {
    attempts.read("processes.open descriptors", descriptors());
    attempts.read("processes.seen", processes());
    for file in OF_PID_ONE {
        let read = File::open(format!("/proc/1/{file}")).and_then(|mut it| it.read(&mut [0]));
        attempts.try_to(format!("pid 1.{file}"), read);
    }
    let memory = OpenOptions::new().read(true).write(true).open("/proc/1/mem");
    attempts.try_to("pid 1.memory", memory);
    attempts.try_to("pid 1.list of descriptors", fs::read_dir("/proc/1/fd"));
    for descriptor in ["0", "1", "2"] {
        let opened = OpenOptions::new().write(true).open(format!("/proc/1/fd/{descriptor}"));
        attempts.try_to(format!("pid 1.descriptor {descriptor}"), opened);
    }
    attempts.try_to("pid 1.root", fs::read_dir("/proc/1/root/"));
    attempts.try_to("pid 1.working directory", fs::read_dir("/proc/1/cwd/"));
    attempts.try_to("pid 1.program", File::open("/proc/1/exe"));
    let score = fs::write("/proc/1/oom_score_adj", "1000");
    attempts.try_to("pid 1.to be killed first", score);
    attempts.try_to("processes.to be killed last", fs::write("/proc/self/oom_score_adj", "-1000"));
    calls(attempts);
    own(attempts);
}

/// Priorities and limits are set to what they are.
fn calls(attempts: &mut Attempts) {
    let mut place = [0_usize; 8];
    let at = place.as_mut_ptr() as usize;
    attempts.call("pid 1.ptrace", libc::SYS_ptrace, [signed(16), 1, 0, 0]);
    attempts.call("pid 1.process_vm_readv", libc::SYS_process_vm_readv, [1, at, 0, at, 0]);
    attempts.call("pid 1.process_vm_writev", libc::SYS_process_vm_writev, [1, at, 0, at, 0]);
    let opened = crate::attempt::call(libc::SYS_pidfd_open, [1, 0]);
    let pidfd = opened.ok().and_then(|it| usize::try_from(it).ok()).unwrap_or(0);
    attempts.call("pid 1.pidfd_getfd", libc::SYS_pidfd_getfd, [pidfd, 1, 0]);
    attempts.call("pid 1.process_madvise", libc::SYS_process_madvise, [pidfd, at, 0, 0, 0]);
    attempts.call("pid 1.kcmp", libc::SYS_kcmp, [1, 1, 0, 0, 0]);
    attempts.call("pid 1.limits", libc::SYS_prlimit64, [1, 1, 0, at]);
    attempts.call("pid 1.priority", libc::SYS_setpriority, [0, 1, 0]);
    attempts.call("pid 1.priority of its group", libc::SYS_setpriority, [1, 1, 0]);
    // SAFETY: has no arguments and can't fail.
    let user = unsafe { libc::getuid() } as usize;
    attempts.call("pid 1.priority of its user", libc::SYS_setpriority, [2, user, 0]);
    attempts.call("pid 1.priority of reading", libc::SYS_ioprio_set, [1, 1, 0]);
    attempts.call("pid 1.priority of its user's reading", libc::SYS_ioprio_set, [3, user, 0]);
    attempts.call("pid 1.scheduler", libc::SYS_sched_setscheduler, [1, 0, at]);
    let all = [usize::MAX; 16];
    let processors = [1, size_of_val(&all), all.as_ptr() as usize];
    attempts.call("pid 1.processors", libc::SYS_sched_setaffinity, processors);
    // The kernel reads 32 bits of a number, filters may read 64.
    let alias = (1 << 32) | 1;
    attempts.call("pid 1.limits by another number", libc::SYS_prlimit64, [alias, 1, 0, at]);
    attempts.call("pid 1.priority by another number", libc::SYS_setpriority, [0, alias, 0]);
    attempts.call(
        "pid 1.processors by another number",
        libc::SYS_sched_setaffinity,
        [alias, size_of_val(&all), all.as_ptr() as usize],
    );
    attempts.call("pid 1.move_pages", libc::SYS_move_pages, [1, 0, at, at, at]);
}

/// Calls of ordinary programs on processes of their own, here on this one by its number.
fn own(attempts: &mut Attempts) {
    let mut place = [0_usize; 2];
    let at = place.as_mut_ptr() as usize;
    let own = std::process::id() as usize;
    let nofile = libc::RLIMIT_NOFILE as usize;
    attempts.call("processes.own limits", libc::SYS_prlimit64, [own, nofile, 0, at]);
    attempts.call("processes.own limits set", libc::SYS_prlimit64, [own, nofile, at, 0]);
    attempts.call("processes.own priority", libc::SYS_setpriority, [0, own, 0]);
    attempts.call("processes.own priority of reading", libc::SYS_ioprio_set, [1, own, 0]);
    let parameter = [0_u64];
    let batch = [own, signed(libc::SCHED_BATCH), parameter.as_ptr() as usize];
    attempts.call("processes.own scheduler", libc::SYS_sched_setscheduler, batch);
    let all = [usize::MAX; 16];
    let processors = [own, size_of_val(&all), all.as_ptr() as usize];
    attempts.call("processes.own processors", libc::SYS_sched_setaffinity, processors);
}

/// Those that it was started with.
fn descriptors() -> io::Result<String> {
    let listed = fs::read_dir("/proc/self/fd")?;
    let mut numbers: Vec<u32> =
        listed.flatten().filter_map(|it| it.file_name().to_str()?.parse().ok()).collect();
    numbers.sort_unstable();
    // The last one is the folder that was just listed.
    numbers.pop();
    let numbers: Vec<_> = numbers.iter().map(u32::to_string).collect();
    Ok(numbers.join(" "))
}

/// The names of all processes but this one.
fn processes() -> io::Result<String> {
    let own = std::process::id();
    let mut names = Vec::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|it| it.parse::<u32>().ok()) else {
            continue;
        };
        if pid != own {
            let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
            names.push(name.trim().to_owned());
        }
    }
    names.sort();
    Ok(names.join(" "))
}
