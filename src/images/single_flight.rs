//! One build per key at a time, among the tasks of this process and among the
//! processes of this machine. Whoever comes second waits and finds the result.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::time::Duration;

use crate::private_files::{create_folder, open_to_append};

/// Between two looks at a lock that another process holds.
const PAUSE: Duration = Duration::from_millis(100);

/// The right to build what belongs to a key; ends when dropped, or when the
/// process dies.
#[derive(Debug)]
pub(super) struct Flight {
    _lock: File,
}

impl Flight {
    /// Waits for the right. `on_wait` is called once if another task has it.
    pub(super) async fn begin(
        folder: &Path,
        key: &str,
        on_wait: impl FnOnce(),
    ) -> io::Result<Self> {
        create_folder(folder)?;
        // Every caller opens the file anew, so that tasks of one process exclude
        // each other too (flock(2) locks belong to the open file).
        let path = folder.join(format!("{key}.lock"));
        let file = open_to_append(&path)?;
        let mut on_wait = Some(on_wait);
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self { _lock: file }),
                Err(TryLockError::WouldBlock) => {
                    if let Some(tell) = on_wait.take() {
                        tell();
                    }
                    tokio::time::sleep(PAUSE).await;
                }
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test]
    async fn one_at_a_time_and_every_one_in_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let inside = AtomicUsize::new(0);
        let visit = || async {
            let _flight = Flight::begin(folder.path(), "key", || ()).await.unwrap();
            assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
            tokio::task::yield_now().await;
            inside.fetch_sub(1, Ordering::SeqCst);
        };
        futures::join!(visit(), visit(), visit());
    }

    #[tokio::test]
    async fn another_key_does_not_wait() {
        let folder = tempfile::tempdir().unwrap();
        let _one = Flight::begin(folder.path(), "one", || ()).await.unwrap();
        let _two = Flight::begin(folder.path(), "two", || panic!("waits")).await.unwrap();
    }
}
