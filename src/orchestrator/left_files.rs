//! Moving the files that a script left on disk to where they are kept. The container has
//! ended, and what is moved was looked at then: nothing but this process changes it.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use crate::domain::execution::{Artifact, Report};
use crate::domain::outcome::{ErrorKind, Outcome, Status};
use crate::private_files::{FILE_MODE, create_folder};
use crate::sandbox::{LeftFile, LeftState};

/// Files above which the whole file system is written out at once, in place of each file.
const SYNCED_ONE_BY_ONE: usize = 32;

/// Reason that a file is not kept.
const NOT_KEPT: &str = "it could not be stored";

/// Moves files into a folder, where they are called by their numbers. When this returns,
/// they survive a power failure there. Answers with those that could not be moved.
pub(super) fn keep(left: &[LeftFile], folder: &Path) -> Vec<(usize, io::Error)> {
    if let Err(error) = prepare(left, folder) {
        let all = left.iter().map(|file| (file.position, io::Error::new(error.kind(), "")));
        return all.collect();
    }
    let mut failed: Vec<_> = left
        .iter()
        .filter_map(|file| Some((file.position, keep_one(file, folder).err()?)))
        .collect();
    if let Err(error) = File::open(folder).and_then(|it| it.sync_all()) {
        failed.push((0, error));
    }
    failed
}

/// Makes the folder, and writes the files' content out.
fn prepare(left: &[LeftFile], folder: &Path) -> io::Result<()> {
    create_folder(folder)?;
    if let Some(parent) = folder.parent() {
        File::open(parent)?.sync_all()?;
    }
    let mut present = left.iter().filter(|it| it.state == LeftState::Present);
    let Some(first) = present.next() else { return Ok(()) };
    if left.len() > SYNCED_ONE_BY_ONE {
        return Ok(rustix::fs::syncfs(File::open(&first.path)?)?);
    }
    [first].into_iter().chain(present).try_for_each(|file| File::open(&file.path)?.sync_all())
}

fn keep_one(file: &LeftFile, folder: &Path) -> io::Result<()> {
    let place = folder.join(file.position.to_string());
    match file.state {
        LeftState::Present => {
            // It belongs to the sandbox's user, whom a server without rights can't change.
            let _ = fs::set_permissions(&file.path, Permissions::from_mode(FILE_MODE));
            move_to(&file.path, &place, FILE_MODE)
        }
        // An earlier process has moved it, and has not come to store the end.
        LeftState::Gone => match fs::symlink_metadata(&place) {
            Ok(kept) if kept.is_file() && kept.len() == file.bytes => Ok(()),
            Ok(_) => Err(io::Error::other("another file is kept in its place")),
            Err(error) => Err(error),
        },
        LeftState::Changed => Err(io::Error::other("it is not what the sandbox said")),
    }
}

/// Moves a file; between file systems it is copied, with this mode.
fn move_to(from: &Path, to: &Path, mode: u32) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => copy(from, to, mode),
        moved => moved,
    }
}

/// Copies a file. What is there of a copy that was cut short is replaced.
fn copy(from: &Path, to: &Path, mode: u32) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut target = options.write(true).create(true).truncate(true).mode(mode).open(to)?;
    io::copy(&mut File::open(from)?, &mut target)?;
    target.sync_all()?;
    fs::remove_file(from)
}

/// Moves files to a folder of the caller's under the names that the script gave them, and
/// notes those that could not be moved. Without a folder they are only counted.
pub(super) async fn hand_over(left: Vec<LeftFile>, folder: Option<&Path>, report: &mut Report) {
    let target = folder.map(Path::to_owned);
    let moving = tokio::task::spawn_blocking(move || {
        let wanted = left.iter().filter(|it| target.is_some() || it.state != LeftState::Present);
        let failed = wanted.filter_map(|file| {
            let failure = match (&target, file.state) {
                (Some(folder), LeftState::Present) => give(file, folder).err()?,
                _ => io::Error::other("it is not what the sandbox said"),
            };
            Some((file.position, failure))
        });
        failed.collect::<Vec<_>>()
    });
    let failed = moving.await.unwrap_or_else(|error| vec![(0, io::Error::other(error))]);
    let mut lost = Vec::new();
    for (position, error) in failed {
        if let Some(Artifact { name, skipped, .. }) = report.artifacts.get_mut(position) {
            *skipped = Some(NOT_KEPT.to_owned());
            lost.push(format!("{name}: {error}"));
        }
    }
    note_lost(&lost, &mut report.outcome);
}

