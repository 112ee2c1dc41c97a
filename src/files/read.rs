//! Reading files of the store.

use std::fs::File;
use std::io;
use std::path::PathBuf;

use super::FilesError;

/// Open file of the store. It can be read to its end, even if it is collected meanwhile.
#[derive(Debug)]
pub struct OpenFile {
    /// The file.
    pub file: File,
    /// Its size in bytes.
    pub bytes: u64,
}

/// Opens a file; `None` if it is not there.
pub(super) async fn open(path: PathBuf) -> Result<Option<OpenFile>, FilesError> {
    let opening = tokio::task::spawn_blocking(move || {
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        let bytes = file.metadata()?.len();
        Ok(Some(OpenFile { file, bytes }))
    });
    opening.await.map_err(|_| FilesError::Stopped)?.map_err(FilesError::io("opening a file"))
}
