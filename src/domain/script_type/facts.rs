//! Facts about one script type. A type states them in its folder, and nothing else knows
//! them: the rest of Gantry asks the methods of [`super::ScriptType`].

use super::shebang::ShebangError;
use crate::domain::elf::{Architecture, ElfError};

/// Everything in which script types differ.
pub(super) struct Facts {
    /// Name in the API, in the database, on the command line and in image tags.
    pub(super) name: &'static str,
    /// Signs that tell a file of this type.
    pub(super) signs: Signs,
    /// File name of a source that was sent without one.
    pub(super) file_name: &'static str,
    /// Form of the file, which decides how it is launched.
    pub(super) form: Form,
    /// Variables that make a script behave well in a pipe.
    pub(super) variables: &'static [(&'static str, &'static str)],
    /// Rules of an interpreter that can wait for a request; `None` for types without one.
    pub(super) stand_by: Option<StandByRules>,
    /// True if scripts run in Python: they take a version of it, requirements, and modules
    /// to preload.
    pub(super) has_python: bool,
    /// Content of the type's image.
    pub(super) image: ImageFiles,
}

/// Signs that tell a file of a type. A file without a sign of any type is a shell script.
pub(super) struct Signs {
    /// First bytes of every file of the type. They count more than the other signs.
    pub(super) magic: Option<&'static [u8]>,
    /// Ends of file names.
    pub(super) extensions: &'static [&'static str],
    /// Names of interpreters in `#!` lines.
    pub(super) interpreters: &'static [&'static str],
}

/// Form of a script's file.
pub(super) enum Form {
    /// Text that an interpreter of the image reads; it runs on every architecture.
    Text(Text),
    /// Program that the kernel executes.
    Program {
        /// Checks that an engine of an architecture can run it.
        check_runs_on: fn(&[u8], Architecture) -> Result<(), ElfError>,
    },
}

/// Rules for a text and its interpreter.
pub(super) struct Text {
    /// Interpreter and its options, for the bytes of a script. The flag is true if the image
    /// has an environment of its own.
    pub(super) interpreter: fn(&[u8], bool) -> Vec<String>,
    /// Checks that Gantry can honour the `#!` line.
    pub(super) check_shebang: fn(&[u8]) -> Result<(), ShebangError>,
    /// Bytes that are run, if they differ from those of the file.
    pub(super) repaired: fn(&[u8]) -> Option<Vec<u8>>,
    /// Words after the interpreter that run a file of a bundle, by its path in the bundle.
    pub(super) in_bundle: fn(&str) -> Vec<String>,
    /// Arguments that have the interpreter run nothing, which only fills caches.
    pub(super) rehearsal: fn(&[String]) -> &'static [&'static str],
}

/// Rules of an interpreter that parses a script and imports its modules before the request.
pub(in crate::domain) struct StandByRules {
    /// Checks that the interpreter would wait, with its options.
    pub(in crate::domain) check: fn(&[String]) -> Result<(), &'static str>,
    /// Variables that let it wait; the script does not see them.
    pub(in crate::domain) env: &'static [(&'static str, &'static str)],
}

/// Files that the image of a script type is built from.
#[derive(Debug, Clone, Copy)]
pub struct ImageFiles {
    /// The Dockerfile. It copies PID 1, `/etc/hosts` and the files below.
    pub dockerfile: &'static str,
    /// Names and contents of other files that it copies.
    pub files: &'static [(&'static str, &'static str)],
}
