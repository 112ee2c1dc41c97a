//! Tars of an installer, and of an attacker.

use proptest::prelude::*;
use tar::EntryType;

use super::*;

const PLACES: &[&str] = &["opt/env"];

/// An entry without content, as `change` has it.
fn entry(path: &str, change: impl FnOnce(&mut Header)) -> Vec<u8> {
    let mut header = Header::new_ustar();
    header.set_entry_type(EntryType::Regular);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mode(0o644);
    header.set_size(0);
    // Set by hand: `set_path` refuses what an attacker would write.
    header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
    change(&mut header);
    header.set_cksum();
    header.as_bytes().to_vec()
}

fn folder(path: &str) -> Vec<u8> {
    entry(path, |header| header.set_entry_type(EntryType::Directory))
}

fn link(path: &str, target: &str) -> Vec<u8> {
    entry(path, |header| {
        header.set_entry_type(EntryType::Symlink);
        header.set_link_name_literal(target).unwrap();
    })
}

/// An extension of the entry that follows.
fn extension(records: &str) -> Vec<u8> {
    let mut blocks = entry("././@PaxHeader", |header| {
        header.set_entry_type(EntryType::XHeader);
        header.set_size(records.len() as u64);
    });
    blocks.extend(records.bytes());
    blocks.resize(blocks.len().next_multiple_of(512), 0);
    blocks
}

fn record(key: &str, value: &str) -> String {
    let length = |digits| digits + key.len() + value.len() + 3;
    let digits = (1..).find(|it| length(*it).to_string().len() == *it).unwrap();
    format!("{} {key}={value}\n", length(digits))
}

fn checked(entries: &[Vec<u8>]) -> Result<(), String> {
    check([folder("opt"), folder("opt/env"), entries.concat()].concat().as_slice(), PLACES)
        .map(drop)
}

#[track_caller]
fn refuses(entries: &[Vec<u8>], reason: &str) {
    let error = checked(entries).unwrap_err();
    assert!(error.contains(reason), "{error}");
}

#[test]
fn files_folders_and_links_in_their_place_are_fine() {
    assert_eq!(checked(&[folder("opt/env/lib/"), entry("opt/env/lib/a.py", |_| ())]), Ok(()));
    for target in ["/usr/bin/python3", "python3", "../lib/a", "../lib"] {
        assert_eq!(checked(&[link("opt/env/bin/python", target)]), Ok(()), "{target}");
    }
    assert_eq!(checked(&[link("opt/env/lib64", "lib")]), Ok(()));
}

#[test]
fn a_file_may_be_there_twice_as_two_packages_may_own_it() {
    assert_eq!(checked(&[entry("opt/env/a", |_| ()), entry("opt/env/a", |_| ())]), Ok(()));
}

#[test]
fn a_place_may_be_a_file() {
    let places = ["usr", "usr/local", "usr/local/bin"].map(folder).concat();
    let tar = [places, entry("usr/local/bin/uv", |_| ())].concat();
    assert!(check(tar.as_slice(), &["usr/local/bin/uv"]).is_ok());
}

#[test]
fn whatever_reaches_out_of_its_place_is_refused() {
    for path in ["etc/passwd", "/opt/env/a", "opt/env/../../etc/passwd", "opt/environment/a", ""] {
        assert!(checked(&[entry(path, |_| ())]).is_err(), "{path}");
    }
    for path in ["opt/env/.wh.site", "opt/env/.wh..wh..opq", "opt/.wh.env/x"] {
        refuses(&[entry(path, |_| ())], "remove");
    }
}

#[test]
fn what_is_above_its_place_is_a_folder() {
    assert!(checked(&[entry("opt", |_| ())]).is_err());
    assert!(checked(&[link("opt", "usr")]).is_err());
    assert!(checked(&[link("opt/env", "other")]).is_err());
}

#[test]
fn special_files_bits_and_owners_are_refused() {
    use EntryType::{Block, Char, Continuous, Fifo, GNUSparse, Link};
    let path = "opt/env/a";
    for kind in [Char, Block, Fifo, Link, Continuous, GNUSparse] {
        refuses(&[entry(path, |header| header.set_entry_type(kind))], "kind");
    }
    refuses(&[entry(path, |header| header.set_mode(0o4755))], "special bits");
    refuses(&[entry(path, |header| header.set_uid(65534))], "root");
}

#[test]
fn nothing_is_put_behind_a_link() {
    let behind = entry("opt/env/x/a", |_| ());
    refuses(&[link("opt/env/x", "lib"), behind.clone()], "behind a link");
    refuses(&[link("opt/env//x/", "lib"), behind], "behind a link");
    assert!(checked(&[link("opt/env/x", "lib"), folder("opt/env/x")]).is_err());
}

