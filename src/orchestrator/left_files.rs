//! The files that a script left on disk, on their way to where they are kept. The container
//! has ended, and they were looked at then: nothing but this process changes them.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::domain::execution::{Artifact, Report};
use crate::domain::outcome::{ErrorKind, Outcome, Status};
use crate::sandbox::{LeftFile, LeftState};

/// Reason that a file is not kept.
const NOT_KEPT: &str = "it could not be stored";

/// Gives files second names beside their first ones, from which they can be taken: the first
/// ones stay until the end is stored, so that a process that comes after this one finds all of
/// them again. Answers with the new path of each, by its position.
pub(super) fn second_names(left: &[LeftFile]) -> Vec<(usize, io::Result<PathBuf>)> {
    left.iter().map(|file| (file.position, second_name(file))).collect()
}

fn second_name(file: &LeftFile) -> io::Result<PathBuf> {
    match file.state {
        LeftState::Present => {}
        LeftState::Gone => return Err(io::ErrorKind::NotFound.into()),
        LeftState::Changed => return Err(io::Error::other("it is not what the sandbox said")),
    }
    let second = file.path.with_extension("taken");
    // An earlier process was cut short.
    let _ = fs::remove_file(&second);
    fs::hard_link(&file.path, &second)?;
    Ok(second)
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
    fn files_keep_their_first_names_until_the_end_is_stored() {
        let root = tempfile::tempdir().unwrap();
        let mut files = left(root.path(), &["a", "bb", "c"]);
        // The second time after a restart in the middle.
        for _ in 0..2 {
            for (position, second) in second_names(&files) {
                let second = second.unwrap();
                let first = &files[position].path;
                assert_eq!(fs::read(&second).unwrap(), fs::read(first).unwrap());
            }
        }
        files[1].state = LeftState::Gone;
        files[2].state = LeftState::Changed;
        let found: Vec<_> = second_names(&files).into_iter().map(|(_, it)| it.is_ok()).collect();
        assert_eq!(found, [true, false, false]);
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
