//! Step folders of processes that died, which may hold scripts with secrets in them. A folder in use has a locked file;
//! the lock goes with its process, however that ends. The first step of a later process removes what is not locked.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// How the names of step folders begin.
pub const PREFIX: &str = "fornax-step-";
const LOCK: &str = "lock";
/// A folder without a lock may just be being made.
const YOUNG: Duration = Duration::from_secs(3600);

/// Marks a folder as used until the file is closed.
pub fn mark(folder: &Path) -> io::Result<File> {
    // Under its name it is never seen without the lock.
    let making = folder.join("lock.new");
    let file = File::create_new(&making)?;
    match file.try_lock() {
        // Some file systems have no locks: the folder is then removed by its owner alone.
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => return Ok(file),
        Err(TryLockError::Error(error)) => return Err(error),
        Err(TryLockError::WouldBlock) => return Err(io::ErrorKind::ResourceBusy.into()),
        Ok(()) => {}
    }
    std::fs::rename(&making, folder.join(LOCK))?;
    Ok(file)
}

/// Removes the user's own folders that nobody uses. What can't be removed stays, and is tried again by the next process.
pub fn sweep(root: &Path) {
    let Ok(entries) = std::fs::read_dir(root) else { return };
    for entry in entries.flatten() {
        let ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX));
        if ours && is_left(&entry.path()) {
            match std::fs::remove_dir_all(entry.path()) {
                Ok(()) => {
                    tracing::info!(path = %entry.path().display(), "removed the folder of a step that died")
                }
                Err(error) => {
                    tracing::warn!(path = %entry.path().display(), %error, "the folder of a step that died stays")
                }
            }
        }
    }
}

fn is_left(folder: &Path) -> bool {
    let Ok(meta) = folder.symlink_metadata() else { return false };
    if !meta.is_dir() || !is_mine(&meta) {
        return false;
    }
    match File::open(folder.join(LOCK)) {
        Ok(file) => file.try_lock().is_ok(),
        Err(_) => meta
            .modified()
            .ok()
            .and_then(|changed| SystemTime::now().duration_since(changed).ok())
            .is_some_and(|age| age > YOUNG),
    }
}

#[cfg(unix)]
fn is_mine(meta: &std::fs::Metadata) -> bool {
    std::os::unix::fs::MetadataExt::uid(meta) == rustix::process::geteuid().as_raw()
}

/// The temporary folder is the user's own.
#[cfg(not(unix))]
fn is_mine(_: &std::fs::Metadata) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_nobody_uses_goes() {
        let root = tempfile::tempdir().expect("a folder");
        let make = |name: &str| {
            let path = root.path().join(name);
            std::fs::create_dir_all(path.join("parts")).expect("made");
            std::fs::write(path.join("parts/script"), "secret").expect("written");
            path
        };
        let dead = make("fornax-step-dead");
        drop(mark(&dead).expect("marked"));
        let alive = make("fornax-step-alive");
        let _lock = mark(&alive).expect("marked");
        let young = make("fornax-step-young");
        let old = make("fornax-step-old");
        let past = SystemTime::now() - YOUNG * 2;
        File::open(&old).and_then(|folder| folder.set_modified(past)).expect("ours");
        let other = make("other-step");
        drop(mark(&other).expect("marked"));
        sweep(root.path());
        let stays = [&dead, &alive, &young, &old, &other].map(|path| path.join("parts/script").exists());
        assert_eq!(stays, [false, true, true, false, true]);
    }
}
