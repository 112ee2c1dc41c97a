//! Checks a layer that came out of a build sandbox. Its bytes are hostile: a
//! package that is built from source runs its author's code there.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Component, Path};

use tar::{Archive, Entry, EntryType};

/// Files in one layer at most.
const MAX_ENTRIES: usize = 500_000;

/// Names with this prefix *remove* files of the layers below (OCI Image Layer
/// Specification, "Whiteouts").
const WHITEOUT: &str = ".wh.";

/// Longest name or attributes of one entry, in bytes: they are read into memory.
const MAX_EXTENSION: u64 = 1 << 20;

/// PAX records of extended attributes, such as a file's capabilities, begin so.
const EXTENDED_ATTRIBUTE: &[u8] = b"SCHILY.xattr.";

/// Bits that make a file run as its owner or group (chmod(2)).
const SET_ID_BITS: u32 = 0o6000;

/// Checks that every entry of the tar at `path` is a plain file, folder or link
/// below one of `allowed`, owned by root and with no special bits.
///
/// # Errors
/// A sentence about the first entry that is not.
pub(super) fn check(path: &Path, allowed: &[&str]) -> Result<(), String> {
    let open = || File::open(path).map(|file| BufReader::with_capacity(1 << 20, file));
    check_extensions(open().map_err(|error| error.to_string())?)?;
    check_entries(open().map_err(|error| error.to_string())?, allowed)
}

/// Looks at what stands before entries, which the other check would read into
/// memory whatever its size.
fn check_extensions(tar: impl Read) -> Result<(), String> {
    let unreadable = |error: io::Error| format!("it is not a tar archive: {error}");
    for entry in Archive::new(tar).entries().map_err(unreadable)?.raw(true) {
        let entry = entry.map_err(unreadable)?;
        let is_extension = matches!(
            entry.header().entry_type(),
            EntryType::XHeader
                | EntryType::XGlobalHeader
                | EntryType::GNULongName
                | EntryType::GNULongLink
        );
        if is_extension && entry.size() > MAX_EXTENSION {
            return Err("an entry's name or attributes are too long".to_owned());
        }
    }
    Ok(())
}

fn check_entries(tar: impl Read, allowed: &[&str]) -> Result<(), String> {
    let unreadable = |error: io::Error| format!("it is not a tar archive: {error}");
    let mut count = 0;
    for entry in Archive::new(tar).entries().map_err(unreadable)? {
        let mut entry = entry.map_err(unreadable)?;
        count += 1;
        if count > MAX_ENTRIES {
            return Err(format!("it has more than {MAX_ENTRIES} entries"));
        }
        check_entry(&mut entry, allowed).map_err(|reason| {
            let name = String::from_utf8_lossy(&entry.path_bytes()).escape_debug().to_string();
            format!("{name:.200} {reason}")
        })?;
    }
    if count == 0 { Err("it is empty".to_owned()) } else { Ok(()) }
}

fn check_entry(entry: &mut Entry<'_, impl Read>, allowed: &[&str]) -> Result<(), String> {
    for record in entry.pax_extensions().map_err(|error| error.to_string())?.into_iter().flatten() {
        let record = record.map_err(|error| error.to_string())?;
        if record.key_bytes().starts_with(EXTENDED_ATTRIBUTE) {
            return Err("has extended attributes".to_owned());
        }
    }
    let path = entry.path().map_err(|error| error.to_string())?;
    check_place(&path, allowed)?;
    let header = entry.header();
    let number = |value: io::Result<u64>| value.map_err(|error| error.to_string());
    if number(header.uid())? != 0 || number(header.gid())? != 0 {
        return Err("is not owned by root".to_owned());
    }
    let mode = header.mode().map_err(|error| error.to_string())?;
    if mode & SET_ID_BITS != 0 {
        return Err("is setuid or setgid".to_owned());
    }
    match header.entry_type() {
        EntryType::Regular | EntryType::Directory | EntryType::Symlink => Ok(()),
        // A hard link is resolved while the layer is unpacked, so it must stay
        // inside; a symbolic one means something only in the container.
        EntryType::Link => match entry.link_name().map_err(|error| error.to_string())? {
            Some(target) => check_place(&target, allowed),
            None => Err("links to nothing".to_owned()),
        },
        other => Err(format!("is of kind {other:?}")),
    }
}

