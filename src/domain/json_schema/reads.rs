//! Bound on the reads of a validation. A schema of a few lines can make a validator read a
//! document more often than time allows, or recurse deeper than the stack; both are stopped
//! here.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Most stack that a validation may use, in bytes (1 MiB): half of the smallest of our
/// threads' stacks (2 MiB, the default of the standard library and of tokio).
const MAX_STACK_BYTES: usize = 1024 * 1024;

thread_local! {
    /// Reads that are left.
    static LEFT: Cell<u64> = const { Cell::new(0) };
    /// Stack pointer at the start of the validation.
    static TOP: Cell<usize> = const { Cell::new(0) };
}

/// Marks a validation that was stopped.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Exhausted;

/// Runs a validation that may read its document at most `reads` times.
pub(super) fn within<T>(reads: u64, validation: impl FnOnce() -> T) -> Result<T, Exhausted> {
    LEFT.set(reads);
    TOP.set(stack_pointer());
    // Unwinding is the only way to stop the validator. Its state is dropped. A panic of the
    // validator counts as no answer, too.
    catch_unwind(AssertUnwindSafe(validation)).map_err(|_| Exhausted)
}

/// Counts reads, and stops the validation after too many.
pub(super) fn count(reads: u64) {
    let left = LEFT.get().checked_sub(reads);
    let depth = TOP.get().abs_diff(stack_pointer());
    match left.filter(|_| depth < MAX_STACK_BYTES) {
        Some(left) => LEFT.set(left),
        // Unwinds without a message: this is not a panic.
        None => resume_unwind(Box::new(Exhausted)),
    }
}

/// Reads that the last validation of this thread had left.
#[cfg(test)]
pub(super) fn left() -> u64 {
    LEFT.get()
}

/// Approximate stack pointer.
#[inline(never)]
fn stack_pointer() -> usize {
    let here = 0_u8;
    std::ptr::from_ref(std::hint::black_box(&here)).addr()
}
