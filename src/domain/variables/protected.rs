//! Names of variables that must not be set, and the reasons.

use std::fmt;

/// Reason why a name must not be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProtectedGroup {
    /// The dynamic loader and the C library load code or files that it names.
    Loader,
    /// A shell runs or reads a file that it names, or splits words by it.
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

/// Protected names; a `*` at the end matches anything.
///
/// `TMPDIR`, which glibc lists too, is allowed: it only matters to programs with
/// more rights than their caller, and a sandbox has none of those.
const PROTECTED: &[(ProtectedGroup, &[&str])] = &[
    // ld.so(8), and the names that glibc itself distrusts (sysdeps/generic/unsecvars.h).
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
    // bash(1), "Shell Variables" and "Invocation": search paths, files that are sourced at
    // the start, options, commands in prompts and traces, word splitting. `BASH_*` covers
    // BASH_ENV, BASH_FUNC_…, BASH_LOADABLES_PATH.
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
    // Requests must not redirect the server's index and certificates.
    (ProtectedGroup::Installer, &["UV_*", "PIP_*"]),
    // Facts about the execution, and its user.
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

/// Names that match a pattern but hold only a number.
const NUMBERS: [&str; 1] = ["PYTHON_CPU_COUNT"];

/// Reason why `name` must not be set, if any. Names are case-sensitive, as for their
/// readers.
#[must_use]
pub fn protected_group(name: &str) -> Option<ProtectedGroup> {
    if NUMBERS.contains(&name) {
        return None;
    }
    find(|pattern| matches(pattern, name))
}

/// Reason why no name with this `prefix` may be set, if any.
pub(super) fn always_protected(prefix: &str) -> Option<ProtectedGroup> {
    find(|pattern| pattern.strip_suffix('*').is_some_and(|it| prefix.starts_with(it)))
}

fn find(is_met: impl Fn(&str) -> bool) -> Option<ProtectedGroup> {
    let group = PROTECTED.iter().find(|(_, patterns)| patterns.iter().any(|it| is_met(it)));
    group.map(|(group, _)| *group)
}

/// True if a name matches a pattern, which may end with a `*`.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => name == pattern,
    }
}