fn check_place(path: &Path, allowed: &[&str]) -> Result<(), String> {
    for component in path.components() {
        match component {
            Component::Normal(name) if name.to_string_lossy().starts_with(WHITEOUT) => {
                return Err("would remove a file".to_owned());
            }
            Component::Normal(_) => {}
            _ => return Err("is not a plain relative path".to_owned()),
        }
    }
    let belongs = |place: &&str| path.starts_with(place) || Path::new(place).starts_with(path);
    if allowed.iter().any(belongs) {
        Ok(())
    } else {
        Err("is outside of what a build may write".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tar_of(path: &str, change: impl FnOnce(&mut tar::Header)) -> Vec<u8> {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mode(0o644);
        header.set_size(0);
        // Set by hand: `set_path` refuses what an attacker would write.
        header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
        change(&mut header);
        header.set_cksum();
        let mut tar = tar::Builder::new(Vec::new());
        tar.append(&header, io::empty()).unwrap();
        tar.into_inner().unwrap()
    }

    fn checked(path: &str, change: impl FnOnce(&mut tar::Header)) -> Result<(), String> {
        check_entries(tar_of(path, change).as_slice(), &["opt/env"])
    }

    #[test]
    fn a_plain_file_in_its_place_is_fine() {
        assert_eq!(checked("opt/env/lib/a.py", |_| ()), Ok(()));
        assert_eq!(checked("opt", |header| header.set_entry_type(EntryType::Directory)), Ok(()));
    }

    #[test]
    fn whatever_reaches_out_of_its_place_is_refused() {
        for path in ["etc/passwd", "/opt/env/a", "opt/env/../../etc/passwd", "opt/environment/a"] {
            assert!(checked(path, |_| ()).is_err(), "{path}");
        }
        for path in ["opt/env/.wh.site", "opt/env/.wh..wh..opq", "opt/.wh.env/x"] {
            assert!(checked(path, |_| ()).unwrap_err().contains("remove"), "{path}");
        }
    }

    #[test]
    fn special_files_bits_and_owners_are_refused() {
        let path = "opt/env/a";
        for kind in [EntryType::Char, EntryType::Block, EntryType::Fifo] {
            assert!(checked(path, |header| header.set_entry_type(kind)).is_err(), "{kind:?}");
        }
        assert!(checked(path, |header| header.set_mode(0o4755)).is_err());
        assert!(checked(path, |header| header.set_uid(65534)).is_err());
    }

    #[test]
    fn a_hard_link_must_stay_inside_and_a_symbolic_one_need_not() {
        let link = |kind, target: &'static str| {
            move |header: &mut tar::Header| {
                header.set_entry_type(kind);
                header.set_link_name_literal(target).unwrap();
            }
        };
        assert!(checked("opt/env/a", link(EntryType::Link, "etc/shadow")).is_err());
        assert!(checked("opt/env/a", link(EntryType::Link, "opt/env/b")).is_ok());
        assert!(checked("opt/env/a", link(EntryType::Symlink, "/usr/bin/python3")).is_ok());
    }

    #[test]
    fn extended_attributes_are_refused() {
        let mut tar = tar::Builder::new(Vec::new());
        tar.append_pax_extensions([("SCHILY.xattr.security.capability", b"x".as_slice())]).unwrap();
        let mut header = tar::Header::new_ustar();
        header.set_size(0);
        header.set_mode(0o755);
        tar.append_data(&mut header, "opt/env/a", io::empty()).unwrap();
        let error = check_entries(tar.into_inner().unwrap().as_slice(), &["opt/env"]).unwrap_err();
        assert!(error.contains("extended attributes"), "{error}");
    }

    #[test]
    fn a_name_of_gigabytes_is_refused_before_it_is_read() {
        let long = tar_of("././@LongLink", |header| {
            header.set_entry_type(EntryType::GNULongName);
            header.set_size(MAX_EXTENSION + 1);
        });
        assert!(check_extensions(long.as_slice()).is_err());
    }

    #[test]
    fn an_empty_layer_is_refused() {
        assert!(check_entries([0_u8; 1024].as_slice(), &["opt/env"]).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_checked_without_a_panic(bytes in any::<Vec<u8>>()) {
            let _ = check_extensions(bytes.as_slice());
            let _ = check_entries(bytes.as_slice(), &["opt/env"]);
        }
    }
}
