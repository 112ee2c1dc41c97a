use super::read::DF_1_PIE;
use super::*;
use proptest::prelude::*;

const HEADER: usize = 64;
const SEGMENT: usize = 56;

/// A minimal 64-bit little-endian ELF file.
struct Sample {
    machine: u16,
    kind: u16,
    entry: u64,
    interpreter: Option<&'static str>,
    dynamic: Vec<(u64, u64)>,
}

impl Sample {
    fn new() -> Self {
        Self { machine: 62, kind: 2, entry: 0x1000, interpreter: None, dynamic: Vec::new() }
    }

    fn bytes(&self) -> Vec<u8> {
        let interpreter = self.interpreter.map(|path| [path.as_bytes(), b"\0"].concat());
        let dynamic: Vec<u8> = self
            .dynamic
            .iter()
            .flat_map(|(tag, value)| [*tag, *value])
            .flat_map(u64::to_le_bytes)
            .collect();
        let mut bodies = Vec::new();
        bodies.extend(interpreter.map(|body| (3_u32, body)));
        bodies.extend((!dynamic.is_empty()).then_some((2_u32, dynamic)));

        let mut file = b"\x7fELF\x02\x01\x01".to_vec();
        file.resize(16, 0);
        file.extend(self.kind.to_le_bytes());
        file.extend(self.machine.to_le_bytes());
        file.extend(1_u32.to_le_bytes());
        file.extend(self.entry.to_le_bytes());
        file.extend((HEADER as u64).to_le_bytes());
        file.extend(0_u64.to_le_bytes());
        file.extend(0_u32.to_le_bytes());
        for half in [HEADER, SEGMENT, bodies.len(), 0, 0, 0] {
            file.extend((half as u16).to_le_bytes());
        }
        let mut offset = (HEADER + SEGMENT * bodies.len()) as u64;
        for (kind, body) in &bodies {
            let size = body.len() as u64;
            file.extend(kind.to_le_bytes());
            file.extend(4_u32.to_le_bytes());
            for word in [offset, offset, offset, size, size, 1] {
                file.extend(word.to_le_bytes());
            }
            offset += size;
        }
        file.extend(bodies.into_iter().flat_map(|(_, body)| body));
        file
    }

    fn check(&self) -> Result<(), ElfError> {
        ElfInfo::parse(&self.bytes()).unwrap().check_runnable(Architecture::X86_64)
    }
}

#[test]
fn a_static_executable_runs() {
    assert_eq!(Sample::new().check(), Ok(()));
}

#[test]
fn a_dynamic_executable_runs_with_the_loader_of_the_image() {
    let interpreter = Some("/lib64/ld-linux-x86-64.so.2");
    assert_eq!(Sample { interpreter, ..Sample::new() }.check(), Ok(()));
    assert_eq!(Sample { interpreter, kind: 3, entry: 0, ..Sample::new() }.check(), Ok(()));
}

#[test]
fn another_loader_is_named() {
    let interpreter = Some("/lib/ld-musl-x86_64.so.1");
    let error = Sample { interpreter, ..Sample::new() }.check().unwrap_err();
    assert_eq!(
        error.to_string(),
        "binary needs the loader \"/lib/ld-musl-x86_64.so.1\", which is not in the image"
    );
    assert!(error.hint().unwrap().contains("statically"));
    let interpreter = Some("/lib/ld-linux-aarch64.so.1");
    assert!(Sample { interpreter, ..Sample::new() }.check().is_err());
}

#[test]
fn another_architecture_is_named() {
    let error = Sample { machine: 183, ..Sample::new() }.check().unwrap_err();
    assert_eq!(error.to_string(), "binary is for aarch64, this engine runs x86_64");
    let error = Sample { machine: 4711, ..Sample::new() }.check().unwrap_err();
    assert!(error.to_string().starts_with("binary is for ELF machine 4711"));
    let sample = ElfInfo::parse(&Sample { machine: 183, ..Sample::new() }.bytes()).unwrap();
    assert_eq!(sample.check_runnable(Architecture::Aarch64), Ok(()));
}

