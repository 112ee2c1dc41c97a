//! Data folder of a run. Every run is an installation of its own, so that its containers
//! and images can be told from those of others at the same time; the locks of builds are
//! shared by all.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Once;
use std::time::Duration;

use tempfile::TempDir;

use super::engine;
use super::run::Run;

/// Folders that all installations of the tests share.
const SHARED: [&str; 3] = ["locks", "layers", "used"];

/// Building all images takes a minute or two where the base has to be made.
const IMAGES_WITHIN: Duration = Duration::from_secs(900);

/// A data folder with an id that is known before anything runs.
pub(crate) struct Home {
    folder: TempDir,
    installation: String,
}

impl Home {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let installation = uuid::Uuid::new_v4().simple().to_string();
        fs::create_dir(folder.path().join("data")).unwrap();
        fs::write(folder.path().join("data/installation"), &installation).unwrap();
        for name in SHARED {
            let shared = shared_folder().join(name);
            fs::create_dir_all(&shared).unwrap();
            symlink(shared, folder.path().join("data").join(name)).unwrap();
        }
        Self { folder, installation }
    }

    /// A folder for whatever the run needs.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The value of the label on everything that the run makes.
    pub(crate) fn installation(&self) -> &str {
        &self.installation
    }
}

fn shared_folder() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("gantry")
}

/// Builds the images of all runtimes, unless they are there: a test's own time
/// is not for that.
pub(crate) fn ensure_images() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let known = shared_folder().join(format!("images-{}", fingerprint()));
        let tags = fs::read_to_string(&known).unwrap_or_default();
        if !tags.is_empty() && tags.lines().all(engine::has_image) {
            return;
        }
        // They outlive the run, so they belong to an installation that does, too.
        let build = Run::command(&["images", "build"]).env("GANTRY_DATA_DIR", shared_folder());
        let built = build.within(IMAGES_WITHIN).end();
        assert_eq!(built.code, 0, "{built:?}");
        let tags: Vec<_> = built.text().lines().filter_map(tag_in).map(str::to_owned).collect();
        assert_eq!(tags.len(), 3, "{built:?}");
        fs::write(known, tags.join("\n")).unwrap();
    });
}

/// The tags of the images of all runtimes.
pub(crate) fn image_tags() -> Vec<String> {
    ensure_images();
    let known = shared_folder().join(format!("images-{}", fingerprint()));
    fs::read_to_string(known).unwrap().lines().map(str::to_owned).collect()
}

/// `shell: gantry/shell:9d77… (95 MiB)`
fn tag_in(line: &str) -> Option<&str> {
    line.split_whitespace().find(|word| word.starts_with("gantry/"))
}

/// Another build of Gantry may need other images.
fn fingerprint() -> String {
    let metadata = fs::metadata(env!("CARGO_BIN_EXE_gantry")).unwrap();
    let modified = metadata.modified().unwrap().duration_since(std::time::UNIX_EPOCH).unwrap();
    format!("{}-{}", metadata.len(), modified.as_millis())
}

/// Runs a command of the system that has to succeed.
#[track_caller]
pub(crate) fn system(program: &str, arguments: &[&str]) {
    let status = Command::new(program).args(arguments).status().unwrap();
    assert!(status.success(), "{program} {arguments:?}: {status}");
}
