//! A second filter of system calls, upon the engine's. The engine's profiles can't
//! express its rules: they compare arguments with one value each, or with all 64 bits of
//! a register of which the kernel reads 32.
//!
//! It keeps the script, which has PID 1's user, from calls that would end PID 1 or starve
//! it until it misses a deadline: on its limits, its priorities, its scheduler and its
//! processors. Of processes of its own the script may change all that. It answers some
//! calls as if they had been made, where the kernel would execute the request in part
//! only, and programs take an error for the end: see [`RULES`].

use nix::errno::Errno;
use nix::libc::{self, c_int, c_long, c_ulong, c_ushort, sock_filter, sock_fprog};
use nix::sys::prctl;
use std::io;

/// The number that PID 1 has, for those that it shares its namespace with.
const PID_ONE: u32 = 1;

/// `IOPRIO_WHO_USER` (ioprio_set(2)).
const IOPRIO_WHO_USER: u32 = 3;

/// The answer: an error, or with 0 that it was done.
const DONE: u32 = 0;
const REFUSED: u32 = libc::EPERM.cast_unsigned();

const EVERYBODY_OF_A_USER: u32 = libc::PRIO_USER;
const SOCKET: u32 = libc::SOL_SOCKET.cast_unsigned();
const CORE: u32 = libc::RLIMIT_CORE;

/// Half of an argument, and what it is held against.
enum Test {
    /// The lower half is this: all that the kernel looks at, of a number.
    Is(u32, u32),
    /// A half of a pointer has something in it.
    Lower(u32),
    Upper(u32),
}

struct Rule {
    call: c_long,
    tests: &'static [Test],
    answer: u32,
}

const fn rule(call: c_long, tests: &'static [Test], answer: u32) -> Rule {
    Rule { call, tests, answer }
}

/// The first rule whose tests are all met is applied.
///
/// - The limit of core files stays 1, at which the kernel hands nothing to a program of
///   the host's (`do_coredump`, fs/coredump.c): at 0 it would. Setting it is refused where
///   the call requests the previous value, too, which would stay unanswered.
/// - Buffers of sockets keep the sizes that the sandbox's network has. The kernel, too,
///   cuts a request without an error (socket(7)), but at the host's `rmem_max`.
const RULES: &[Rule] = &[
    rule(libc::SYS_prlimit64, &[Test::Is(0, PID_ONE)], REFUSED),
    rule(libc::SYS_prlimit64, &[Test::Is(1, CORE), Test::Lower(2), Test::Lower(3)], REFUSED),
    rule(libc::SYS_prlimit64, &[Test::Is(1, CORE), Test::Lower(2), Test::Upper(3)], REFUSED),
    rule(libc::SYS_prlimit64, &[Test::Is(1, CORE), Test::Upper(2), Test::Lower(3)], REFUSED),
    rule(libc::SYS_prlimit64, &[Test::Is(1, CORE), Test::Upper(2), Test::Upper(3)], REFUSED),
    rule(libc::SYS_prlimit64, &[Test::Is(1, CORE), Test::Lower(2)], DONE),
    rule(libc::SYS_prlimit64, &[Test::Is(1, CORE), Test::Upper(2)], DONE),
    rule(libc::SYS_setrlimit, &[Test::Is(0, CORE)], DONE),
    rule(libc::SYS_setpriority, &[Test::Is(1, PID_ONE)], REFUSED),
    rule(libc::SYS_setpriority, &[Test::Is(0, EVERYBODY_OF_A_USER)], REFUSED),
    rule(libc::SYS_ioprio_set, &[Test::Is(1, PID_ONE)], REFUSED),
    rule(libc::SYS_ioprio_set, &[Test::Is(0, IOPRIO_WHO_USER)], REFUSED),
    rule(libc::SYS_sched_setaffinity, &[Test::Is(0, PID_ONE)], REFUSED),
    rule(libc::SYS_sched_setattr, &[Test::Is(0, PID_ONE)], REFUSED),
    rule(libc::SYS_sched_setparam, &[Test::Is(0, PID_ONE)], REFUSED),
    rule(libc::SYS_sched_setscheduler, &[Test::Is(0, PID_ONE)], REFUSED),
    rule(libc::SYS_setsockopt, &[Test::Is(1, SOCKET), option(libc::SO_SNDBUF)], DONE),
    rule(libc::SYS_setsockopt, &[Test::Is(1, SOCKET), option(libc::SO_RCVBUF)], DONE),
];

