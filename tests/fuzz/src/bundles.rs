//! An archive that a caller sends as a bundle: a tar, a tar in gzip, or a zip. Checksums of what
//! looks like a tar's header are put right, so that not every change is refused for its own sake.

use std::fs::File;
use std::io::{Seek, Write};

use gantry::bundles::{Packed, pack_archive, read_files};
use gantry::domain::bundle::{MAX_BYTES, MAX_DEPTH, MAX_FILES};

const BLOCK: usize = 512;
const SUM: std::ops::Range<usize> = 148..156;

/// A bundle that is taken is within the limits, stays below its folder, and is packed into an archive that
/// is read again as the same bundle.
pub fn hold(input: &[u8]) -> bool {
    let mut archive = input.to_vec();
    for block in archive.chunks_exact_mut(BLOCK).filter(|it| &it[257..262] == b"ustar") {
        block[SUM].fill(b' ');
        let sum: u32 = block.iter().map(|it| u32::from(*it)).sum();
        block[SUM].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
    let folder = tempfile::tempdir().expect("there is room");
    let mut file = tempfile::tempfile_in(folder.path()).expect("there is room");
    file.write_all(&archive).and_then(|()| file.rewind()).expect("there is room");
    match pack_archive(file, folder.path()) {
        Ok(packed) => {
            is_a_bundle(&packed);
            let again = File::open(packed.path()).expect("it is there");
            let again = pack_archive(again, folder.path()).expect("it is an archive of ours");
            assert_eq!(again.manifest(), packed.manifest());
            assert_eq!(again.archive_digest(), packed.archive_digest());
            true
        }
        Err(error) => {
            assert!(error.is_of_sender(), "{error}");
            super::is_short(&error.to_string());
            false
        }
    }
}

fn is_a_bundle(packed: &Packed) {
    let manifest = packed.manifest();
    assert!((1..=MAX_FILES).contains(&manifest.files().len()));
    assert!(manifest.bytes() <= MAX_BYTES);
    for file in manifest.files() {
        let parts: Vec<_> = file.path.split('/').collect();
        assert!(parts.len() <= MAX_DEPTH && !file.path.contains(['\0', '\n', '\\']));
        assert!(parts.iter().all(|it| !matches!(*it, "" | "." | "..") && !it.starts_with(".wh.")));
    }
    let paths: Vec<_> = manifest.files().iter().map(|it| it.path.as_str()).collect();
    let read = read_files(packed.path(), packed.digest(), &paths, u64::MAX).expect("all are there");
    for file in manifest.files() {
        assert_eq!(read.get(&file.path).map(|it| it.len() as u64), Some(file.bytes));
    }
}
