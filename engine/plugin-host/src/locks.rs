//! Locks for output files. Within this process a lock is a mutex per path; towards other processes it is an advisory
//! lock on the folder that holds the file, which leaves nothing behind and also holds between users.

use std::collections::HashMap;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

/// How often a folder that another process holds is tried.
const RETRY: Duration = Duration::from_millis(20);

/// Why there is no lock.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    #[error("another step or process held {path} for longer than {}", fornax_core::event::human_duration(*.limit))]
    Timeout { path: PathBuf, limit: Duration },
    #[error("{path} can't be locked: {source}")]
    Io { path: PathBuf, source: std::io::Error },
}

/// All output locks of this process.
#[derive(Default)]
pub struct OutputLocks {
    paths: Mutex<HashMap<PathBuf, Weak<tokio::sync::Mutex<()>>>>,
    folders: Mutex<HashMap<PathBuf, Weak<File>>>,
}

/// Held until it is dropped.
pub struct OutputLock {
    // Order matters: the folder is given back before the path.
    _folder: Option<Arc<File>>,
    _path: tokio::sync::OwnedMutexGuard<()>,
}

impl OutputLocks {
    /// Locks an absolute path; makes its folder if it is missing.
    pub async fn lock(&self, path: &Path, limit: Duration) -> Result<OutputLock, LockError> {
        let io = |source| LockError::Io { path: path.to_owned(), source };
        let late = || LockError::Timeout { path: path.to_owned(), limit };
        let deadline = Instant::now() + limit;
        let folder = path.parent().unwrap_or(path);
        std::fs::create_dir_all(folder).map_err(io)?;
        let folder = folder.canonicalize().map_err(io)?;
        let key = folder.join(path.file_name().unwrap_or_default());
        let mutex = {
            let mut paths = self.paths.lock().unwrap_or_else(PoisonError::into_inner);
            paths.retain(|_, weak| weak.strong_count() > 0);
            match paths.get(&key).and_then(Weak::upgrade) {
                Some(mutex) => mutex,
                None => {
                    let mutex = Arc::new(tokio::sync::Mutex::new(()));
                    paths.insert(key, Arc::downgrade(&mutex));
                    mutex
                }
            }
        };
        let guard = tokio::time::timeout_at(deadline.into(), mutex.lock_owned()).await.map_err(|_| late())?;
        loop {
            match self.try_folder(&folder).map_err(io)? {
                Some(folder) => return Ok(OutputLock { _folder: folder, _path: guard }),
                None if Instant::now() >= deadline => return Err(late()),
                None => tokio::time::sleep(RETRY).await,
            }
        }
    }

    /// `Some(None)` where the system can't lock a folder.
    fn try_folder(&self, folder: &Path) -> std::io::Result<Option<Option<Arc<File>>>> {
        let mut folders = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        folders.retain(|_, weak| weak.strong_count() > 0);
        if let Some(held) = folders.get(folder).and_then(Weak::upgrade) {
            return Ok(Some(Some(held)));
        }
        let file = File::open(folder)?;
        match file.try_lock() {
            Ok(()) => {
                let file = Arc::new(file);
                folders.insert(folder.to_owned(), Arc::downgrade(&file));
                Ok(Some(Some(file)))
            }
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) if error.kind() == std::io::ErrorKind::Unsupported => {
                Ok(Some(None))
            }
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_holder_at_a_time() {
        let dir = tempfile::tempdir().expect("a folder");
        let (a, b) = (dir.path().join("new/a.json"), dir.path().join("new/b.json"));
        let locks = OutputLocks::default();
        let held = locks.lock(&a, Duration::from_secs(5)).await.expect("free");
        let other = locks.lock(&b, Duration::from_secs(5)).await.expect("another file in the folder");
        assert!(matches!(locks.lock(&a, Duration::ZERO).await, Err(LockError::Timeout { .. })));
        // Another process is another opening of the folder.
        let foreign = File::open(dir.path().join("new")).expect("opened");
        assert!(matches!(foreign.try_lock(), Err(TryLockError::WouldBlock)));
        drop((held, other));
        foreign.try_lock().expect("given back");
        assert!(matches!(locks.lock(&a, Duration::ZERO).await, Err(LockError::Timeout { .. })));
        drop(foreign);
        locks.lock(&a, Duration::ZERO).await.expect("free again");
    }
}