const fn option(name: c_int) -> Test {
    Test::Is(2, name.cast_unsigned())
}

/// Puts this process, and all that it starts, behind the filter for good.
///
/// # Errors
/// The kernel's, when it has no filters or takes none.
pub(crate) fn install() -> io::Result<()> {
    // Without it a filter needs a capability (seccomp(2)). Engines set it as well.
    prctl::set_no_new_privs()?;
    let mut program = program();
    let length = c_ushort::try_from(program.len()).map_err(io::Error::other)?;
    let program = sock_fprog { len: length, filter: program.as_mut_ptr() };
    let mode = c_ulong::from(libc::SECCOMP_MODE_FILTER);
    // SAFETY: the program and what it points to are valid during the call, which copies it.
    let answer = unsafe { libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const program) };
    Errno::result(answer)?;
    Ok(())
}

fn program() -> Vec<sock_filter> {
    let mut program: Vec<_> = RULES.iter().flat_map(block).collect();
    program.push(answer(libc::SECCOMP_RET_ALLOW));
    program
}

/// A rule's instructions: a condition that does not hold jumps over them.
fn block(rule: &Rule) -> Vec<sock_filter> {
    let call = u32::try_from(rule.call).unwrap_or(u32::MAX);
    // The number of the call is the first word of what a filter reads.
    let mut tests = vec![(0, call, true)];
    tests.extend(rule.tests.iter().map(|test| match *test {
        Test::Is(argument, value) => (word(argument), value, true),
        Test::Lower(argument) => (word(argument), 0, false),
        Test::Upper(argument) => (word(argument) + 4, 0, false),
    }));
    let mut block = Vec::new();
    for (place, (word, value, is_equal)) in tests.iter().enumerate() {
        // What is left of the tests, and the answer.
        let rest = u8::try_from(2 * (tests.len() - 1 - place) + 1).unwrap_or(u8::MAX);
        let (equal, other) = if *is_equal { (0, rest) } else { (rest, 0) };
        block.push(load(*word));
        block.push(jump(*value, equal, other));
    }
    block.push(answer(libc::SECCOMP_RET_ERRNO | rule.answer));
    block
}

/// Offset of an argument's lower half in `struct seccomp_data` (linux/seccomp.h).
const fn word(argument: u32) -> u32 {
    16 + 8 * argument
}

const fn load(at: u32) -> sock_filter {
    instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, at)
}

/// Jumps over this many instructions if the word is `value`, and if it is not.
const fn jump(value: u32, equal: u8, other: u8) -> sock_filter {
    instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, equal, other, value)
}

const fn answer(value: u32) -> sock_filter {
    instruction(libc::BPF_RET | libc::BPF_K, 0, 0, value)
}

