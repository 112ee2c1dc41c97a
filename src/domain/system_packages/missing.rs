//! Shared libraries that a script did not find, and the Debian packages that contain them.

/// Bytes at the end of a script's stderr that are searched for the dynamic loader's
/// message.
const LOOKED_AT: usize = 16 * 1024;

/// Longest name of a library that is recognized, in bytes.
const MAX_LIBRARY: usize = 80;

/// Message of the loader after the library's name (glibc, `elf/dl-load.c`).
const NOT_FOUND: &str = ": cannot open shared object file";

/// Libraries of Debian 13 whose packages break Debian's naming rule: prefixes of the
/// library's name, and the package.
const EXCEPTIONS: [(&str, &str); 14] = [
    ("libasound.so.2", "libasound2t64"),
    ("libatk-1.0.so.0", "libatk1.0-0t64"),
    ("libatk-bridge-2.0.so.0", "libatk-bridge2.0-0t64"),
    ("libcups.so.2", "libcups2t64"),
    ("libgio-2.0.so.0", "libglib2.0-0t64"),
    ("libGLESv2.so.2", "libgles2"),
    ("libglib-2.0.so.0", "libglib2.0-0t64"),
    ("libGLU.so.1", "libglu1-mesa"),
    ("libgobject-2.0.so.0", "libglib2.0-0t64"),
    ("libgthread-2.0.so.0", "libglib2.0-0t64"),
    ("libgtk-3.so.0", "libgtk-3-0t64"),
    ("libmagic.so.1", "libmagic1t64"),
    ("libpng16.so.16", "libpng16-16t64"),
    ("libssl.so.3", "libssl3t64"),
];

/// Libraries that Debian's archive does not have, or not for this interpreter.
const ELSEWHERE: [&str; 6] = ["libcu", "libnv", "libpython", "libtorch", "libc10", "libtensorflow"];

/// Hint for a script that ended because a library was missing, from the loader's message on
/// stderr.
#[must_use]
pub fn hint(stderr: &[u8]) -> Option<String> {
    let end = stderr.get(stderr.len().saturating_sub(LOOKED_AT)..).unwrap_or_default();
    let said = String::from_utf8_lossy(end);
    let (before, _) = said.rsplit_once(NOT_FOUND)?;
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '+');
    let library = before.rsplit(|c| !is_part(c)).next()?;
    let package = package_of(library)?;
    Some(format!(
        "{library} is not in the image: add its Debian package, {package}, to system_packages \
         (--system-package {package})"
    ))
}

/// Package that contains a library (Debian Policy Manual, 8.1).
fn package_of(library: &str) -> Option<String> {
    if library.len() > MAX_LIBRARY || ELSEWHERE.iter().any(|it| library.starts_with(it)) {
        return None;
    }
    if let Some((_, package)) = EXCEPTIONS.iter().find(|(name, _)| *name == library) {
        return Some((*package).to_owned());
    }
    let (name, version) = library.split_once(".so")?;
    let version = version.strip_prefix('.').unwrap_or(version);
    let name = name.to_ascii_lowercase().replace('_', "-");
    let dash =
        if name.ends_with(|c: char| c.is_ascii_digit()) && !version.is_empty() { "-" } else { "" };
    let package = format!("{name}{dash}{version}");
    (name.starts_with("lib") && super::check_name(&package).is_ok()).then_some(package)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_package_of_a_missing_library_is_named() {
        for (library, package) in [
            ("libGL.so.1", "libgl1"),
            ("libxcb.so.1", "libxcb1"),
            ("libX11.so.6", "libx11-6"),
            ("libgthread-2.0.so.0", "libglib2.0-0t64"),
            ("libusb-1.0.so.0", "libusb-1.0-0"),
            ("libgdk_pixbuf-2.0.so.0", "libgdk-pixbuf-2.0-0"),
            ("libnss3.so", "libnss3"),
        ] {
            let said = format!("ImportError: {library}: cannot open shared object file: No such\n");
            let hint = hint(said.as_bytes()).unwrap();
            assert!(hint.starts_with(&format!("{library} is not in the image")), "{hint}");
            assert!(hint.ends_with(&format!("(--system-package {package})")), "{hint}");
        }
        let said =
            b"\xff /work/tool: error while loading shared libraries: libxcb.so.1: cannot open \
                     shared object file: No such file or directory";
        assert!(hint(said).unwrap().contains("libxcb1"));
    }

    #[test]
    fn what_debian_does_not_have_or_is_no_library_is_not_named() {
        for said in [
            "",
            "libGL.so.1",
            ": cannot open shared object file",
            "libcudart.so.12: cannot open shared object file",
            "libpython3.11.so.1.0: cannot open shared object file",
            "../evil$(x).so: cannot open shared object file",
            "lib.so.1-: cannot open shared object file",
        ] {
            assert_eq!(hint(said.as_bytes()), None, "{said}");
        }
        let long = format!("lib{}.so.1: cannot open shared object file", "a".repeat(500));
        assert_eq!(hint(long.as_bytes()), None);
        let early = format!("libGL.so.1: cannot open shared object file{}", " ".repeat(LOOKED_AT));
        assert_eq!(hint(early.as_bytes()), None);
    }
}
