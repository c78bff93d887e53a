//! Journals on disk: a folder a build below the state folder, with one file of JSON lines. A record is on stable storage
//! before the call that it announces goes out. The process that runs a build holds a lock on its file, which the system
//! releases when the process dies: so `cleanup` can tell a build that runs from one that is dead. A journal is removed
//! when nothing is left to undo; what lies in the state folder is what needs a look.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use fornax_core::journal::{JournalState, JournalStore};

const FILE: &str = "journal.jsonl";
/// A journal has some dozen records of some hundred bytes; what is larger is something else.
const MAX_JOURNAL: u64 = 64 << 20;

/// The journal of one build, open for appending, and locked as long as it is open.
pub struct JournalFile {
    path: PathBuf,
    writer: Mutex<Writer>,
    /// For the tests of crashes: the process dies when so many records are on disk.
    die_after: Option<u64>,
}

struct Writer {
    file: File,
    /// Bytes of whole records.
    whole: u64,
    /// Records written by this process.
    records: u64,
    /// A record is half written and could not be cut off again.
    broken: bool,
}

impl JournalFile {
    /// Makes the journal of a new build. Its file and the folders on the way to it are on disk when this returns.
    pub fn create(state_dir: &Path, build_id: &str) -> io::Result<Self> {
        let builds = state_dir.join("builds");
        let folder = builds.join(build_id);
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&builds)?;
        std::fs::DirBuilder::new().mode(0o700).create(&folder)?;
        // The file gets its name when it is locked, so that `cleanup` never meets a living build without a lock.
        let unnamed = folder.join(format!("{FILE}.new"));
        let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(&unnamed)?;
        file.try_lock().map_err(io::Error::from)?;
        let path = folder.join(FILE);
        std::fs::rename(&unnamed, &path)?;
        // The names must survive a crash too, not only the content.
        file.sync_all()?;
        for folder in [folder.as_path(), &builds, state_dir] {
            File::open(folder)?.sync_all()?;
        }
        Ok(Self::new(path, file, 0))
    }

    /// Takes over the journal of a build that died. None if the build still runs. A last record that was torn is cut
    /// off, so that the next one starts on a line of its own. Read the journal after this, not before: until then the
    /// build may have gone on.
    pub fn resume(path: &Path) -> io::Result<Option<Self>> {
        let file = OpenOptions::new().append(true).open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => return Ok(None),
            Err(std::fs::TryLockError::Error(error)) => return Err(error),
        }
        let mut whole = file.metadata()?.len();
        // What can't be replayed is left as it is, for people to look at.
        if let Ok((_, end)) = JournalState::replay(&read(path)?)
            && end as u64 != whole
        {
            whole = end as u64;
            file.set_len(whole)?;
            file.sync_all()?;
        }
        Ok(Some(Self::new(path.to_owned(), file, whole)))
    }

    fn new(path: PathBuf, file: File, whole: u64) -> Self {
        let die_after = std::env::var("FORNAX_TEST_DIE_AFTER_RECORDS").ok().and_then(|n| n.parse().ok());
        Self { path, writer: Mutex::new(Writer { file, whole, records: 0, broken: false }), die_after }
    }
}

impl JournalStore for JournalFile {
    fn append(&self, line: &str) -> io::Result<()> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if writer.broken {
            return Err(io::Error::other("an earlier record could not be written whole"));
        }
        let record = format!("{line}\n");
        if let Err(error) = writer.file.write_all(record.as_bytes()).and_then(|()| writer.file.sync_data()) {
            let whole = writer.whole;
            writer.broken = writer.file.set_len(whole).is_err();
            return Err(error);
        }
        writer.whole += record.len() as u64;
        writer.records += 1;
        if self.die_after == Some(writer.records) {
            std::process::abort();
        }
        Ok(())
    }

    fn location(&self) -> String {
        self.path.display().to_string()
    }
}

