//! Journals on disk: a folder a build below the state folder, with one file of JSON lines. A record is on stable storage
//! before the call that it announces goes out.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use fornax_core::journal::JournalStore;

const FILE: &str = "journal.jsonl";

/// The journal of one build, open for appending. Locked as long as it is open, so that `cleanup` can tell a build that
/// runs from one that died.
pub struct JournalFile {
    path: PathBuf,
    file: Mutex<File>,
    written: AtomicU64,
    /// For the tests of crashes: the process dies when so many records are on disk.
    die_after: Option<u64>,
}

impl JournalFile {
    /// Makes the journal of a new build.
    pub fn create(state_dir: &Path, build_id: &str) -> io::Result<Self> {
        let folder = state_dir.join("builds").join(build_id);
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        let path = folder.join(FILE);
        let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(&path)?;
        // The names must survive a crash too, not only the content.
        for dir in [folder.as_path(), folder.parent().unwrap_or(&folder)] {
            File::open(dir)?.sync_all()?;
        }
        Self::locked(path, file)
    }

    /// Opens the journal of a build that died. None if the build still runs.
    pub fn resume(path: &Path) -> io::Result<Option<Self>> {
        let file = OpenOptions::new().append(true).open(path)?;
        match Self::locked(path.to_owned(), file) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            other => other.map(Some),
        }
    }

    fn locked(path: PathBuf, file: File) -> io::Result<Self> {
        match file.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => return Err(io::ErrorKind::WouldBlock.into()),
            Err(std::fs::TryLockError::Error(error)) => return Err(error),
        }
        let die_after = std::env::var("FORNAX_TEST_DIE_AFTER_RECORDS").ok().and_then(|n| n.parse().ok());
        Ok(Self { path, file: Mutex::new(file), written: AtomicU64::new(0), die_after })
    }
}

impl JournalStore for JournalFile {
    fn append(&self, line: &str) -> io::Result<()> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(format!("{line}\n").as_bytes())?;
        file.sync_data()?;
        if self.die_after == Some(self.written.fetch_add(1, Ordering::Relaxed) + 1) {
            std::process::abort();
        }
        Ok(())
    }

    fn location(&self) -> String {
        self.path.display().to_string()
    }
}

/// A journal that lies in the state folder.
pub struct Found {
    pub build_id: String,
    pub path: PathBuf,
}

/// All journals, by build id.
pub fn list(state_dir: &Path) -> io::Result<Vec<Found>> {
    let entries = match std::fs::read_dir(state_dir.join("builds")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        let path = entry.path().join(FILE);
        if path.is_file() {
            found.push(Found { build_id: entry.file_name().to_string_lossy().into_owned(), path });
        }
    }
    found.sort_by(|a, b| a.build_id.cmp(&b.build_id));
    Ok(found)
}

/// Removes the folder of a build of which nothing is left.
pub fn remove(journal: &Path) -> io::Result<()> {
    match journal.parent() {
        Some(folder) => std::fs::remove_dir_all(folder),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_is_locked_while_its_build_runs_and_readable_afterwards() {
        let dir = std::env::temp_dir().join(format!("fornax-journal-{}", std::process::id()));
        let journal = JournalFile::create(&dir, "b1").expect("created");
        journal.append("{}").expect("written");
        let found = list(&dir).expect("listed");
        assert_eq!(found.len(), 1);
        assert_eq!(std::fs::read_to_string(&found[0].path).expect("there"), "{}\n");
        assert!(JournalFile::resume(&found[0].path).expect("opened").is_none(), "it is still locked");
        assert!(JournalFile::create(&dir, "b1").is_err(), "an id is used once");
        drop(journal);
        assert!(JournalFile::resume(&found[0].path).expect("opened").is_some());
        remove(&found[0].path).expect("removed");
        assert!(list(&dir).expect("listed").is_empty());
        let _ = std::fs::remove_dir_all(&dir);
    }
}