#[test]
fn links_stay_in_their_place_but_for_those_to_programs() {
    let targets =
        ["..", "../../etc", "lib/../..", "/", "/usr", "/usr/bin", "/usr/bin/..", "/etc/a"];
    for target in targets {
        refuses(&[link("opt/env/x", target)], "outside");
    }
    refuses(&[link("opt/env/x", "")], "outside");
    refuses(&[link("opt/env/bin/x", "../../x")], "outside");
    assert!(checked(&vec![link("opt/env/x", "lib"); MAX_LINKS + 1]).is_ok(), "one name");
    let links: Vec<_> = (0..=MAX_LINKS).map(|it| link(&format!("opt/env/{it}"), "a")).collect();
    assert!(checked(&links).is_err());
}

#[test]
fn an_extension_gives_long_names_and_nothing_else() {
    let long = format!("opt/env/{}/ä", "a".repeat(200));
    let file = entry("opt/env/a", |_| ());
    assert_eq!(checked(&[extension(&record("path", &long)), file.clone()]), Ok(()));
    let away = extension(&record("path", "etc/passwd"));
    refuses(&[away.clone(), file.clone()], "outside");
    let target = extension(&record("linkpath", "/etc/shadow"));
    refuses(&[target, link("opt/env/x", "lib")], "outside");
    for key in ["SCHILY.xattr.security.capability", "size", "uid", "GNU.sparse.realsize"] {
        refuses(&[extension(&record(key, "1")), file.clone()], key);
    }
    refuses(std::slice::from_ref(&away), "missing");
    let path = extension(&record("path", "opt/env/b"));
    assert!(checked(&[path, away, file]).is_err(), "two extensions");
}

/// Each of these is read in another way by the engine (Go's archive/tar), or may be.
#[test]
fn what_readers_understand_in_two_ways_is_refused() {
    let file = entry("opt/env/a", |_| ());
    let twice = record("path", "opt/env/a") + &record("path", "etc/passwd");
    refuses(&[extension(&twice), file.clone()], "path");
    refuses(&[extension(&record("path", "")), entry("etc/passwd", |_| ())], "empty");
    refuses(&[extension(&record("path", "opt/env/a\0")), file.clone()], "zero");
    let behind = record("path", "opt/env/a") + "\n" + &record("path", "etc/passwd");
    refuses(&[extension(&behind), file], "empty line");
    let hidden = |kind| {
        entry("opt/env/a", |header| {
            header.set_entry_type(kind);
            header.set_size(512);
        })
    };
    for kind in [EntryType::Directory, EntryType::Symlink] {
        refuses(&[hidden(kind), entry("etc/passwd", |_| ())], "kind");
    }
    let old = entry("opt/env/a/", |header| header.as_mut_bytes()[KIND_AT] = 0);
    refuses(&[old], "kind");
    let gnu = entry("opt/env/a", |header| {
        header.as_mut_bytes()[257..265].copy_from_slice(b"ustar  \0");
        header.as_mut_bytes()[345..348].copy_from_slice(b"etc");
    });
    refuses(&[gnu], "format");
    let star = entry("opt/env/a", |header| header.as_mut_bytes()[508..].copy_from_slice(b"tar\0"));
    refuses(&[star], "format");
    let long = entry("././@LongLink", |header| header.set_entry_type(EntryType::GNULongName));
    assert!(checked(&[long]).is_err());
}

#[test]
fn a_compressed_file_that_looks_like_a_tar_is_refused() {
    let compressed = entry("\x1f\u{8b}", |header| {
        header.as_mut_bytes()[..3].copy_from_slice(b"\x1f\x8b\x08");
        header.as_mut_bytes()[345..352].copy_from_slice(b"opt/env");
    });
    assert_eq!(checked(std::slice::from_ref(&compressed)), Ok(()));
    assert!(check(compressed.as_slice(), PLACES).unwrap_err().contains("begins"));
}

#[test]
fn an_extension_of_gigabytes_is_refused_before_it_is_read() {
    let long = entry("././@PaxHeader", |header| {
        header.set_entry_type(EntryType::XHeader);
        header.set_size(1 << 32);
    });
    refuses(&[long], "too long");
}

#[test]
fn an_empty_layer_and_one_that_is_cut_are_refused() {
    assert!(check([0_u8; 1024].as_slice(), PLACES).is_err());
    let file = entry("opt/env/a", |header| header.set_size(1000));
    assert!(checked(&[file, vec![0; 512]]).is_err());
}

proptest! {
    #[test]
    fn any_bytes_are_checked_without_a_panic(bytes in any::<Vec<u8>>()) {
        let _ = check(bytes.as_slice(), PLACES);
    }
}
