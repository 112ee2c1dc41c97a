//! Checks URLs in requirements, where the policy allows them.

use super::LineFault;

/// Checks that a URL may reach the installer: one of `schemes`, a host, printable ASCII, no
/// credentials (they would stay in records and images), and no `$`: installers replace
/// `${NAME}` from the build's environment, which would send the server's own settings to
/// any host.
///
/// # Errors
/// [`LineFault::UnusableUrl`] and [`LineFault::LocalPath`].
pub(super) fn check_url(url: &str, schemes: &[&str]) -> Result<(), LineFault> {
    let Some((scheme, rest)) = url.split_once("://") else {
        return Err(LineFault::LocalPath);
    };
    if scheme.eq_ignore_ascii_case("file") {
        return Err(LineFault::LocalPath);
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let reason = if !schemes.contains(&scheme) {
        "its scheme"
    } else if authority.is_empty() {
        "no host"
    } else if authority.contains('@') {
        "it has credentials"
    } else if url.contains('$') {
        "it has a variable"
    } else if !url.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"'`\\<>".contains(&byte)) {
        "characters that do not belong there"
    } else {
        return Ok(());
    };
    Err(LineFault::UnusableUrl(reason))
}

/// True if a word is a URL, or a version control system's form of one.
pub(super) fn is_url(word: &str) -> bool {
    word.contains("://") || ["git+", "hg+", "svn+", "bzr+"].iter().any(|vcs| word.starts_with(vcs))
}

/// Endings of package files.
const ARCHIVES: [&str; 6] = [".whl", ".zip", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz"];

/// True if a word is a path or the name of an archive.
pub(super) fn is_local_path(word: &str) -> bool {
    let lowercase = word.to_ascii_lowercase();
    word.starts_with('.')
        || word.contains(['/', '\\'])
        || ARCHIVES.iter().any(|ending| lowercase.ends_with(ending))
}
