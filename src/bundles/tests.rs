//! Archives as people make them, and archives that are made to harm.

use std::fs::{self, File};
use std::io::{Cursor, Seek, Write};
use std::os::unix::fs::{PermissionsExt, symlink};

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use tar::{EntryType, Header};
use zip::write::{SimpleFileOptions, ZipWriter};

use super::*;
use crate::domain::bundle::{BundleFault, MAX_FILES, Manifest};

/// Bundle in the bytes of an archive.
fn packed(archive: &[u8]) -> Result<Packed, BundleError> {
    let folder = tempfile::tempdir().unwrap();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(archive).unwrap();
    file.rewind().unwrap();
    let packed = pack_archive(file, folder.path());
    // The archive is gone with its folder: only the manifest is looked at.
    if let Ok(packed) = &packed {
        assert_eq!(packed.manifest().digest(), packed.digest());
    }
    packed
}

fn paths(archive: &[u8]) -> Vec<String> {
    let packed = packed(archive).unwrap();
    packed.manifest().files().iter().map(|it| it.path.clone()).collect()
}

fn fault(archive: &[u8]) -> BundleFault {
    match packed(archive) {
        Err(BundleError::Fault(fault)) => fault,
        other => panic!("{other:?}"),
    }
}

/// An entry of a tar with anything in its name.
fn entry(name: &[u8], kind: EntryType, mode: u32, content: &[u8]) -> Vec<u8> {
    let mut header = Header::new_ustar();
    header.as_mut_bytes()[..name.len()].copy_from_slice(name);
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(content.len() as u64);
    header.set_cksum();
    let mut bytes = [header.as_bytes().as_slice(), content].concat();
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

fn plain(name: &str, content: &[u8]) -> Vec<u8> {
    entry(name.as_bytes(), EntryType::Regular, 0o644, content)
}

fn ended(entries: &[Vec<u8>]) -> Vec<u8> {
    [entries.concat(), vec![0; 1024]].concat()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zipped(files: &[(&str, u32, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, mode, content) in files {
        let options = SimpleFileOptions::default().unix_permissions(*mode);
        zip.start_file(*name, options).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// A ZIP of one file with a mode that the library writes for nobody: it is the upper half of
/// the external attributes in the central directory (PKWARE, APPNOTE.TXT, 4.3.12).
fn with_mode(mut zip: Vec<u8>, mode: u32) -> Vec<u8> {
    let directory = zip.windows(4).position(|it| it == b"PK\x01\x02").unwrap();
    let attributes = directory + 38;
    zip[attributes..attributes + 4].copy_from_slice(&((0o100_000 | mode) << 16).to_le_bytes());
    zip
}

#[test]
fn every_form_of_the_same_files_is_the_same_bundle() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("lib")).unwrap();
    fs::write(folder.path().join("lib/a.py"), "a").unwrap();
    fs::write(folder.path().join("run.sh"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(folder.path().join("run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    let unfinished = tempfile::tempdir().unwrap();
    let of_folder = pack_folder(folder.path(), unfinished.path()).unwrap();

    let run = || entry(b"./run.sh", EntryType::Regular, 0o755, b"#!/bin/sh\n");
    let here = || entry(b"./", EntryType::Directory, 0o755, b"");
    let lib = || entry(b"./lib/", EntryType::Directory, 0o2775, b"");
    let tar = ended(&[here(), run(), lib(), plain("./lib/a.py", b"a")]);
    let zip = zipped(&[("lib/a.py", 0o644, b"a"), ("run.sh", 0o755, b"#!/bin/sh\n")]);
    for archive in [tar.clone(), gzip(&tar), zip] {
        let packed = packed(&archive).unwrap();
        assert_eq!(packed.manifest(), of_folder.manifest());
        assert_eq!(packed.archive_digest(), of_folder.archive_digest());
    }
    // Our own archive is one that we read, and other programs do.
    let own = fs::read(of_folder.path()).unwrap();
    assert_eq!(packed(&own).unwrap().archive_digest(), of_folder.archive_digest());
    let listed = std::process::Command::new("tar").arg("-tvf").arg(of_folder.path()).output();
    let listed = String::from_utf8(listed.unwrap().stdout).unwrap();
    assert!(listed.contains("-r--r--r--") && listed.contains("-r-xr-xr-x"), "{listed}");
}

#[test]
fn long_names_of_every_kind_are_read() {
    let long = format!("{}/{}.py", "d".repeat(90), "f".repeat(120));
    let wide = "grüße/日本.py";
    let mut gnu = tar::Builder::new(Vec::new());
    let mut pax = tar::Builder::new(Vec::new());
    for path in [long.as_str(), wide] {
        let mut header = Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(1);
        gnu.append_data(&mut header, path, &b"x"[..]).unwrap();
        pax.append_pax_extensions([("path", path.as_bytes()), ("mtime", b"1.5")]).unwrap();
        let mut header = Header::new_ustar();
        header.set_path("short").unwrap();
        header.set_mode(0o644);
        header.set_size(1);
        header.set_cksum();
        pax.append(&header, &b"x"[..]).unwrap();
    }
    for archive in [gnu, pax] {
        assert_eq!(paths(&archive.into_inner().unwrap()), [long.as_str(), wide]);
    }
    let global = entry(b"pax_global_header", EntryType::XGlobalHeader, 0o644, b"16 comment=abcd\n");
    assert_eq!(paths(&ended(&[global, plain("a", b"")])), ["a"]);
}

#[test]
fn what_is_no_regular_file_is_refused() {
    for (kind, word) in [
        (EntryType::Link, "hard link"),
        (EntryType::Symlink, "symbolic link"),
        (EntryType::Char, "device"),
        (EntryType::Block, "device"),
        (EntryType::Fifo, "pipe"),
        (EntryType::GNUSparse, "holes"),
        (EntryType::new(b'Z'), "unknown"),
    ] {
        let refused = fault(&ended(&[plain("a", b""), entry(b"b", kind, 0o644, b"")]));
        assert!(refused.to_string().contains(word), "{refused}");
    }
    for mode in [0o4755, 0o2755, 0o1644] {
        let refused = fault(&ended(&[entry(b"a", EntryType::Regular, mode, b"x")]));
        assert_eq!(refused, BundleFault::SpecialBits("a".into()));
        // The library shows none of these bits, and files of a bundle have none.
        let zip = with_mode(zipped(&[("a", 0o644, b"x")]), mode);
        assert_eq!(paths(&zip), ["a"]);
    }
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    for name in ["/etc/passwd", "../a", "a/../../b", "a\nb", "a\\b"] {
        let is_path = |fault| matches!(fault, BundleFault::Path(_));
        assert!(is_path(fault(&ended(&[plain(name, b"x")]))), "{name}");
        assert!(is_path(fault(&zipped(&[(name, 0o644, b"x")]))), "{name}");
    }
    let name = [b"a".as_slice(), b"\xff"].concat();
    let latin = entry(&name, EntryType::Regular, 0o644, b"x");
    assert!(matches!(fault(&ended(&[latin])), BundleFault::Path(_)));
    let twins = fault(&ended(&[plain("a.py", b""), plain("A.py", b"")]));
    assert!(matches!(twins, BundleFault::Twins(..)));
    let twice = fault(&ended(&[plain("a", b"1"), plain("./a", b"2")]));
    assert_eq!(twice, BundleFault::Twice("a".into()));
    assert_eq!(fault(&ended(&[])), BundleFault::Empty);
}

#[test]
fn an_archive_that_is_cut_anywhere_is_told_to_be() {
    let whole = ended(&[plain("a.py", &[b'x'; 700]), plain("b.py", b"y")]);
    assert_eq!(paths(&whole), ["a.py", "b.py"]);
    let end = whole.len() - 1024;
    for length in (1..=end).filter(|it| it % 61 == 0 || it % 512 == 0) {
        let cut = packed(&whole[..length]);
        assert!(matches!(cut, Err(BundleError::CutOff)), "{length}: {cut:?}");
    }
    let zip = zipped(&[("a.py", 0o644, &[b'x'; 700]), ("b.py", 0o644, b"y")]);
    for archive in [gzip(&whole), zip] {
        for length in (4..archive.len()).step_by(7) {
            let cut = packed(&archive[..length]);
            assert!(cut.is_err_and(|it| it.is_of_sender()), "{length}");
        }
    }
    let damaged: Vec<u8> =
        whole.iter().enumerate().map(|(at, it)| it ^ u8::from(at == 3)).collect();
    assert!(matches!(packed(&damaged), Err(BundleError::Archive(_))));
}

#[test]
fn what_contradicts_itself_is_refused() {
    let sized = entry(b"x", EntryType::XHeader, 0o644, b"10 size=9\n");
    let holes = entry(b"x", EntryType::XHeader, 0o644, b"22 GNU.sparse.major=1\n");
    let global = entry(b"g", EntryType::XGlobalHeader, 0o644, b"10 path=b\n");
    for extension in [sized, holes, global] {
        let refused = packed(&ended(&[extension, plain("a", b"x")]));
        assert!(matches!(refused, Err(BundleError::Archive(_))), "{refused:?}");
    }
    let long = entry(b"x", EntryType::XHeader, 0o644, &vec![b'x'; 100_000]);
    assert!(matches!(packed(&ended(&[long])), Err(BundleError::Archive(_))));
    // A size beyond all files is refused before anything is read.
    let mut header = Header::new_gnu();
    header.set_path("a").unwrap();
    header.set_size(1 << 40);
    header.set_mode(0o644);
    header.set_cksum();
    assert_eq!(fault(header.as_bytes()), BundleFault::TooLarge);
    for text in [&b""[..], b"x", b"not an archive", &[7; 3000]] {
        assert!(packed(text).is_err_and(|it| it.is_of_sender()), "{text:?}");
    }
}

#[test]
fn bombs_are_bounded() {
    let zeros = vec![0; 64 << 20];
    let header = |name: &str| {
        let mut header = Header::new_ustar();
        header.set_path(name).unwrap();
        header.set_size(zeros.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        header.as_bytes().to_vec()
    };
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    for number in 0..5 {
        encoder.write_all(&header(&number.to_string())).unwrap();
        encoder.write_all(&zeros).unwrap();
    }
    encoder.write_all(&[0; 1024]).unwrap();
    let bomb = encoder.finish().unwrap();
    assert!(bomb.len() < 4 << 20);
    assert_eq!(fault(&bomb), BundleFault::TooLarge);
    let many: Vec<_> = (0..=MAX_FILES).map(|it| plain(&it.to_string(), b"")).collect();
    assert_eq!(fault(&ended(&many)), BundleFault::TooMany);
    assert_eq!(paths(&ended(&many[..MAX_FILES])).len(), MAX_FILES);
    let folders: Vec<_> =
        (0..100_001).map(|_| entry(b"d/", EntryType::Directory, 0o755, b"")).collect();
    assert_eq!(fault(&ended(&folders)), BundleFault::TooMany);
}

#[test]
fn a_zip_says_what_it_has() {
    let streamed = {
        let mut zip = ZipWriter::new_stream(Vec::new());
        zip.start_file("a.py", SimpleFileOptions::default()).unwrap();
        zip.write_all(b"print(1)\n").unwrap();
        zip.finish().unwrap().into_inner()
    };
    assert_eq!(paths(&streamed), ["a.py"]);
    let mut encrypted = zipped(&[("a", 0o644, b"x")]);
    // The flag that the file is encrypted, in its header and in the list.
    encrypted[6] |= 1;
    let listed = encrypted.windows(4).position(|it| it == b"PK\x01\x02").unwrap();
    encrypted[listed + 8] |= 1;
    assert!(matches!(packed(&encrypted), Err(BundleError::Archive(_))));
    let mut lying = zipped(&[("a", 0o644, &[b'x'; 1000])]);
    let listed = lying.windows(4).position(|it| it == b"PK\x01\x02").unwrap();
    lying[listed + 24..listed + 28].copy_from_slice(&10_u32.to_le_bytes());
    assert!(packed(&lying).is_err_and(|it| it.is_of_sender()));
    let mut overlapping = zipped(&[("a", 0o644, b"x"), ("b", 0o644, b"y")]);
    let first = overlapping.windows(4).position(|it| it == b"PK\x01\x02").unwrap();
    let second =
        first + 1 + overlapping[first + 1..].windows(4).position(|it| it == b"PK\x01\x02").unwrap();
    overlapping[second + 42..second + 46].copy_from_slice(&0_u32.to_le_bytes());
    assert!(packed(&overlapping).is_err_and(|it| it.is_of_sender()));
    let mut link = ZipWriter::new(Cursor::new(Vec::new()));
    link.add_symlink("a", "/etc/passwd", SimpleFileOptions::default()).unwrap();
    let link = link.finish().unwrap().into_inner();
    assert!(matches!(fault(&link), BundleFault::Kind { .. }));
}

#[test]
fn a_folder_is_read_without_following_anything() {
    let folder = tempfile::tempdir().unwrap();
    let unfinished = tempfile::tempdir().unwrap();
    let pack = || pack_folder(folder.path(), unfinished.path());
    let kind = || match pack() {
        Err(BundleError::Fault(BundleFault::Kind { kind, .. })) => kind,
        other => panic!("{other:?}"),
    };
    assert!(matches!(pack(), Err(BundleError::Fault(BundleFault::Empty))));
    fs::create_dir_all(folder.path().join(".git/objects")).unwrap();
    fs::create_dir_all(folder.path().join("grade/__pycache__")).unwrap();
    fs::write(folder.path().join("grade/__pycache__/x.pyc"), "").unwrap();
    fs::write(folder.path().join("main.py"), "").unwrap();
    let files: Vec<_> = pack().unwrap().manifest().files().to_vec();
    assert_eq!(files.len(), 1, "{files:?}");
    symlink("/etc", folder.path().join("link")).unwrap();
    assert_eq!(kind(), "a symbolic link");
    fs::remove_file(folder.path().join("link")).unwrap();
    let fifo = folder.path().join("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    assert_eq!(kind(), "a pipe");
    fs::remove_file(fifo).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(folder.path().join("socket")).unwrap();
    assert_eq!(kind(), "a socket");
    // Nothing unfinished is left.
    drop(files);
    assert_eq!(fs::read_dir(unfinished.path()).unwrap().count(), 0);
}

#[test]
fn a_layer_has_the_files_in_their_place_and_passes_the_check() {
    let unfinished = tempfile::tempdir().unwrap();
    let mut packer = Packer::new(unfinished.path()).unwrap();
    let long = format!("{}/ü.py", "d".repeat(150));
    packer.add("bin/tool", None, Some(true), &b"\x7fELF"[..]).unwrap();
    packer.add(&long, None, None, &b"x"[..]).unwrap();
    let packed = packer.finish().unwrap();
    let layer = tempfile::NamedTempFile::new().unwrap();
    let mut bytecode = tempfile::tempfile().unwrap();
    let cached = |name: &str| format!("opt/bundle/{}/__pycache__/{name}", "d".repeat(150));
    let mut tar = tar::Builder::new(&mut bytecode);
    for name in [cached("ü.cpython-313.pyc"), cached("other.cpython-313.pyc"), "etc/x".to_owned()]
    {
        let mut header = Header::new_gnu();
        header.set_size(1);
        header.set_mode(0o4755);
        tar.append_data(&mut header, name, &b"c"[..]).unwrap();
    }
    tar.finish().unwrap();
    drop(tar);
    bytecode.rewind().unwrap();
    let packages = "opt/env/lib/python3.13/site-packages".to_owned();
    let python = PythonParts { packages, bytecode: Some(bytecode) };
    write_layer(packed.path(), packed.digest(), Some(python), layer.as_file()).unwrap();
    let places = ["opt/bundle", "opt/env/lib"];
    crate::images::layer::check(File::open(layer.path()).unwrap(), &places).unwrap();
    let mut tar = tar::Archive::new(File::open(layer.path()).unwrap());
    let entries: Vec<_> = tar
        .entries()
        .unwrap()
        .map(|it| {
            let it = it.unwrap();
            (it.path().unwrap().display().to_string(), it.header().mode().unwrap())
        })
        .collect();
    assert_eq!(entries[0], ("opt/".to_owned(), 0o755));
    let cache = entries.iter().filter(|(path, _)| path.ends_with(".pyc")).collect::<Vec<_>>();
    assert_eq!(cache, [&(cached("ü.cpython-313.pyc"), 0o444)]);
    assert!(!entries.iter().any(|(path, _)| path.starts_with("etc")));
    assert!(entries.contains(&("opt/bundle/bin/tool".to_owned(), 0o555)), "{entries:?}");
    assert!(entries.contains(&(format!("opt/bundle/{long}"), 0o444)), "{entries:?}");
}

#[test]
fn a_damaged_archive_is_noticed_before_it_is_used() {
    let unfinished = tempfile::tempdir().unwrap();
    let mut packer = Packer::new(unfinished.path()).unwrap();
    packer.add("a", None, None, &b"content"[..]).unwrap();
    let packed = packer.finish().unwrap();
    let shelf = Shelf::new(unfinished.path());
    shelf.keep(&packed).unwrap();
    shelf.keep(&packed).unwrap();
    let place = shelf.place(packed.digest());
    let read = || read_files(&place, packed.digest(), &["a"], 100);
    assert_eq!(read().unwrap()["a"], b"content");
    let mut bytes = fs::read(&place).unwrap();
    bytes[512] ^= 1;
    fs::remove_file(&place).unwrap();
    fs::write(&place, bytes).unwrap();
    assert!(matches!(read(), Err(BundleError::Damaged(_))));
    fs::remove_file(&place).unwrap();
    assert!(matches!(read(), Err(BundleError::Missing(_))));
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None, cases: 200, ..ProptestConfig::default()
    })]

    #[test]
    fn any_bytes_are_a_bundle_or_refused(
        begin in prop::sample::select(vec![&b""[..], b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b\x08"]),
        bytes in prop::collection::vec(any::<u8>(), 0..2000),
    ) {
        if let Err(error) = packed(&[begin, &bytes].concat()) {
            prop_assert!(error.is_of_sender(), "{}", error);
        }
    }

    #[test]
    fn an_archive_with_any_byte_changed_is_a_bundle_or_refused(
        at in 0..3000_usize, to in any::<u8>(), form in 0..3,
    ) {
        let tar = ended(&[plain("a.py", b"x"), plain("lib/b.py", &[b'y'; 600])]);
        let mut archive = match form {
            0 => tar,
            1 => gzip(&tar),
            _ => zipped(&[("a.py", 0o644, b"x"), ("lib/b.py", 0o755, &[b'y'; 600])]),
        };
        let at = at % archive.len();
        archive[at] = to;
        match packed(&archive) {
            Ok(packed) => {
                let again: Manifest = packed.manifest().to_string().parse().unwrap();
                prop_assert_eq!(&again, packed.manifest());
            }
            Err(error) => prop_assert!(error.is_of_sender(), "{}", error),
        }
    }
}
