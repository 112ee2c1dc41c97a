//! Room for what arrives: a token's quota, and the reserve of the disk.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::{Files, FilesError};
use crate::clock;
use crate::domain::file::Holder;

/// Bytes of files that arrive, by token.
#[derive(Debug, Default)]
pub(super) struct Arriving(Mutex<HashMap<i64, u64>>);

/// Room for a file that arrives; given back when it is dropped.
#[derive(Debug)]
pub struct Room {
    files: Files,
    token_id: i64,
    /// Bytes that the token had when the file began to arrive.
    before: u64,
    bytes: u64,
}

impl Files {
    /// Takes room for a file of so many bytes that a token sends. It can grow.
    ///
    /// # Errors
    /// [`FilesError::Quota`] and [`FilesError::NoRoom`].
    pub async fn room(&self, token_id: i64, bytes: u64) -> Result<Room, FilesError> {
        let kept = self.0.store.sum_of_files(&Holder::Token(token_id), clock::now()).await?;
        let arriving = self.0.store.sum_of_uploads(Some(token_id)).await?;
        let before = kept.bytes.saturating_add(arriving.bytes).max(0).unsigned_abs();
        let mut room = Room { files: self.clone(), token_id, before, bytes: 0 };
        room.grow_to(bytes)?;
        let (space, reserve) = self.disk()?;
        match bytes > space.free.saturating_sub(reserve) {
            true => Err(FilesError::NoRoom { reserve }),
            false => Ok(room),
        }
    }
}

impl Room {
    /// Grows to so many bytes.
    ///
    /// # Errors
    /// [`FilesError::Quota`].
    pub fn grow_to(&mut self, bytes: u64) -> Result<(), FilesError> {
        let more = bytes.saturating_sub(self.bytes);
        let limit = self.files.0.quota;
        let mut arriving = self.files.0.arriving.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = arriving.entry(self.token_id).or_default();
        let wanted = self.before.saturating_add(*own).saturating_add(more);
        if wanted > limit {
            return Err(FilesError::Quota { wanted, limit });
        }
        *own += more;
        self.bytes += more;
        Ok(())
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let mut arriving = self.files.0.arriving.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = arriving.get_mut(&self.token_id) {
            *own = own.saturating_sub(self.bytes);
            if *own == 0 {
                arriving.remove(&self.token_id);
            }
        }
    }
}
