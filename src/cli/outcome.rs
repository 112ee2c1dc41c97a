//! Exit codes of the commands that run a script, here or on a server: the script's code,
//! or the one that stands for its end.

use crate::domain::outcome::Status;

/// Gantry itself has failed, and not the script; as `docker run` has it.
pub(super) const GANTRY_FAILED: u8 = 125;

/// The time limit was reached; as timeout(1) has it.
const TIMED_OUT: u8 = 124;

/// Offset that a shell adds to the number of the signal that ended a program.
const SIGNAL_BASE: u8 = 128;

/// SIGINT (signal(7)): what a cancelled run ends with is 128 + 2.
pub(super) const INTERRUPTED: u8 = SIGNAL_BASE + 2;

/// The script ended well, and did not leave the output that it promised.
const INVALID_OUTPUT: u8 = 1;

/// The script's code, or what stands for its end.
pub(super) fn exit_code(status: Status, code: Option<i32>, signal: Option<i32>) -> u8 {
    match (status, code, signal) {
        (Status::Completed, ..) => 0,
        (Status::Timeout, ..) => TIMED_OUT,
        (Status::Cancelled, ..) => INTERRUPTED,
        (Status::Failed, _, Some(signal)) => {
            u8::try_from(signal).map_or(GANTRY_FAILED, |signal| SIGNAL_BASE.saturating_add(signal))
        }
        (Status::Failed, Some(0), None) => INVALID_OUTPUT,
        (Status::Failed, Some(code), None) => {
            // The kernel keeps eight bits of an exit code.
            u8::try_from(code & 0xff).unwrap_or(GANTRY_FAILED)
        }
        (Status::Failed, None, None) => GANTRY_FAILED,
    }
}

/// True for an exit code of the script's own: neither a signal's nor one that a shell
/// would give for what it can't start.
pub(super) fn is_own_word(code: i32) -> bool {
    !matches!(code, -1 | 0 | 126 | 127)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_has_its_code() {
        for (status, code, signal, expected) in [
            (Status::Completed, Some(0), None, 0),
            (Status::Timeout, Some(-1), Some(9), 124),
            (Status::Cancelled, None, None, 130),
            (Status::Failed, Some(7), None, 7),
            (Status::Failed, Some(-1), Some(9), 137),
            (Status::Failed, Some(-1), None, 255),
            (Status::Failed, Some(0), None, 1),
            (Status::Failed, None, None, 125),
            (Status::Failed, Some(-1), Some(1_000), 125),
        ] {
            assert_eq!(exit_code(status, code, signal), expected, "{status:?} {code:?} {signal:?}");
        }
    }
}