#[test]
fn other_widths_and_byte_orders_are_named() {
    let native = ElfInfo::parse(&Sample::new().bytes()).unwrap();
    let x32 = ElfInfo { class: Class::Bits32, ..native.clone() };
    let error = x32.check_runnable(Architecture::X86_64).unwrap_err();
    assert!(error.to_string().contains("32-bit x86_64"));
    let big = ElfInfo { is_little_endian: false, ..native };
    assert!(big.check_runnable(Architecture::X86_64).is_err());
}

#[test]
fn a_static_pie_runs_and_a_library_does_not() {
    const FLAGS_1: u64 = 0x6fff_fffb;
    let pie = vec![(FLAGS_1, DF_1_PIE), (0, 0)];
    let library = vec![(14, 1), (0, 0)];
    let after_the_end = vec![(0, 0), (14, 1)];
    assert_eq!(Sample { kind: 3, dynamic: pie, ..Sample::new() }.check(), Ok(()));
    assert_eq!(Sample { kind: 3, dynamic: after_the_end, ..Sample::new() }.check(), Ok(()));
    let refused = Err(ElfError::NotExecutable(Kind::SharedLibrary));
    assert_eq!(Sample { kind: 3, dynamic: library, ..Sample::new() }.check(), refused);
    assert_eq!(Sample { kind: 3, entry: 0, ..Sample::new() }.check(), refused);
}

#[test]
fn what_is_no_executable_is_named() {
    for (kind, words) in [(1, "object file"), (4, "core dump"), (0, "unknown type")] {
        let error = Sample { kind, ..Sample::new() }.check().unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn this_test_itself_is_understood() {
    let bytes = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    let elf = ElfInfo::parse(&bytes).unwrap();
    let here = Architecture::from_engine(std::env::consts::ARCH).unwrap();
    assert_eq!(elf.machine, Machine::Known(here));
    assert_eq!(elf.check_runnable(here), Ok(()));
}

#[test]
fn what_is_not_elf_is_refused() {
    assert_eq!(ElfInfo::parse(b""), Err(ElfError::NotElf));
    assert_eq!(ElfInfo::parse(b"#!/bin/sh\n"), Err(ElfError::NotElf));
    assert!(matches!(ElfInfo::parse(b"\x7fELF\x02\x01\x01"), Err(ElfError::Damaged(_))));
}

#[test]
fn a_file_cut_short_is_damaged() {
    let whole = Sample { interpreter: Some("/lib64/x"), ..Sample::new() }.bytes();
    for length in 4..whole.len() {
        assert!(matches!(ElfInfo::parse(&whole[..length]), Err(ElfError::Damaged(_))), "{length}");
    }
}

#[test]
fn bytes_need_not_be_aligned() {
    let shifted = [vec![0], Sample::new().bytes()].concat();
    assert!(ElfInfo::parse(&shifted[1..]).is_ok());
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(mut bytes in any::<Vec<u8>>(), has_magic in any::<bool>()) {
        if has_magic {
            bytes.splice(0..0, *b"\x7fELF\x02\x01\x01");
        }
        let _ = ElfInfo::parse(&bytes).map(|elf| elf.check_runnable(Architecture::X86_64));
    }

    #[test]
    fn any_mutation_is_read_or_refused(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        words in prop::collection::vec((any::<prop::sample::Index>(), any::<u64>()), 0..3),
        cut in any::<prop::sample::Index>(),
    ) {
        let dynamic = vec![(14, 1), (0x6fff_fffb, DF_1_PIE), (0, 0)];
        let mut bytes = Sample { interpreter: Some("/lib64/x"), dynamic, ..Sample::new() }.bytes();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        for (at, word) in words {
            let at = at.index(bytes.len() - 8);
            bytes[at..at + 8].copy_from_slice(&word.to_le_bytes());
        }
        bytes.truncate(bytes.len() - cut.index(bytes.len()) / 4);
        let _ = ElfInfo::parse(&bytes).map(|elf| elf.check_runnable(Architecture::X86_64));
    }
}

#[test]
fn mutations_of_a_real_file_are_read_or_refused() {
    let mut bytes = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    for at in 0..1024 {
        let original = bytes[at];
        for byte in [0, 1, 0x7f, 0x80, 0xff, original ^ 1] {
            bytes[at] = byte;
            let _ = ElfInfo::parse(&bytes).map(|elf| elf.check_runnable(Architecture::X86_64));
        }
        bytes[at] = original;
    }
}
