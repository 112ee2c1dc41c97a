//! Files and folders that only Gantry's account may read. The data folder holds variables,
//! inputs, outputs and artifacts: its folders have mode 0700 and its files 0600, whatever
//! the umask, and a server corrects the modes of existing ones. Some file systems have no
//! modes, or refuse to change them; the server logs that and starts all the same.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::Mode;

/// Mode of files.
pub const FILE_MODE: u32 = 0o600;

/// Mode of folders.
const FOLDER_MODE: u32 = 0o700;

/// Permission bits of group and others.
const OTHERS: u32 = 0o077;

/// Folders that Gantry creates in its data folder.
const FOLDERS: [&str; 7] =
    ["artifacts", "bundles", "environments", "layers", "locks", "processes", "staging"];

/// Folders that Gantry creates there, and that close what is in them: its modes are for
/// sandboxes, which see it elsewhere, and it may be too much to look at.
const SEALED: [&str; 2] = ["files", "scratch"];

/// Prefixes of the names of files that it creates there.
const FILES: [&str; 4] = ["gantry.db", "gantry.lock", "installation", "server.lock"];

/// Files and folders that other users of the machine can access.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exposed {
    /// Path of one of them.
    pub path: PathBuf,
    /// Mode of that path.
    pub mode: u32,
}

/// Sets the umask of this process, so that all new files, including those of libraries, are
/// closed to group and others.
pub fn restrict_umask() {
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
}

/// Creates a folder and its missing ancestors.
///
/// # Errors
/// [`io::Error`] if it can't be created.
pub fn create_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder)
}

/// Opens a file to append to it; creates it if it is missing.
///
/// # Errors
/// [`io::Error`] if it can't be opened.
pub fn open_to_append(path: &Path) -> io::Result<File> {
    File::options().create(true).append(true).mode(FILE_MODE).open(path)
}

/// Closes the data folder and everything that Gantry created in it to other users. Returns
/// those that stay accessible. Skips the folder itself if it contains other programs'
/// folders, and everything that is not Gantry's.
#[must_use]
pub fn close_data_folder(folder: &Path) -> Vec<Exposed> {
    let mut exposed = Vec::new();
    if is_gantrys_alone(folder) {
        close(folder, &mut exposed);
    }
    for path in own_entries(folder) {
        match SEALED.iter().any(|sealed| path.ends_with(sealed)) {
            true => close(&path, &mut exposed),
            false => close_all(&path, &mut exposed),
        }
    }
    exposed
}

/// Closes a file to other users. Returns it if it stays accessible. A missing file is
/// accessible to nobody.
#[must_use]
pub fn close_file(path: &Path) -> Option<Exposed> {
    let mut exposed = Vec::new();
    close(path, &mut exposed);
    exposed.pop()
}

/// An SQLite database and the files that SQLite puts beside it (sqlite.org, "Temporary Files").
pub fn database_files(database: &Path) -> impl Iterator<Item = PathBuf> {
    ["", "-wal", "-shm", "-journal"].into_iter().map(|end| {
        let mut path = database.as_os_str().to_owned();
        path.push(end);
        path.into()
    })
}

/// Finds a file of an SQLite database that other users can access. In a folder that is
/// closed to them they can access none.
#[must_use]
pub fn exposed_database(database: &Path) -> Option<Exposed> {
    let folder = database.parent().filter(|it| !it.as_os_str().is_empty());
    open_to_others(folder.unwrap_or(Path::new(".")))?;
    database_files(database).find_map(|path| open_to_others(&path))
}

/// Finds files in a data folder that other users can access, without changing anything and
/// without a complete search.
#[must_use]
pub fn exposed(folder: &Path) -> Option<Exposed> {
    open_to_others(folder)?;
    own_entries(folder).find_map(|path| open_to_others(&path))
}

/// False if a folder contains others' folders, such as a home folder, or is shared, such as
/// `/tmp`.
fn is_gantrys_alone(folder: &Path) -> bool {
    let is_common = fs::metadata(folder).is_ok_and(|it| it.mode() & 0o1000 != 0);
    let others = entries(folder).filter(|path| is_folder(path) && !is_own(path));
    !is_common && others.count() == 0
}

/// True for a folder, but not for a link to one.
fn is_folder(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|it| it.is_dir())
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path())
}

fn own_entries(folder: &Path) -> impl Iterator<Item = PathBuf> {
    entries(folder).filter(|path| is_own(path))
}

fn is_own(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let is_folder = FOLDERS.contains(&&*name) || SEALED.contains(&&*name);
    is_folder || FILES.iter().any(|file| name.starts_with(file))
}

/// Does the same for everything below it. Links are not followed.
fn close_all(path: &Path, exposed: &mut Vec<Exposed>) {
    close(path, exposed);
    if is_folder(path) {
        entries(path).for_each(|entry| close_all(&entry, exposed));
    }
}

fn close(path: &Path, exposed: &mut Vec<Exposed>) {
    let Some(open) = open_to_others(path) else { return };
    let mode = if is_folder(path) { FOLDER_MODE } else { FILE_MODE };
    // Some file systems report success, but change nothing.
    let _ = fs::set_permissions(path, Permissions::from_mode(mode));
    if open_to_others(path).is_some() {
        exposed.push(open);
    }
}

