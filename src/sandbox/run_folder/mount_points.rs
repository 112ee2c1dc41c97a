//! Places in a container's folder of inputs at which the engine mounts files and folders of the
//! host. The container sees that folder read-only, so that the engine can't make them itself.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use gantry_init::artifact_name::is_allowed;
use gantry_init::message::INPUT_DIR;

use super::{INPUTS_MODE, open_folder};
use crate::domain::mount::Mount;

/// Mode of a mount point that is a file.
const FILE_MODE: u32 = 0o444;

/// Makes an empty file or folder for each mount whose target is below `/work/in`.
///
/// # Errors
/// [`io::Error`], also for a source that is not there, and for a target that is no path below
/// that folder.
pub(super) fn make(inputs: &Path, mounts: &[Mount]) -> io::Result<()> {
    for mount in mounts {
        let below = mount.target.strip_prefix(INPUT_DIR).and_then(|it| it.strip_prefix('/'));
        if let Some(below) = below {
            one(inputs, below, fs::metadata(&mount.source)?.is_dir())?;
        }
    }
    Ok(())
}

fn one(inputs: &Path, below: &str, is_folder: bool) -> io::Result<()> {
    if !is_allowed(below) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no path below /work/in"));
    }
    let ends = below.match_indices('/').map(|(end, _)| end);
    for folder in ends.filter_map(|end| below.get(..end)) {
        make_folder(&inputs.join(folder))?;
    }
    let place = inputs.join(below);
    match is_folder {
        true => make_folder(&place),
        // The umask takes nothing from it that matters: the mount hides it.
        false => {
            OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(place).map(drop)
        }
    }
}

/// Makes a folder, unless it is there.
fn make_folder(path: &Path) -> io::Result<()> {
    match open_folder(path, INPUTS_MODE) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(source: &Path, target: &str) -> Mount {
        Mount { source: source.to_owned(), target: target.to_owned(), read_only: true }
    }

    #[test]
    fn files_and_folders_have_a_place_of_their_kind() {
        let host = tempfile::tempdir().unwrap();
        let (inputs, reels) = (host.path().join("in"), host.path().join("reels"));
        fs::create_dir(&inputs).unwrap();
        fs::create_dir(&reels).unwrap();
        let plate = host.path().join("plate.mov");
        fs::write(&plate, "plate").unwrap();
        let mounts = [
            mount(&plate, "/work/in/a/b/plate.mov"),
            mount(&reels, "/work/in/a/reels"),
            mount(&reels, "/data"),
            mount(&reels, "/work/input"),
        ];
        make(&inputs, &mounts).unwrap();
        assert_eq!(fs::read(inputs.join("a/b/plate.mov")).unwrap(), b"");
        assert!(inputs.join("a/reels").is_dir());
        let top: Vec<_> =
            fs::read_dir(&inputs).unwrap().map(|it| it.unwrap().file_name()).collect();
        assert_eq!(top, ["a"]);
    }

    #[test]
    fn nothing_is_made_elsewhere_or_in_the_place_of_another() {
        let host = tempfile::tempdir().unwrap();
        let inputs = host.path().join("in");
        fs::create_dir(&inputs).unwrap();
        for target in ["/work/in/../x", "/work/in//x", "/work/in/"] {
            assert!(make(&inputs, &[mount(host.path(), target)]).is_err(), "{target}");
        }
        let gone = host.path().join("gone");
        assert!(make(&inputs, &[mount(&gone, "/work/in/x")]).is_err());
        let file = host.path().join("file");
        fs::write(&file, "").unwrap();
        let twice = [mount(&file, "/work/in/x"), mount(&file, "/work/in/x")];
        assert!(make(&inputs, &twice).is_err());
        assert_eq!(fs::read_dir(host.path()).unwrap().count(), 2);
    }
}