/// Fails a run that lost a file: nobody must take it for a success.
fn note_lost(lost: &[String], outcome: &mut Outcome) {
    let Some(first) = lost.first() else { return };
    if outcome.status == Status::Completed {
        let message = format!("{} of its files could not be kept: {first}", lost.len());
        let exit_code = outcome.exit_code;
        *outcome = Outcome { exit_code, ..Outcome::failed(ErrorKind::SandboxFailed, message) };
    }
}

/// Moves a file to its name below a folder, where nothing may be yet. It becomes the
/// caller's where the caller has the right to that.
fn give(file: &LeftFile, folder: &Path) -> io::Result<()> {
    let place = folder.join(&file.name);
    if let Some(parent) = place.parent() {
        fs::create_dir_all(parent)?;
    }
    if fs::symlink_metadata(&place).is_ok() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    let mode = if file.executable { 0o755 } else { 0o644 };
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(&file.path, Some(0), Some(0))?;
        fs::set_permissions(&file.path, Permissions::from_mode(mode))?;
    }
    move_to(&file.path, &place, mode)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn left(folder: &Path, contents: &[&str]) -> Vec<LeftFile> {
        let file = |(position, content): (usize, &&str)| {
            let path = folder.join(format!("left-{position}"));
            fs::write(&path, content).unwrap();
            LeftFile {
                position,
                name: format!("folder/{position}"),
                path,
                bytes: content.len() as u64,
                executable: position == 1,
                state: LeftState::Present,
            }
        };
        contents.iter().enumerate().map(file).collect()
    }

    fn kept(folder: &Path, name: &str) -> String {
        fs::read_to_string(folder.join(name)).unwrap()
    }

    #[test]
    fn files_are_moved_by_number_and_may_have_been_moved_before() {
        let root = tempfile::tempdir().unwrap();
        let (folder, mut files) = (root.path().join("kept"), left(root.path(), &["a", "bb"]));
        assert!(keep(&files, &folder).is_empty());
        assert_eq!((kept(&folder, "0"), kept(&folder, "1")), ("a".into(), "bb".into()));
        assert!(!files[0].path.exists());
        files.iter_mut().for_each(|it| it.state = LeftState::Gone);
        assert!(keep(&files, &folder).is_empty(), "again");
        files[1].bytes = 3;
        files.push(LeftFile { position: 2, state: LeftState::Changed, ..files[0].clone() });
        files.push(LeftFile { position: 3, ..files[0].clone() });
        let failed: Vec<_> = keep(&files, &folder).into_iter().map(|(at, _)| at).collect();
        assert_eq!(failed, [1, 2, 3], "another one, one that lies, and one that is lost");
    }

    #[test]
    fn many_files_are_moved_as_well() {
        let root = tempfile::tempdir().unwrap();
        let contents = vec!["x"; SYNCED_ONE_BY_ONE + 1];
        let (folder, files) = (root.path().join("kept"), left(root.path(), &contents));
        assert!(keep(&files, &folder).is_empty());
        assert_eq!(fs::read_dir(&folder).unwrap().count(), contents.len());
    }

    #[test]
    fn a_copy_is_whole_or_replaced() {
        let root = tempfile::tempdir().unwrap();
        let (from, to) = (root.path().join("from"), root.path().join("to"));
        fs::write(&from, "whole").unwrap();
        fs::write(&to, "a copy that was cut").unwrap();
        copy(&from, &to, 0o600).unwrap();
        assert_eq!(fs::read_to_string(&to).unwrap(), "whole");
        assert!(!from.exists());
    }

    #[test]
    fn what_is_given_has_its_name_and_replaces_nothing() {
        let root = tempfile::tempdir().unwrap();
        let (folder, files) = (root.path().join("mine"), left(root.path(), &["a", "b"]));
        files.iter().for_each(|file| give(file, &folder).unwrap());
        let mode =
            |name: &str| fs::metadata(folder.join(name)).unwrap().permissions().mode() & 0o111 != 0;
        assert_eq!((mode("folder/0"), mode("folder/1")), (false, true));
        let again = left(root.path(), &["c"]);
        assert_eq!(give(&again[0], &folder).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(kept(&folder, "folder/0"), "a");
        let nowhere = LeftFile { path: PathBuf::from("/nowhere/at/all"), ..again[0].clone() };
        assert!(give(&LeftFile { name: "other".into(), ..nowhere }, &folder).is_err());
    }
}