fn open_to_others(path: &Path) -> Option<Exposed> {
    let metadata = fs::symlink_metadata(path).ok().filter(|it| !it.is_symlink())?;
    let mode = metadata.mode() & 0o7777;
    (mode & OTHERS != 0).then(|| Exposed { path: path.to_owned(), mode })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    /// A data folder as a server with umask 0 would have left it.
    fn open_folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("artifacts/1")).unwrap();
        for file in ["gantry.db", "gantry.db-wal", "installation", "artifacts/1/0"] {
            fs::write(folder.path().join(file), "x").unwrap();
            set_mode(&folder.path().join(file), 0o666);
        }
        for name in ["artifacts/1", "artifacts", ""] {
            set_mode(&folder.path().join(name), 0o777);
        }
        folder
    }

    #[test]
    fn what_is_made_is_for_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let made = folder.path().join("a/b");
        create_folder(&made).unwrap();
        create_folder(&made).unwrap();
        open_to_append(&made.join("c")).unwrap();
        assert_eq!((mode(&folder.path().join("a")), mode(&made)), (0o700, 0o700));
        assert_eq!(mode(&made.join("c")), 0o600);
    }

    #[test]
    fn what_was_open_is_closed() {
        let folder = open_folder();
        assert!(exposed(folder.path()).is_some());
        assert_eq!(close_data_folder(folder.path()), []);
        for (name, expected) in [
            ("", 0o700),
            ("artifacts", 0o700),
            ("artifacts/1", 0o700),
            ("artifacts/1/0", 0o600),
            ("gantry.db", 0o600),
            ("gantry.db-wal", 0o600),
            ("installation", 0o600),
        ] {
            assert_eq!(mode(&folder.path().join(name)), expected, "{name}");
        }
        assert_eq!(exposed(folder.path()), None);
    }

    #[test]
    fn a_sealed_folder_is_closed_and_what_is_in_it_stays_as_it_is() {
        let folder = open_folder();
        let object = folder.path().join("files/object");
        fs::create_dir(folder.path().join("files")).unwrap();
        fs::write(&object, "x").unwrap();
        set_mode(&object, 0o444);
        set_mode(&folder.path().join("files"), 0o755);
        assert_eq!(close_data_folder(folder.path()), []);
        assert_eq!((mode(folder.path()), mode(&folder.path().join("files"))), (0o700, 0o700));
        assert_eq!(mode(&object), 0o444);
    }

    #[test]
    fn what_is_not_gantrys_stays_as_it_is() {
        let folder = open_folder();
        let outside = tempfile::tempdir().unwrap();
        let (others, program) = (folder.path().join("bin"), folder.path().join("bin/program"));
        fs::create_dir(&others).unwrap();
        fs::write(&program, "x").unwrap();
        fs::write(outside.path().join("file"), "x").unwrap();
        set_mode(&others, 0o755);
        set_mode(&program, 0o755);
        set_mode(&outside.path().join("file"), 0o644);
        std::os::unix::fs::symlink(outside.path(), folder.path().join("artifacts/link")).unwrap();
        assert_eq!(close_data_folder(folder.path()), []);
        assert_eq!((mode(folder.path()), mode(&others), mode(&program)), (0o777, 0o755, 0o755));
        assert_eq!(mode(&outside.path().join("file")), 0o644);
        assert_eq!(mode(&folder.path().join("artifacts/1/0")), 0o600);
        assert_eq!(exposed(folder.path()), None);
    }

    #[test]
    fn a_common_folder_stays_common() {
        let folder = open_folder();
        set_mode(folder.path(), 0o1777);
        assert_eq!(close_data_folder(folder.path()), []);
        assert_eq!(mode(folder.path()), 0o1777);
        assert_eq!(mode(&folder.path().join("gantry.db")), 0o600);
    }

    #[test]
    fn a_database_is_exposed_by_any_of_its_files_in_an_open_folder() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("jobs.db");
        assert_eq!(exposed_database(&database), None);
        for name in ["jobs.db", "jobs.db-wal"] {
            fs::write(folder.path().join(name), "x").unwrap();
            set_mode(&folder.path().join(name), 0o600);
        }
        set_mode(folder.path(), 0o755);
        assert_eq!(exposed_database(&database), None);
        for name in ["jobs.db", "jobs.db-wal"] {
            let path = folder.path().join(name);
            set_mode(&path, 0o640);
            assert_eq!(exposed_database(&database), Some(Exposed { path, mode: 0o640 }));
            set_mode(&folder.path().join(name), 0o600);
        }
        set_mode(&database, 0o666);
        set_mode(folder.path(), 0o700);
        assert_eq!(exposed_database(&database), None);
    }

    #[test]
    fn what_can_not_be_closed_is_said() {
        // The modes of a process's own files can't be changed, even by root (proc(5)).
        let path = Path::new("/proc/self/status");
        assert_eq!(close_file(path), Some(Exposed { path: path.to_owned(), mode: 0o444 }));
        assert_eq!(close_file(Path::new("/nowhere/at/all")), None);
    }
}
