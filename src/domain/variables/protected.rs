//! Names that must not be set, and why.

use std::fmt;

/// Why a name is not to be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProtectedGroup {
    /// The dynamic loader and the C library load code or files that it names.
    Loader,
    /// A shell runs or reads what it names, or splits words by it.
    Shell,
    /// An interpreter or runtime loads code or options from it.
    Interpreter,
    /// A tool runs commands that it names.
    Tool,
    /// The package installers' settings, which belong to the server.
    Installer,
    /// Gantry sets it.
    Reserved,
}

impl fmt::Display for ProtectedGroup {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Loader => "it steers the loader or the C library",
            Self::Shell => "it steers the shell",
            Self::Interpreter => "it steers an interpreter",
            Self::Tool => "it makes a tool run other commands",
            Self::Installer => "it steers the package installer",
            Self::Reserved => "Gantry sets it",
        })
    }
}

/// Names that are refused; a `*` at the end stands for anything.
///
/// `TMPDIR`, which glibc lists too, is allowed: it only matters to programs with
/// more rights than their caller, and a sandbox has none of those.
const PROTECTED: &[(ProtectedGroup, &[&str])] = &[
    // ld.so(8), and what glibc itself distrusts (sysdeps/generic/unsecvars.h).
    // OpenSSL's and OpenMP's name shared objects to load.
    (
        ProtectedGroup::Loader,
        &[
            "LD_*",
            "GLIBC_TUNABLES",
            "MALLOC_*",
            "GCONV_PATH",
            "GETCONF_DIR",
            "LOCPATH",
            "NLSPATH",
            "HOSTALIASES",
            "LOCALDOMAIN",
            "NIS_PATH",
            "RESOLV_HOST_CONF",
            "RES_OPTIONS",
            "TZDIR",
            "OPENSSL_CONF",
            "OPENSSL_ENGINES",
            "OPENSSL_MODULES",
            "OMP_TOOL_LIBRARIES",
        ],
    ),
    // bash(1), "Shell Variables" and "Invocation": where commands are found, what
    // is sourced at the start, which options are on, what a prompt or trace runs,
    // how words are split. `BASH_*` holds BASH_ENV, BASH_FUNC_…, BASH_LOADABLES_PATH.
    (
        ProtectedGroup::Shell,
        &[
            "PATH",
            "IFS",
            "ENV",
            "BASH_*",
            "BASHOPTS",
            "SHELLOPTS",
            "POSIXLY_CORRECT",
            "PS4",
            "PROMPT_COMMAND",
            "CDPATH",
            "GLOBIGNORE",
            "FIGNORE",
            "EXECIGNORE",
        ],
    ),
    // Code and options that interpreters of the images, or of a script's system
    // packages, load before the script's first line.
    (
        ProtectedGroup::Interpreter,
        &[
            "PYTHON*",
            "PERL5*",
            "PERLLIB",
            "PERL_*",
            "RUBYOPT",
            "RUBYLIB",
            "NODE_OPTIONS",
            "NODE_PATH",
            "LUA_INIT*",
            "LUA_PATH*",
            "LUA_CPATH*",
            "AWKPATH",
            "AWKLIBPATH",
            "JAVA_TOOL_OPTIONS",
            "JDK_JAVA_OPTIONS",
            "_JAVA_OPTIONS",
            "CLASSPATH",
            "PHPRC",
            "PHP_INI_SCAN_DIR",
            "R_PROFILE*",
            "R_ENVIRON*",
        ],
    ),
    // Commands in variables: git(1) "Environment Variables", less(1), man pages
    // of tools that start an editor, a pager or a browser.
    (
        ProtectedGroup::Tool,
        &[
            "GIT_SSH*",
            "GIT_CONFIG*",
            "GIT_EXEC_PATH",
            "GIT_EXTERNAL_DIFF",
            "GIT_ASKPASS",
            "GIT_EDITOR",
            "GIT_SEQUENCE_EDITOR",
            "GIT_PAGER",
            "GIT_PROXY_COMMAND",
            "GIT_TEMPLATE_DIR",
            "SSH_ASKPASS*",
            "LESSOPEN",
            "LESSCLOSE",
            "EDITOR",
            "VISUAL",
            "PAGER",
            "BROWSER",
        ],
    ),
    // Index and certificates of the server must not be turned elsewhere.
    (ProtectedGroup::Installer, &["UV_*", "PIP_*"]),
    // What a script sees of its execution, and who it runs as.
    (
        ProtectedGroup::Reserved,
        &[
            "SCRIPT_ID",
            "SCRIPT_NAME",
            "EXECUTION_ID",
            "JOB_ID",
            "GANTRY_*",
            "HOME",
            "USER",
            "LOGNAME",
        ],
    ),
];

/// Names that a pattern meets, and that hold nothing but a number.
const NUMBERS: [&str; 1] = ["PYTHON_CPU_COUNT"];

/// Why `name` is not to be set, if so. Case counts, as it does for those who
/// read the variables.
#[must_use]
pub fn protected_group(name: &str) -> Option<ProtectedGroup> {
    if NUMBERS.contains(&name) {
        return None;
    }
    find(|pattern| matches(pattern, name))
}

/// The reason that no name which begins with `prefix` may be set, if so.
pub(super) fn always_protected(prefix: &str) -> Option<ProtectedGroup> {
    find(|pattern| pattern.strip_suffix('*').is_some_and(|it| prefix.starts_with(it)))
}

fn find(is_met: impl Fn(&str) -> bool) -> Option<ProtectedGroup> {
    let group = PROTECTED.iter().find(|(_, patterns)| patterns.iter().any(|it| is_met(it)));
    group.map(|(group, _)| *group)
}

/// True when a pattern, which may end with a `*`, is met by a name.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => name == pattern,
    }
}
