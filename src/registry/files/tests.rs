use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("root/below")).unwrap();
        fs::create_dir(folder.path().join("outside")).unwrap();
        fs::write(folder.path().join("root/a.sh"), "inside").unwrap();
        fs::write(folder.path().join("root/below/b.sh"), "below").unwrap();
        fs::write(folder.path().join("outside/a.sh"), "SECRET").unwrap();
        Self { folder }
    }

    fn path(&self, below: &str) -> String {
        self.folder.path().join(below).to_str().unwrap().to_owned()
    }

    fn roots(&self) -> Vec<PathBuf> {
        vec![self.folder.path().join("root")]
    }

    fn read(&self, below: &str) -> Result<String, FileFault> {
        let file = read_below(&self.roots(), &self.path(below), 100)?;
        Ok(String::from_utf8(file.bytes).unwrap())
    }
}

#[test]
fn files_below_a_root_are_read() {
    let place = Place::new();
    assert_eq!(place.read("root/a.sh").unwrap(), "inside");
    assert_eq!(place.read("root//below/b.sh").unwrap(), "below");
    let path = place.path("root/a.sh");
    assert!(!read_below(&place.roots(), &path, 100).unwrap().is_executable);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    assert!(read_below(&place.roots(), &path, 100).unwrap().is_executable);
}

#[test]
fn links_inside_the_root_are_followed() {
    let place = Place::new();
    symlink("below", place.path("root/current")).unwrap();
    symlink(place.path("root/below/b.sh"), place.path("root/link.sh")).unwrap();
    symlink(place.path("root"), place.path("way-in")).unwrap();
    for below in ["root/current/b.sh", "root/link.sh", "way-in/below/b.sh"] {
        assert_eq!(place.read(below).unwrap(), "below", "{below}");
    }
    // The root is a link itself.
    let roots = vec![place.folder.path().join("way-in")];
    assert!(read_below(&roots, &place.path("way-in/a.sh"), 100).is_ok());
    assert!(read_below(&roots, &place.path("root/a.sh"), 100).is_ok());
}

#[test]
fn nothing_leads_out() {
    let place = Place::new();
    symlink(place.path("outside"), place.path("root/out")).unwrap();
    symlink(place.path("outside/a.sh"), place.path("root/out.sh")).unwrap();
    for below in ["root/out/a.sh", "root/out.sh"] {
        let fault = place.read(below).unwrap_err();
        assert!(matches!(fault, FileFault::LeadsOut(_)), "{fault:?}");
        assert!(!fault.shown().contains("outside"), "{}", fault.shown());
    }
    for below in ["outside/a.sh", "outside/nothing", "root-2/a.sh"] {
        assert!(matches!(place.read(below), Err(FileFault::OutsideRoots(_))), "{below}");
    }
    let fault = read_below(&[], &place.path("root/a.sh"), 100).unwrap_err();
    assert!(matches!(fault, FileFault::NoRoots(_)));
}

#[test]
fn odd_paths_are_refused() {
    let place = Place::new();
    let long = format!("/{}", "x/".repeat(3_000));
    let dotted = place.path("root/../outside/a.sh");
    let here = place.path("root/./a.sh");
    for path in ["", "a.sh", "root/a.sh", "../a", "/a\0b", &dotted, &here, &long] {
        let fault = read_below(&place.roots(), path, 100).unwrap_err();
        assert!(matches!(fault, FileFault::Path(_)), "{path:?}: {fault:?}");
        assert!(fault.to_string().len() < 1_000);
    }
}

#[test]
fn only_regular_files_of_bounded_size_are_read() {
    let place = Place::new();
    let pipe = place.path("root/pipe");
    rustix::fs::mknodat(CWD, &pipe, FileType::Fifo, Mode::RWXU, 0).unwrap();
    // It would block until a writer opens it.
    assert!(matches!(place.read("root/pipe"), Err(FileFault::NotAFile { kind: "a pipe", .. })));
    for folder in ["root", "root/below"] {
        let fault = place.read(folder).unwrap_err();
        assert!(matches!(fault, FileFault::NotAFile { kind: "a folder", .. }), "{fault:?}");
    }
    fs::write(place.path("root/large"), [b'x'; 101]).unwrap();
    assert!(matches!(place.read("root/large"), Err(FileFault::TooLarge { limit: 100, .. })));
    fs::write(place.path("root/full"), [b'x'; 100]).unwrap();
    assert!(place.read("root/full").is_ok());
    let fault = place.read("root/missing").unwrap_err();
    assert!(fault.to_string().contains("No such file"), "{fault}");
}

#[test]
fn both_ways_of_opening_follow_no_link() {
    let place = Place::new();
    symlink(place.path("outside"), place.path("root/out")).unwrap();
    symlink("a.sh", place.path("root/link.sh")).unwrap();
    let root = place.folder.path().join("root");
    let folder = || openat(CWD, &root, OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).unwrap();
    for below in ["out/a.sh", "link.sh"] {
        assert!(open_below(&root, Path::new(below)).is_err(), "{below}");
        assert!(open_stepwise(folder(), Path::new(below)).is_err(), "{below}");
    }
    assert!(open_stepwise(folder(), Path::new("below/b.sh")).is_ok());
    assert!(open_stepwise(folder(), Path::new("../outside/a.sh")).is_err());
}

#[test]
fn a_link_swapped_in_between_leads_nowhere_else() {
    let place = Place::new();
    // Two alternate under one name: a folder inside, and a link out.
    fs::create_dir(place.path("root/turn")).unwrap();
    fs::write(place.path("root/turn/a.sh"), "inside").unwrap();
    symlink(place.path("outside"), place.path("root/other")).unwrap();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (one, other) = (place.path("root/turn"), place.path("root/other"));
            while !is_over.load(Ordering::Relaxed) {
                let exchange = rustix::fs::RenameFlags::EXCHANGE;
                rustix::fs::renameat_with(CWD, &one, CWD, &other, exchange).unwrap();
            }
        });
        let mut seen = 0;
        for _ in 0..5_000 {
            if let Ok(content) = place.read("root/turn/a.sh") {
                assert_eq!(content, "inside");
                seen += 1;
            }
        }
        is_over.store(true, Ordering::Relaxed);
        assert!(seen > 0, "it was never read at all");
    });
}
