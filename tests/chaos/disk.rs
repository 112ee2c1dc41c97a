//! A small disk that only the server sees: a mount of its own, in a namespace
//! that a process holds which ends with the test.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// More than a server wants to have free before it says that it is ready.
const SIZE_MIB: u64 = 384;

/// Holds the namespace until its stdin ends.
const HOLD: &str = "mount -t tmpfs -o \"size=$2m,mode=755\" none \"$1\" && echo ready && cat; :";

/// A small disk that is mounted on a folder.
pub(crate) struct Disk {
    holder: Child,
    folder: PathBuf,
}

impl Disk {
    pub(crate) fn on(folder: &Path) -> Self {
        fs::create_dir_all(folder).unwrap();
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation=slave", "sh", "-c", HOLD, "sh"]);
        command.arg(folder).arg(SIZE_MIB.to_string());
        let mut holder = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut ready = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        assert_eq!(ready, "ready\n", "the disk of the server could not be mounted");
        Self { holder, folder: folder.to_owned() }
    }

    /// What a command has to stand behind to see it.
    pub(crate) fn within(&self) -> [String; 3] {
        let namespace = format!("--mount=/proc/{}/ns/mnt", self.holder.id());
        ["nsenter".to_owned(), namespace, "--".to_owned()]
    }

    /// The folder as this process sees it.
    pub(crate) fn seen_from_here(&self) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.id()));
        root.join(self.folder.strip_prefix("/").unwrap())
    }

    /// Takes all the room there is, until the value is dropped.
    pub(crate) fn fill(&self) -> Filler {
        let path = self.seen_from_here().join("filler");
        let mut file = File::create(&path).unwrap();
        let piece = vec![0; 256 * 1024];
        while file.write_all(&piece).is_ok() {}
        while file.write_all(&[0; 512]).is_ok() {}
        Filler(path)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        let _ = self.holder.wait();
    }
}

/// A file that takes all the room there is.
pub(crate) struct Filler(PathBuf);

impl Drop for Filler {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
