//! Checks a layer that came out of a build sandbox. Its bytes are hostile: a
//! package that is built from source runs its author's code there.
//!
//! The engine reads the same bytes with another reader, and unpacks what *it* sees. So
//! of all that a tar may be only what the installer writes is taken: headers of one
//! format, with nothing in them that readers understand in two ways. Public for the
//! fuzzers (`tests/fuzz`), who read it the engine's way.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use tar::{Archive, Entry, Header, PaxExtensions};

/// Files in one layer at most.
const MAX_ENTRIES: usize = 500_000;

/// Symbolic links in one layer at most: their names are kept until it is checked. A
/// virtual environment has four.
const MAX_LINKS: usize = 1000;

/// Longest name of an entry, in bytes (`PATH_MAX`, linux/limits.h).
const MAX_NAME: usize = 4096;

/// Longest extension of a header, in bytes: two names, and what they are called.
const MAX_EXTENSION: u64 = 3 * MAX_NAME as u64;

/// Names with this prefix *remove* files of the layers below (OCI Image Layer
/// Specification, "Whiteouts").
const WHITEOUT: &[u8] = b".wh.";

/// Keys that an extension may hold (pax, "pax Extended Header"): names that are too long
/// for a header, or not ASCII. Sizes, owners, attributes and holes would contradict the
/// header.
const EXTENSION_KEYS: [&[u8]; 3] = [b"path", b"linkpath", b"hdrcharset"];

/// Offsets of a header's kind, and of its last bytes, which have no meaning (pax, "ustar
/// Interchange Format"): in other formats they have one.
const KIND_AT: usize = 156;
const UNUSED_FROM: usize = 500;

/// Targets that links may have outside of their place: the interpreter.
const PROGRAMS: [&str; 2] = ["/usr/bin", "/opt/python/bin"];

/// Checks that every entry of a tar is a plain file, a folder or a symbolic link below
/// one of `places`, owned by root and with no special bits; that nothing is put behind a
/// link; and that every reader of the tar sees the same entries. Returns their number.
///
/// # Errors
/// A sentence about the first entry that is not.
pub fn check(tar: impl Read, places: &[&str]) -> Result<usize, String> {
    let unreadable = |error| format!("it is not a tar archive: {}", told(&error));
    let mut names = Names::default();
    let mut links = HashSet::new();
    let mut count = 0;
    for entry in Archive::new(tar).entries().map_err(unreadable)?.raw(true) {
        let mut entry = entry.map_err(unreadable)?;
        count += 1;
        if count > MAX_ENTRIES {
            return Err(format!("it has more than {MAX_ENTRIES} entries"));
        }
        if count == 1 && !begins_plainly(entry.header(), places) {
            return Err("it begins with something else than its place".to_owned());
        }
        if kind(entry.header()) == b'x' && names.is_empty() {
            names = Names::read(&mut entry).map_err(|error| format!("an extension {error}"))?;
            continue;
        }
        let names = std::mem::take(&mut names);
        check_entry(entry.header(), &names, places, &mut links).map_err(|reason| {
            let name = names.path(entry.header());
            format!("{:.200} {reason}", name.to_string_lossy().escape_debug().to_string())
        })?;
    }
    match count {
        0 => Err("it is empty".to_owned()),
        _ if !names.is_empty() => Err("its last entry is missing".to_owned()),
        _ => Ok(count),
    }
}

/// Engines take a layer that begins as a compressed file does for one.
fn begins_plainly(header: &Header, places: &[&str]) -> bool {
    let top = |place: &&str| place.split('/').next().unwrap_or_default().to_owned();
    places.iter().map(top).any(|top| header.as_bytes().starts_with(top.as_bytes()))
}

/// Names of the next entry that stand before its header.
#[derive(Default)]
struct Names {
    path: Option<Vec<u8>>,
    target: Option<Vec<u8>>,
}

impl Names {
    fn is_empty(&self) -> bool {
        self.path.is_none() && self.target.is_none()
    }

