//! Compiled ELF executables, of any language.

use super::facts::{Facts, Form, ImageFiles, Signs};
use crate::domain::elf::{Architecture, ElfError, ElfInfo};

/// First bytes of an ELF file (System V ABI, "ELF Identification").
const ELF_MAGIC: &[u8] = b"\x7fELF";

/// Facts about compiled programs.
pub(super) static FACTS: Facts = Facts {
    name: "binary",
    signs: Signs { magic: Some(ELF_MAGIC), extensions: &[], interpreters: &[] },
    file_name: "script",
    form: Form::Program { check_runs_on },
    variables: &[],
    stand_by: None,
    has_python: false,
    image: ImageFiles {
        dockerfile: include_str!("../../../../images/binary/Dockerfile"),
        files: &[],
    },
};

fn check_runs_on(bytes: &[u8], architecture: Architecture) -> Result<(), ElfError> {
    ElfInfo::parse(bytes)?.check_runnable(architecture)
}