#[allow(clippy::cast_possible_truncation, reason = "codes have 16 bits (bpf(4))")]
const fn instruction(code: u32, jt: u8, jf: u8, k: u32) -> sock_filter {
    sock_filter { code: code as u16, jt, jf, k }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::wait::{WaitStatus, waitpid};
    use nix::unistd::{ForkResult, fork};

    type Call = (c_long, [u64; 5]);

    /// The number of the error that each call ends with behind the filter.
    fn errors<const N: usize>(calls: [Call; N]) -> [i32; N] {
        calls.map(|(number, a)| {
            // SAFETY: the child makes system calls only.
            match unsafe { fork() }.unwrap() {
                ForkResult::Child => {
                    if install().is_err() {
                        // SAFETY: ends the child.
                        unsafe { libc::_exit(255) }
                    }
                    // SAFETY: no pointer among the arguments is one.
                    let answer = unsafe { libc::syscall(number, a[0], a[1], a[2], a[3], a[4]) };
                    let error = if answer < 0 { Errno::last_raw() } else { 0 };
                    // SAFETY: ends the child.
                    unsafe { libc::_exit(error) }
                }
                ForkResult::Parent { child } => match waitpid(child, None).unwrap() {
                    WaitStatus::Exited(_, error) => error,
                    other => panic!("{other:?}"),
                },
            }
        })
    }

    #[test]
    fn nobody_reaches_pid_one_whatever_its_number_is_written_as() {
        let alias = (7 << 32) | 1;
        for pid in [1, alias] {
            let found = errors([
                (libc::SYS_prlimit64, [pid, 0, 0, 0, 0]),
                (libc::SYS_setpriority, [0, pid, 5, 0, 0]),
                (libc::SYS_setpriority, [1, pid, 5, 0, 0]),
                (libc::SYS_ioprio_set, [1, pid, 0, 0, 0]),
                (libc::SYS_sched_setaffinity, [pid, 0, 0, 0, 0]),
                (libc::SYS_sched_setattr, [pid, 0, 0, 0, 0]),
                (libc::SYS_sched_setparam, [pid, 0, 0, 0, 0]),
                (libc::SYS_sched_setscheduler, [pid, 0, 0, 0, 0]),
            ]);
            assert_eq!(found, [libc::EPERM; 8], "{pid:#x}");
        }
        let of_user =
            [(libc::SYS_setpriority, [2, 0, 5, 0, 0]), (libc::SYS_ioprio_set, [3, 0, 0, 0, 0])];
        assert_eq!(errors(of_user), [libc::EPERM; 2]);
    }

    #[test]
    fn everybody_else_is_left_to_the_kernel() {
        // Nobody has this number, and 0 is oneself.
        for (pid, error) in [(0x3fff_ffff, libc::ESRCH), (0x4000_0000, libc::ESRCH), (0, 0)] {
            let found = errors([
                (libc::SYS_prlimit64, [pid, 0, 0, 0, 0]),
                (libc::SYS_setpriority, [0, pid, 5, 0, 0]),
                (libc::SYS_ioprio_set, [1, pid, 0, 0, 0]),
            ]);
            assert_eq!(found, [error; 3], "{pid:#x}");
        }
    }

    #[test]
    fn what_is_only_answered_is_not_done() {
        // Nothing is at the addresses that these point to: reading there would fail.
        let nowhere = 16;
        let core = u64::from(CORE);
        let size = |option: c_int| [0, u64::from(SOCKET), option.cast_unsigned().into(), 0, 0];
        let found = errors([
            (libc::SYS_setrlimit, [core, nowhere, 0, 0, 0]),
            (libc::SYS_prlimit64, [0, core, nowhere, 0, 0]),
            (libc::SYS_prlimit64, [0, core, 1 << 40, 0, 0]),
            (libc::SYS_setsockopt, size(libc::SO_RCVBUF)),
            (libc::SYS_setsockopt, size(libc::SO_SNDBUF)),
        ]);
        assert_eq!(found, [0; 5]);
        let found = errors([
            (libc::SYS_setrlimit, [core + 1, nowhere, 0, 0, 0]),
            (libc::SYS_prlimit64, [0, core, 0, nowhere, 0]),
        ]);
        assert_eq!(found, [libc::EFAULT; 2], "other limits are set, and this one is read");
        let both = |new: u64, old: u64| (libc::SYS_prlimit64, [0, core, new, old, 0]);
        let found =
            errors([both(16, 16), both(1 << 40, 16), both(16, 1 << 40), both(1 << 40, 1 << 40)]);
        assert_eq!(found, [libc::EPERM; 4]);
    }
}