    fn read(entry: &mut Entry<'_, impl Read>) -> Result<Self, String> {
        check_format(entry.header())?;
        if entry.size() > MAX_EXTENSION {
            return Err("is too long".to_owned());
        }
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).map_err(|error| told(&error))?;
        // Behind an empty line nothing more is read here.
        if bytes.first() == Some(&b'\n') || bytes.windows(2).any(|it| it == b"\n\n") {
            return Err("has an empty line".to_owned());
        }
        let mut seen = HashSet::new();
        let mut names = Self::default();
        for record in PaxExtensions::new(&bytes) {
            let record = record.map_err(|error| told(&error))?;
            let (key, value) = (record.key_bytes(), record.value_bytes());
            if !EXTENSION_KEYS.contains(&key) || !seen.insert(key) {
                return Err(format!("has {:.100}", String::from_utf8_lossy(key).escape_debug()));
            }
            // An empty one means the header's to some.
            if value.is_empty() || value.contains(&0) {
                return Err("has an empty name, or one with a zero byte".to_owned());
            }
            match key {
                b"path" => names.path = Some(value.to_vec()),
                b"linkpath" => names.target = Some(value.to_vec()),
                _ => {}
            }
        }
        if names.is_empty() { Err("has no name".to_owned()) } else { Ok(names) }
    }

    fn path(&self, header: &Header) -> PathBuf {
        let bytes = self.path.clone().unwrap_or_else(|| header.path_bytes().into_owned());
        PathBuf::from(OsStr::from_bytes(&bytes))
    }

    fn target(&self, header: &Header) -> PathBuf {
        let short = || header.link_name_bytes().unwrap_or_default().into_owned();
        PathBuf::from(OsStr::from_bytes(&self.target.clone().unwrap_or_else(short)))
    }
}

/// Text of an error of the tar's reader, escaped: it quotes.
fn told(error: &io::Error) -> String {
    format!("{:.200}", error.to_string().escape_debug().to_string())
}

fn kind(header: &Header) -> u8 {
    header.as_bytes()[KIND_AT]
}

fn check_format(header: &Header) -> Result<(), String> {
    let is_plain =
        header.as_ustar().is_some() && header.as_bytes()[UNUSED_FROM..].iter().all(|it| *it == 0);
    if is_plain { Ok(()) } else { Err("has a header of another format".to_owned()) }
}

fn check_entry(
    header: &Header,
    names: &Names,
    places: &[&str],
    links: &mut HashSet<PathBuf>,
) -> Result<(), String> {
    check_format(header)?;
    let number = |value: io::Result<u64>| value.map_err(|error| told(&error));
    if number(header.uid())? != 0 || number(header.gid())? != 0 {
        return Err("is not owned by root".to_owned());
    }
    if header.mode().map_err(|error| told(&error))? & !0o777 != 0 {
        return Err("has special bits".to_owned());
    }
    let path = names.path(header);
    let depth = check_place(&path, places)?;
    if path.ancestors().skip(1).any(|above| links.contains(above)) {
        return Err("is behind a link".to_owned());
    }
    let size = number(header.entry_size())?;
    match (kind(header), depth) {
        (b'5', _) if size == 0 && !links.contains(&path) => Ok(()),
        (b'0', Some(_)) => Ok(()),
        (b'2', Some(1..)) if size == 0 && links.len() < MAX_LINKS => {
            check_target(&names.target(header), depth.unwrap_or_default())?;
            // Written as its components are compared.
            links.insert(path.components().collect());
            Ok(())
        }
        (other, _) => Err(format!("can't be of kind {:?} here", char::from(other))),
    }
}

/// Checks that a path is in a place; returns the number of folders below it, or `None`
/// for one above it.
fn check_place(path: &Path, places: &[&str]) -> Result<Option<usize>, String> {
    if path.as_os_str().is_empty() || path.as_os_str().len() > MAX_NAME {
        return Err("has an empty name, or one that is too long".to_owned());
    }
    for component in path.components() {
        match component {
            Component::Normal(name) if name.as_bytes().starts_with(WHITEOUT) => {
                return Err("would remove a file".to_owned());
            }
            Component::Normal(_) => {}
            _ => return Err("is not a plain relative path".to_owned()),
        }
    }
    let below = |place: &&str| path.strip_prefix(place).ok().map(|it| it.components().count());
    match places.iter().find_map(below) {
        Some(depth) => Ok(Some(depth)),
        None if places.iter().any(|place| Path::new(place).starts_with(path)) => Ok(None),
        None => Err("is outside of what a build may write".to_owned()),
    }
}

/// A link leads to a program of the system, or stays in its place. The layer above may
/// have files behind it, and some engines follow it then.
fn check_target(target: &Path, depth: usize) -> Result<(), String> {
    let is_up = |it: &Component<'_>| matches!(it, Component::ParentDir);
    let is_name = |it: Component<'_>| matches!(it, Component::Normal(_));
    let ups = target.components().take_while(is_up).count();
    // Up again behind a name may be up from somewhere else.
    let is_inside = ups < depth && target.components().skip(ups).all(is_name);
    let is_program = PROGRAMS.iter().any(|it| target.parent() == Some(Path::new(it)))
        && target.components().next_back().is_some_and(is_name);
    if !target.as_os_str().is_empty() && (is_inside || is_program) {
        Ok(())
    } else {
        Err("links to something outside".to_owned())
    }
}

#[cfg(test)]
mod tests;
