//! Machine architectures.

use std::fmt;

use object::elf;
use serde::{Deserialize, Serialize};

/// Architecture of an engine's machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Architecture {
    /// 64-bit x86, `amd64` in image references.
    #[serde(rename = "x86_64")]
    X86_64,
    /// 64-bit ARM, `arm64` in image references.
    Aarch64,
}

impl Architecture {
    /// Parses the engine's name of an architecture: `x86_64` and `aarch64` in its info,
    /// `amd64` and `arm64` in image references.
    #[must_use]
    pub fn from_engine(name: &str) -> Option<Self> {
        match name {
            "x86_64" | "amd64" => Some(Self::X86_64),
            "aarch64" | "arm64" => Some(Self::Aarch64),
            _ => None,
        }
    }

    /// The kernel's name, as `uname -m` prints it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        }
    }

    /// Path of the only dynamic loader in the `binary` image: glibc's, as the
    /// architecture's ABI defines it.
    #[must_use]
    pub fn loader(self) -> &'static str {
        match self {
            Self::X86_64 => "/lib64/ld-linux-x86-64.so.2",
            Self::Aarch64 => "/lib/ld-linux-aarch64.so.1",
        }
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// Machine that a file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Machine {
    /// Architecture that Gantry runs on.
    Known(Architecture),
    /// Any other machine, by its number in `e_machine`.
    Other(u16),
}

impl fmt::Display for Machine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match *self {
            Self::Known(architecture) => architecture.name(),
            Self::Other(number) => match elf::Machine(number) {
                elf::EM_386 => "i386",
                elf::EM_ARM => "32-bit arm",
                elf::EM_PPC64 => "ppc64",
                elf::EM_RISCV => "riscv",
                elf::EM_S390 => "s390",
                _ => return write!(formatter, "ELF machine {number}"),
            },
        };
        formatter.write_str(name)
    }
}