/// The text of a journal. Only a torn last line can have broken a character, and that line is ignored.
pub fn read(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_JOURNAL + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_JOURNAL {
        return Err(io::Error::other(format!(
            "it has more than {MAX_JOURNAL} bytes; no journal is that large"
        )));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
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

/// Removes the journal of a build of which nothing is left, and its folder unless something else was put there. One
/// that is gone already is no error.
pub fn remove(journal: &Path) -> io::Result<()> {
    let gone = |result: io::Result<()>| match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    };
    gone(std::fs::remove_file(journal))?;
    match journal.parent().map(std::fs::remove_dir) {
        Some(Err(error)) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(()),
        Some(result) => gone(result),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::sync::Arc;

    use fornax_core::Redactor;
    use fornax_core::event::{BuildEvents, Event, EventSink};
    use fornax_core::journal::{Header, Journal, Lifetime, Resource, Undone};

    use super::*;

    struct Silent;
    impl EventSink for Silent {
        fn emit(&self, _: Event) {}
    }

    fn events() -> BuildEvents {
        BuildEvents::new(Arc::new(Silent), "web")
    }

    /// A build that began one resource.
    fn started(state_dir: &Path, build_id: &str) -> Journal {
        let store = Arc::new(JournalFile::create(state_dir, build_id).unwrap());
        let header = Header { build_id: build_id.into(), ..Header::default() };
        let journal = Journal::create(store, header, events(), Redactor::new()).unwrap();
        let _ = journal.begin(Resource::new("file", "/f", Lifetime::Temporary)).unwrap();
        journal
    }

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn only_the_user_can_read_a_journal() {
        let temp = tempfile::tempdir().unwrap();
        let state = temp.path().join("deep/state");
        started(&state, "b1");
        assert_eq!(mode(&state.join("builds/b1/journal.jsonl")), 0o600);
        assert_eq!(mode(&state.join("builds/b1")), 0o700);
        assert_eq!(mode(&state), 0o700);
    }

    #[test]
    fn a_journal_is_locked_while_its_build_runs_and_can_be_taken_over_afterwards() {
        let temp = tempfile::tempdir().unwrap();
        let journal = started(temp.path(), "b1");
        let found = list(temp.path()).unwrap();
        assert_eq!(found.len(), 1);
        assert!(JournalFile::resume(&found[0].path).unwrap().is_none(), "it is still locked");
        assert!(JournalFile::create(temp.path(), "b1").is_err(), "an id is used once");
        drop(journal);

        let store = JournalFile::resume(&found[0].path).unwrap().expect("it is free");
        assert!(JournalFile::resume(&found[0].path).unwrap().is_none(), "it is locked again");
        let (state, _) = JournalState::replay(&read(&found[0].path).unwrap()).unwrap();
        assert_eq!(state.open_entries().count(), 1);
        drop(Journal::resume(Arc::new(store), state, events(), Redactor::new()));

        remove(&found[0].path).unwrap();
        remove(&found[0].path).unwrap();
        assert!(list(temp.path()).unwrap().is_empty());
    }

    #[test]
    fn a_record_after_a_torn_one_stands_on_its_own_line() {
        for torn in [&b"{\"at\":\"20"[..], b"\xff\xfe", b"\0\0\0\0", b"garbage\n"] {
            let temp = tempfile::tempdir().unwrap();
            drop(started(temp.path(), "b1"));
            let path = list(temp.path()).unwrap().remove(0).path;
            let whole = std::fs::read(&path).unwrap();
            std::fs::write(&path, [&whole, torn].concat()).unwrap();
            let store = JournalFile::resume(&path).unwrap().expect("it is free");
            assert_eq!(std::fs::read(&path).unwrap(), whole);
            for rest in [r#""undo_began","entry":1"#, r#""undo_done","entry":1,"outcome":"deleted""#] {
                store.append(&format!(r#"{{"at":"2026-01-01T00:00:00Z","record":{rest}}}"#)).unwrap();
            }
            let (state, _) = JournalState::replay(&read(&path).unwrap()).unwrap();
            assert_eq!(state.entries()[0].status, fornax_core::journal::Status::Undone(Undone::Deleted));
        }
    }

    #[test]
    fn what_is_damaged_in_the_middle_is_left_as_it_is() {
        let temp = tempfile::tempdir().unwrap();
        drop(started(temp.path(), "b1"));
        let path = list(temp.path()).unwrap().remove(0).path;
        let text = read(&path).unwrap().replacen('\n', "\ngarbage\n", 1);
        std::fs::write(&path, &text).unwrap();
        assert!(JournalFile::resume(&path).unwrap().is_some());
        assert_eq!(read(&path).unwrap(), text);
    }

    #[test]
    fn something_else_beside_a_journal_is_not_removed() {
        let temp = tempfile::tempdir().unwrap();
        drop(started(temp.path(), "b1"));
        let path = list(temp.path()).unwrap().remove(0).path;
        let other = path.with_file_name("notes.txt");
        std::fs::write(&other, "mine").unwrap();
        remove(&path).unwrap();
        assert!(other.exists() && list(temp.path()).unwrap().is_empty());
    }
}
