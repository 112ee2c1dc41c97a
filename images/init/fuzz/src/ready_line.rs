//! Arbitrary bytes in place of the ready line of a process that stands by.

use gantry_init::frame::MAX_REPLY_PAYLOAD;
use gantry_init::message::Prepared;
use gantry_init::ready_line::{MAX_REASON, READY, Ready, ReadyLine};

/// Checks that the pieces make no difference; that no process is ready without a line
/// that begins with [`READY`]; and that the reason or remark is short and fits into a
/// frame.
pub fn hold(input: &[u8]) -> bool {
    let Some((&piece, said)) = input.split_first() else { return false };
    let verdict = read(said, said.len().max(1));
    assert_eq!(read(said, usize::from(piece) + 1), verdict);

    let line = said.split(|byte| *byte == b'\n').next().unwrap_or_default();
    assert!(verdict.is_err() || line.starts_with(READY.as_bytes()));
    let words = match &verdict {
        Err(reason) => Some(reason),
        Ok(ready) => ready.remark.as_ref(),
    };
    assert!(verdict.as_ref().err().is_none_or(|reason| !reason.is_empty()));
    if let Some(words) = words {
        // A byte that is no UTF-8 becomes a character of three.
        assert!(!words.contains('\n') && words.len() <= 3 * MAX_REASON);
        let answer = Prepared { unfit: Some(words.clone()), remark: None };
        let answer = serde_json::to_vec(&answer).expect("messages can be written");
        assert!(answer.len() <= MAX_REPLY_PAYLOAD);
    }
    verdict.is_ok()
}

/// Reads the line in pieces, until no more need to be read.
fn read(said: &[u8], piece: usize) -> Result<Ready, String> {
    let mut line = ReadyLine::default();
    let _is_all = said.chunks(piece).any(|piece| line.hears_all(piece));
    line.verdict()
}
