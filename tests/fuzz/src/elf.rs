//! Arbitrary bytes as a program.

use gantry::domain::elf::{Architecture, ElfError, ElfInfo, Kind};

/// What is read does not depend on what stands behind it; one machine at most runs
/// it; what is refused is refused shortly.
pub fn hold(bytes: &[u8]) -> bool {
    let info = match ElfInfo::parse(bytes) {
        Ok(info) => info,
        Err(error) => {
            assert_eq!(error == ElfError::NotElf, !bytes.starts_with(b"\x7fELF"));
            return is_explained(&error);
        }
    };
    let longer = [bytes, &[0xff; 64]].concat();
    assert_eq!(ElfInfo::parse(&longer).as_ref(), Ok(&info));
    // A byte that is no UTF-8 becomes a character of three.
    assert!(info.interpreter.as_ref().is_none_or(|path| path.len() <= 3 * 4_096));

    let runs_on = [Architecture::X86_64, Architecture::Aarch64].map(|machine| {
        let runs = info.check_runnable(machine);
        let is_startable = matches!(info.kind, Kind::Executable | Kind::PositionIndependent);
        assert!(runs.is_err() || is_startable);
        runs.map_or_else(|error| is_explained(&error), |()| true)
    });
    assert_ne!(runs_on, [true, true]);
    runs_on.contains(&true)
}

fn is_explained(error: &ElfError) -> bool {
    super::is_short(&error.to_string());
    assert!(error.hint().is_none_or(|hint| !hint.is_empty()));
    false
}
