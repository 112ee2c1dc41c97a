//! Lock of a data folder: a second server would treat the first one's executions as orphans.

use std::fs::{File, TryLockError};
use std::path::Path;

use super::ServerError;
use crate::private_files::{close_data_folder, create_folder, open_to_append};

/// Lock of a data folder; released when the process ends.
#[derive(Debug)]
pub(super) struct ServerLock {
    _file: File,
}

impl ServerLock {
    pub(super) fn take(data_dir: &Path) -> Result<Self, ServerError> {
        let failed = |source| ServerError::DataDir { folder: data_dir.to_owned(), source };
        create_folder(data_dir).map_err(failed)?;
        let path = data_dir.join("server.lock");
        let file = open_to_append(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {
                close_to_others(data_dir);
                Ok(Self { _file: file })
            }
            Err(TryLockError::WouldBlock) => Err(ServerError::InUse(data_dir.to_owned())),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }
}

/// Removes permissions of other users that earlier versions left.
fn close_to_others(data_dir: &Path) {
    let exposed = close_data_folder(data_dir);
    if let Some(first) = exposed.first() {
        let (path, mode) = (first.path.display(), format!("{:04o}", first.mode));
        let count = exposed.len();
        tracing::warn!(%path, mode, count, "the data folder stays open to other users");
    }
}
