//! Files that a warm-up left when the image was made, in the places where the script
//! looks for them: folders of its own, so that programs can write beside the files, and
//! symbolic links to the files of the image.
//!
//! The files are a package's or a script's: their names are not to be trusted. Links
//! are made before any process of the script's is there, and in new folders alone, so
//! that none comes to lie in a mount.

use std::fs::{create_dir, read_dir};
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

use gantry_init::message::{SCRIPT_DIR, WARM_UP_DIR, WARM_UP_FILES, WORK_DIR};

/// Folders below [`WARM_UP_DIR`], and the places that their files belong to.
const TREES: [(&str, &str); 2] = [("work", WORK_DIR), ("run", SCRIPT_DIR)];

/// Folders in folders at most.
const MAX_DEPTH: usize = 32;

/// Links what there is. A cache that can't be had is filled anew by the script.
pub(crate) fn place() {
    let mut left = WARM_UP_FILES;
    for (tree, place) in TREES {
        let _ = link_all(&Path::new(WARM_UP_DIR).join(tree), Path::new(place), 0, &mut left);
    }
}

fn link_all(from: &Path, to: &Path, depth: usize, left: &mut usize) -> io::Result<()> {
    if depth > MAX_DEPTH {
        return Ok(());
    }
    for entry in read_dir(from)? {
        let entry = entry?;
        if *left == 0 {
            return Ok(());
        }
        *left -= 1;
        let path = to.join(entry.file_name());
        if !entry.file_type()?.is_dir() {
            symlink(entry.path(), path)?;
        } else if create_dir(&path).is_ok() {
            link_all(&entry.path(), &path, depth + 1, left)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, create_dir_all, read_link};

    #[test]
    fn files_are_links_in_folders_that_can_be_written() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        create_dir_all(from.join(".cache/fonts")).unwrap();
        create_dir(&to).unwrap();
        fs::write(from.join(".cache/fonts/list"), "fonts").unwrap();
        link_all(&from, &to, 0, &mut 10).unwrap();
        let list = to.join(".cache/fonts/list");
        assert_eq!(read_link(&list).unwrap(), from.join(".cache/fonts/list"));
        fs::write(to.join(".cache/fonts/other"), "").unwrap();
        assert_eq!(fs::read_to_string(list).unwrap(), "fonts");
    }

    #[test]
    fn a_folder_that_is_there_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        create_dir_all(from.join("mounted")).unwrap();
        create_dir_all(to.join("mounted")).unwrap();
        fs::write(from.join("mounted/file"), "").unwrap();
        link_all(&from, &to, 0, &mut 10).unwrap();
        assert!(!to.join("mounted/file").exists());
    }

    #[test]
    fn the_number_of_links_is_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        create_dir(&from).unwrap();
        create_dir(&to).unwrap();
        (0..5).for_each(|it| fs::write(from.join(it.to_string()), "").unwrap());
        link_all(&from, &to, 0, &mut 3).unwrap();
        assert_eq!(read_dir(&to).unwrap().count(), 3);
    }
}
