//! Data folders of private engines that have the images of the runtimes: loaded
//! once, from the machine's engine, and copied. Layers are never written to, so
//! a copy has the same files; all else is its own.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use bollard::Docker;
use bollard::query_parameters::ImportImageOptions;
use futures::StreamExt;
use sha2::{Digest, Sha256};

use super::{LiveRestore, PrivateEngine, cgroups, other_root};
use crate::testkit::home::{image_tags, system};

/// Prefix of the names of engines; the id of the test's process follows.
const OWN: &str = "gantry-test-";

/// Folders whose files do not change once they are there.
const UNCHANGING: [&str; 5] =
    ["overlay2", "fuse-overlayfs", "vfs", "io.containerd.content.v1.content", "snapshots"];

/// A copy of the data folder with this name.
pub(super) fn copy(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("private-engine");
    fs::create_dir_all(&folder).unwrap();
    let lock = File::create(folder.join("lock")).unwrap();
    lock.lock().unwrap();
    remove_abandoned(&folder);
    let tags = image_tags();
    let template = folder.join(format!("template-{}", key(&tags)));
    if !template.exists() {
        remove_others(&folder);
        build(&tags, &template);
    }
    let data = folder.join(name);
    copy_folder(&template, &data);
    data
}

/// A name that contains the id of its process.
pub(super) fn new_name() -> String {
    format!("{OWN}{}-{}", std::process::id(), uuid::Uuid::new_v4().simple())
}

/// Removes what killed tests have left.
fn remove_abandoned(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let owner = name.strip_prefix(OWN).and_then(|rest| rest.split('-').next());
        if owner.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            let _ = fs::remove_dir_all(entry.path());
            cgroups::remove(&name);
        }
    }
}

/// Other images and other engines need another one.
fn key(tags: &[String]) -> String {
    let mut command = match other_root() {
        Some(root) => {
            let mut command = Command::new("chroot");
            command.arg(root).arg("dockerd");
            command
        }
        None => Command::new("dockerd"),
    };
    let version = command.arg("--version").output().unwrap().stdout;
    let hash = Sha256::digest([tags.join(" ").into_bytes(), version].concat());
    hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

fn remove_others(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name().to_string_lossy().starts_with("template-") {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn build(tags: &[String], template: &Path) {
    let name = new_name();
    let data = template.with_file_name(&name);
    fs::create_dir(&data).unwrap();
    let mut engine = PrivateEngine::on(&name, data.clone(), LiveRestore::Off);
    let tags = tags.to_vec();
    engine.ask(async |private| {
        let machine = Docker::connect_with_defaults().unwrap();
        let tags: Vec<_> = tags.iter().map(String::as_str).collect();
        // What is sent has to outlive this borrow.
        let (sender, receiver) = futures::channel::mpsc::channel(1);
        let saved = machine.export_images(&tags).map(Ok).forward(sender);
        let mut loaded = private.import_image_stream(ImportImageOptions::default(), receiver, None);
        let loading = async {
            while let Some(line) = loaded.next().await {
                line.unwrap();
            }
        };
        let (saved, ()) = futures::join!(saved, loading);
        saved.unwrap();
    });
    engine.stop();
    // A process that dies before this has left a folder that is not taken for a template.
    let whole = template.with_extension("whole");
    let _ = fs::remove_dir_all(&whole);
    engine.keep_data(&whole);
    fs::rename(whole, template).unwrap();
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let (source_text, target_text) = (source.to_str().unwrap(), target.to_str().unwrap());
        if UNCHANGING.iter().any(|name| entry.file_name() == *name) {
            system("cp", &["--archive", "--link", source_text, target_text]);
        } else if holds_unchanging(&source) {
            copy_folder(&source, &target);
        } else {
            system("cp", &["--archive", source_text, target_text]);
        }
    }
}

/// True if one of those is in this folder or in one of its own.
fn holds_unchanging(folder: &Path) -> bool {
    let is_in = |folder: &Path| UNCHANGING.iter().any(|name| folder.join(name).is_dir());
    let folders = fs::read_dir(folder).into_iter().flatten().flatten();
    is_in(folder) || folders.map(|entry| entry.path()).any(|folder| is_in(&folder))
}
