//! Reads headers and loader of an ELF file of either width.

use object::Endianness;
use object::elf;
use object::read::elf::{Dyn, FileHeader, ProgramHeader};

use super::{Architecture, Class, ElfError, ElfInfo, Kind, Machine};

/// Longest path of an interpreter, in bytes (`PATH_MAX`, limits.h); the kernel refuses
/// longer ones.
const MAX_INTERPRETER_BYTES: usize = 4096;

pub(super) fn read<Header>(bytes: &[u8], class: Class) -> Result<ElfInfo, ElfError>
where
    Header: FileHeader<Endian = Endianness>,
{
    let damaged = |error: object::read::Error| ElfError::Damaged(error.to_string());
    let header = Header::parse(bytes).map_err(damaged)?;
    let endian = header.endian().map_err(damaged)?;
    let mut interpreter = None;
    let mut dynamic = Dynamic::default();
    for segment in header.program_headers(endian, bytes).map_err(damaged)? {
        if let Some(path) = segment.interpreter(endian, bytes).map_err(damaged)? {
            if path.len() >= MAX_INTERPRETER_BYTES {
                return Err(ElfError::Damaged("the path of its loader is too long".to_owned()));
            }
            // Like the kernel, takes the first one (load_elf_binary).
            interpreter.get_or_insert_with(|| String::from_utf8_lossy(path).into_owned());
        }
        if let Some(entries) = segment.dynamic(endian, bytes).map_err(damaged)? {
            dynamic.read::<Header>(entries, endian);
        }
    }
    let has_entry = header.e_entry(endian).into() != 0;
    let is_startable = interpreter.is_some() || (has_entry && !dynamic.is_library());
    Ok(ElfInfo {
        machine: machine(header.e_machine(endian)),
        class,
        is_little_endian: header.is_little_endian(),
        kind: kind(header.e_type(endian), is_startable),
        interpreter,
    })
}

/// Dynamic section of a file without a loader. It alone distinguishes a static
/// position-independent executable from a library.
#[derive(Default)]
struct Dynamic {
    is_pie: bool,
    has_soname: bool,
}

impl Dynamic {
    fn read<Header>(&mut self, entries: &[Header::Dyn], endian: Endianness)
    where
        Header: FileHeader<Endian = Endianness>,
    {
        for entry in entries {
            match entry.tag(endian) {
                elf::DT_NULL => return,
                elf::DT_SONAME => self.has_soname = true,
                elf::DT_FLAGS_1 => self.is_pie |= entry.val(endian) & DF_1_PIE != 0,
                _ => {}
            }
        }
    }

    fn is_library(&self) -> bool {
        self.has_soname && !self.is_pie
    }
}

/// Flag that linkers set on every position-independent executable (binutils 2.26).
pub(super) const DF_1_PIE: u64 = 0x0800_0000;

fn machine(number: elf::Machine) -> Machine {
    match number {
        elf::EM_X86_64 => Machine::Known(Architecture::X86_64),
        elf::EM_AARCH64 => Machine::Known(Architecture::Aarch64),
        elf::Machine(number) => Machine::Other(number),
    }
}

fn kind(number: elf::FileType, is_startable: bool) -> Kind {
    match number {
        elf::ET_EXEC => Kind::Executable,
        elf::ET_DYN if is_startable => Kind::PositionIndependent,
        elf::ET_DYN => Kind::SharedLibrary,
        elf::ET_REL => Kind::Relocatable,
        elf::ET_CORE => Kind::Core,
        elf::FileType(number) => Kind::Other(number),
    }
}
