//! Reads ELF headers and checks that the `binary` image can run the file. The check runs
//! before anything starts, because the kernel's own errors ("exec format error", "no such
//! file or directory" for a missing loader) do not name the cause. The bytes are hostile:
//! `object` checks every offset.

mod machine;
mod read;

use std::fmt;

use object::elf::{self, FileHeader32, FileHeader64};
use object::{Endianness, FileKind};
use thiserror::Error;

use super::sanitize::sanitize;
use read::read;

pub use machine::{Architecture, Machine};

/// Width of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// `ELFCLASS32`.
    Bits32,
    /// `ELFCLASS64`.
    Bits64,
}

/// Kind of ELF file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `ET_EXEC`: executable at fixed addresses.
    Executable,
    /// `ET_DYN` that can be started: position-independent, dynamic or static.
    PositionIndependent,
    /// `ET_DYN` that can't be started: a library.
    SharedLibrary,
    /// `ET_REL`: an object file.
    Relocatable,
    /// `ET_CORE`: a memory dump.
    Core,
    /// Any other kind, by its number in `e_type`.
    Other(u16),
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Executable => "an executable",
            Self::PositionIndependent => "a position-independent executable",
            Self::SharedLibrary => "a shared library",
            Self::Relocatable => "an object file",
            Self::Core => "a core dump",
            Self::Other(_) => "an ELF file of unknown type",
        })
    }
}

/// Facts from an ELF file's headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ElfInfo {
    /// Machine that the file is for.
    pub machine: Machine,
    /// Width of addresses.
    pub class: Class,
    /// True if the lowest byte of a number comes first.
    pub is_little_endian: bool,
    /// Kind of file.
    pub kind: Kind,
    /// Dynamic loader that the file requests (`PT_INTERP`), with non-UTF-8 bytes replaced;
    /// `None` for a static executable.
    pub interpreter: Option<String>,
}

/// Reason why bytes can't be run as a binary.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ElfError {
    /// The ELF header is missing.
    #[error("not an ELF file")]
    NotElf,
    /// The header points outside the file.
    #[error("damaged ELF file: {0}")]
    Damaged(String),
    /// The file is for another machine than the engine's.
    #[error("binary is for {binary}, this engine runs {engine}")]
    WrongArchitecture {
        /// Machine of the file, with width or byte order where these differ.
        binary: String,
        /// Machine of the engine.
        engine: Architecture,
    },
    /// The file can't be started.
    #[error("file is {0}, not an executable")]
    NotExecutable(Kind),
    /// The image does not have the requested loader.
    #[error("binary needs the loader {0:?}, which is not in the image")]
    MissingLoader(String),
}

impl ElfError {
    /// Advice for the user.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotElf => Some("a script with a #! line is of type shell".to_owned()),
            Self::Damaged(_) => Some("copy the file again; part of it is missing".to_owned()),
            Self::WrongArchitecture { engine, .. } => Some(format!("compile it for {engine}")),
            Self::NotExecutable(_) => {
                Some("link it into a program with a main function".to_owned())
            }
            Self::MissingLoader(loader) if loader.contains("musl") => {
                Some("link it statically (-static) or against glibc instead of musl".to_owned())
            }
            Self::MissingLoader(_) => Some("link it statically or against glibc".to_owned()),
        }
    }
}

impl ElfInfo {
    /// Reads headers and loader of an ELF file; ignores its sections.
    ///
    /// # Errors
    /// [`ElfError::NotElf`] and [`ElfError::Damaged`]. Never panics.
    pub fn parse(bytes: &[u8]) -> Result<Self, ElfError> {
        if !bytes.starts_with(&elf::ELFMAG) {
            return Err(ElfError::NotElf);
        }
        match FileKind::parse(bytes) {
            Ok(FileKind::Elf32) => read::<FileHeader32<Endianness>>(bytes, Class::Bits32),
            Ok(FileKind::Elf64) => read::<FileHeader64<Endianness>>(bytes, Class::Bits64),
            _ => Err(ElfError::Damaged("its header is cut short or invalid".to_owned())),
        }
    }

    /// Checks that the `binary` image can run the file on this architecture. A static
    /// executable needs nothing from the image; a dynamic one needs its loader.
    ///
    /// # Errors
    /// [`ElfError::WrongArchitecture`], [`ElfError::NotExecutable`],
    /// [`ElfError::MissingLoader`].
    pub fn check_runnable(&self, architecture: Architecture) -> Result<(), ElfError> {
        let is_native = self.machine == Machine::Known(architecture)
            && self.class == Class::Bits64
            && self.is_little_endian;
        if !is_native {
            let binary = self.describe_target();
            return Err(ElfError::WrongArchitecture { binary, engine: architecture });
        }
        if !matches!(self.kind, Kind::Executable | Kind::PositionIndependent) {
            return Err(ElfError::NotExecutable(self.kind));
        }
        match self.interpreter.as_deref() {
            Some(loader) if loader != architecture.loader() => {
                Err(ElfError::MissingLoader(sanitize(loader)))
            }
            _ => Ok(()),
        }
    }

    /// Names the machine and the property that excludes a known one: x32, 32 bits, or
    /// big-endian ARM.
    fn describe_target(&self) -> String {
        match self.machine {
            Machine::Known(known) if self.class == Class::Bits32 => format!("32-bit {known}"),
            Machine::Known(known) if !self.is_little_endian => format!("big-endian {known}"),
            machine => machine.to_string(),
        }
    }
}

#[cfg(test)]
mod tests;
