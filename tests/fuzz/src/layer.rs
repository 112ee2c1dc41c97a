//! A tar that a hostile build sandbox gives as a layer. Checksums of what looks like a
//! header are put right, so that not every change is refused for its own sake.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

use gantry::images::layer;

const PLACE: &str = "opt/env";
const BLOCK: usize = 512;
const SUM: std::ops::Range<usize> = 148..156;

/// What is taken is in its place for the engine, too, which has a reader of its own.
pub fn hold(input: &[u8]) -> bool {
    let mut tar = input.to_vec();
    for block in tar.chunks_exact_mut(BLOCK).filter(|it| &it[257..262] == b"ustar") {
        block[SUM].fill(b' ');
        let sum: u32 = block.iter().map(|it| u32::from(*it)).sum();
        block[SUM].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
    if let Err(reason) = layer::check(tar.as_slice(), &[PLACE]) {
        super::is_short(&reason);
        return false;
    }
    assert!(tar.starts_with(b"opt"), "it is not compressed");
    let mut links = vec![];
    let mut bytes = 0;
    for entry in entries(&tar) {
        entry.is_in_place(&links);
        bytes += entry.size;
        if entry.kind == b'2' {
            links.push(entry.path);
        }
    }
    assert!(bytes <= tar.len(), "nothing becomes larger than it is");
    true
}

struct Entry {
    path: PathBuf,
    target: PathBuf,
    kind: u8,
    mode: u64,
    owners: u64,
    size: usize,
}

impl Entry {
    fn is_in_place(&self, links: &[PathBuf]) {
        let Self { path, kind, .. } = self;
        assert!(matches!(kind, b'0' | b'2' | b'5'), "{kind}");
        assert!(self.mode <= 0o777 && self.owners == 0);
        let is_above = Path::new(PLACE).starts_with(path) && path.as_os_str().len() > 1;
        assert!(path.starts_with(PLACE) || is_above, "{path:?}");
        assert!(*kind == b'5' || path.as_path() != Path::new("opt"), "{path:?}");
        let parts = path.components();
        for part in parts {
            let Component::Normal(name) = part else { panic!("{path:?}") };
            assert!(!name.as_encoded_bytes().starts_with(b".wh."));
        }
        assert!(!path.ancestors().skip(1).any(|it| links.iter().any(|link| link == it)));
        let is_program =
            ["/usr/bin", "/opt/python/bin"].iter().any(|it| self.target.starts_with(it));
        if *kind == b'2' && !is_program {
            let mut place = path.parent().expect("it is in its place").to_owned();
            for part in self.target.components() {
                match part {
                    Component::ParentDir => assert!(place.pop()),
                    Component::Normal(name) => place.push(name),
                    Component::CurDir => {}
                    _ => panic!("{:?}", self.target),
                }
                assert!(place.starts_with(PLACE), "{path:?} leads to {:?}", self.target);
            }
        }
    }
}

/// The entries as Go's archive/tar sees them (`reader.go`), up to where it fails.
fn entries(tar: &[u8]) -> Vec<Entry> {
    let (mut entries, mut at) = (vec![], 0);
    let mut records = HashMap::new();
    while let Some(header) = tar.get(at..at + BLOCK).filter(|it| it.iter().any(|it| *it != 0)) {
        at += BLOCK;
        let kind = header[156];
        let Some(size) = octal(&header[124..136]) else { break };
        let size = usize::try_from(size).expect("it is on 64 bits");
        if kind == b'x' {
            let Some(content) = tar.get(at..at + size) else { break };
            records = pax_records(content);
            at += size.next_multiple_of(BLOCK);
            continue;
        }
        let named = |key: &str, field: &[u8]| match records.get(key.as_bytes()) {
            Some(value) if !value.is_empty() => value.clone(),
            _ => field.to_vec(),
        };
        let path = named("path", &long_name(header));
        let is_old_folder = kind == 0 && path.ends_with(b"/");
        let has_content = !matches!(kind, b'1'..=b'6') && !is_old_folder;
        let size = if has_content { number_of(&records, "size").unwrap_or(size) } else { 0 };
        let (Some(mode), Some(user), Some(group)) =
            (octal(&header[100..108]), octal(&header[108..116]), octal(&header[116..124]))
        else {
            break;
        };
        entries.push(Entry {
            path: to_path(&path),
            target: to_path(&named("linkpath", text(&header[157..257]))),
            kind,
            mode,
            owners: user | group,
            size: number_of(&records, "GNU.sparse.realsize").unwrap_or(size),
        });
        records.clear();
        at += size.next_multiple_of(BLOCK);
    }
    entries
}

fn to_path(bytes: &[u8]) -> PathBuf {
    let path: &std::ffi::OsStr = std::os::unix::ffi::OsStrExt::from_bytes(bytes);
    PathBuf::from(path)
}

fn text(field: &[u8]) -> &[u8] {
    field.split(|it| *it == 0).next().unwrap_or_default()
}

fn long_name(header: &[u8]) -> Vec<u8> {
    let prefix = match (&header[257..265], &header[508..]) {
        (b"ustar\x0000", b"tar\0") => text(&header[345..476]),
        (b"ustar\x0000", _) => text(&header[345..500]),
        // Of the old format of GNU only when there are no times there.
        (b"ustar  \0", _) if octal(&header[345..357]).is_none() => text(&header[345..500]),
        _ => b"",
    };
    let name = text(&header[..100]);
    if prefix.is_empty() { name.to_vec() } else { [prefix, b"/", name].concat() }
}

fn octal(field: &[u8]) -> Option<u64> {
    if field[0] & 0x80 != 0 {
        let [first, rest @ ..] = field else { return None };
        let bytes = std::iter::once(first & 0x3f).chain(rest.iter().copied());
        return bytes
            .map(u64::from)
            .try_fold(0, |sum: u64, it| sum.checked_mul(256)?.checked_add(it));
    }
    let is_padding = |it: &u8| matches!(it, 0 | b' ');
    let Some(from) = field.iter().position(|it| !is_padding(it)) else { return Some(0) };
    let to = field.iter().rposition(|it| !is_padding(it))?;
    let digits = std::str::from_utf8(text(&field[from..=to])).ok()?;
    u64::from_str_radix(digits.strip_prefix('+').map_or(digits, |_| "?"), 8).ok()
}

/// By their lengths; the last one of a key counts.
fn pax_records(mut content: &[u8]) -> HashMap<Vec<u8>, Vec<u8>> {
    let mut records = HashMap::new();
    while let Some(space) = content.iter().position(|it| *it == b' ') {
        let length = std::str::from_utf8(&content[..space]).ok().and_then(|it| it.parse().ok());
        let Some(record) = length.and_then(|length: usize| content.get(..length)) else { break };
        let Some(record) = record.get(space + 1..).and_then(|it| it.strip_suffix(b"\n")) else {
            break;
        };
        let Some(equals) = record.iter().position(|it| *it == b'=') else { break };
        records.insert(record[..equals].to_vec(), record[equals + 1..].to_vec());
        content = &content[space + 1 + record.len() + 1..];
    }
    records
}

fn number_of(records: &HashMap<Vec<u8>, Vec<u8>>, key: &str) -> Option<usize> {
    std::str::from_utf8(records.get(key.as_bytes())?).ok()?.parse().ok()
}
