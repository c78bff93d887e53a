//! What leaves the cache: files that were not used for long, then those that were used longest ago until the rest is small
//! enough, and what writers left behind that died. Several processes may do this at once, and use the files meanwhile:
//! code that is loaded stays loaded, and what is missing is compiled again.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// How often the time of the last use is written at most.
const USED: Duration = Duration::from_secs(60 * 60);

/// A temporary file that is older was left by a writer that died.
const WRITING: Duration = Duration::from_secs(24 * 60 * 60);

/// What may stay.
pub struct Limits {
    /// Of all files together, in bytes.
    pub size: u64,
    /// Since the last use.
    pub age: Duration,
}

impl Default for Limits {
    /// Some hundred plugins, and a month.
    fn default() -> Self {
        Self { size: 256 * 1024 * 1024, age: Duration::from_secs(30 * 24 * 60 * 60) }
    }
}

/// Notes that a file was used, as its time of change.
pub fn used(path: &Path) {
    let now = SystemTime::now();
    let note = || {
        if age(path.metadata()?.modified()?, now) < USED {
            return Ok(());
        }
        File::open(path)?.set_modified(now)
    };
    // Without the note it may be removed early and is compiled again.
    if let Err(error) = note() {
        tracing::debug!(path = %path.display(), %error, "the use of a cached plugin can't be noted");
    }
}

/// A time in the future is that of a clock that was wrong.
fn age(time: SystemTime, now: SystemTime) -> Duration {
    now.duration_since(time).unwrap_or_default()
}

/// Removes what is too old or too much.
pub fn prune(dir: &Path, now: SystemTime, limits: &Limits) {
    let mut files: Vec<(Duration, u64, PathBuf)> = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        let ours = path.extension().is_some_and(|e| e == "cwasm" || e == "json");
        let left = entry.file_name().to_string_lossy().starts_with(".tmp");
        let Ok(meta) = path.symlink_metadata() else { continue };
        let Ok(time) = meta.modified() else { continue };
        let age = age(time, now);
        if !meta.is_file() || !(ours || left) {
            continue;
        }
        if left {
            if age > WRITING {
                remove(&path);
            }
        } else {
            files.push((age, meta.len(), path));
        }
    }
    files.sort();
    let mut kept = 0u64;
    for (age, size, path) in files {
        kept = kept.saturating_add(size);
        if age > limits.age || kept > limits.size {
            kept = kept.saturating_sub(size);
            remove(&path);
        }
    }
}

fn remove(path: &Path) {
    match fs::remove_file(path) {
        Ok(()) => tracing::debug!(path = %path.display(), "removed from the plugin cache"),
        // Another process was faster.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => tracing::debug!(path = %path.display(), %error, "the plugin cache keeps a file"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Cache;
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    fn put(dir: &Path, name: &str, size: usize, days: u32) {
        let path = dir.join(name);
        fs::write(&path, vec![0; size]).expect("written");
        let time = SystemTime::now() - DAY * days;
        File::options().write(true).open(path).expect("opened").set_modified(time).expect("set");
    }

    fn names(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).expect("there");
        let mut names: Vec<String> =
            entries.map(|e| e.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn old_and_surplus_files_go() {
        let dir = tempfile::tempdir().expect("a folder");
        let dir = dir.path();
        put(dir, "new.cwasm", 100, 0);
        put(dir, "week.cwasm", 100, 7);
        put(dir, "week.json", 10, 7);
        put(dir, "month.cwasm", 100, 31);
        put(dir, ".tmpdead", 10, 2);
        put(dir, ".tmpnow", 10, 0);
        put(dir, "not-ours", 1000, 400);
        fs::create_dir(dir.join("folder.json")).expect("made");
        let limits = |size| Limits { size, age: DAY * 30 };
        prune(dir, SystemTime::now(), &limits(1000));
        let others = [".tmpnow", "folder.json", "not-ours"];
        let all = |ours: &[&str]| {
            let mut all: Vec<String> = others.iter().chain(ours).map(ToString::to_string).collect();
            all.sort();
            all
        };
        assert_eq!(names(dir), all(&["new.cwasm", "week.cwasm", "week.json"]));
        // Of what is too much, the one used longest ago goes; a small one may still fit.
        put(dir, "older.cwasm", 100, 8);
        prune(dir, SystemTime::now(), &limits(215));
        assert_eq!(names(dir), all(&["new.cwasm", "week.cwasm", "week.json"]));
        prune(dir, SystemTime::now(), &limits(120));
        assert_eq!(names(dir), all(&["new.cwasm", "week.json"]));
        prune(dir, SystemTime::now(), &limits(0));
        assert_eq!(names(dir), all(&[]));
    }

    #[test]
    fn a_used_file_is_young_again() {
        let root = tempfile::tempdir().expect("a folder");
        let cache = Cache::new(Some(root.path()));
        let dir = root.path().join("plugins");
        put(&dir, "d-e.cwasm", 10, 40);
        put(&dir, "unused-e.cwasm", 10, 40);
        assert!(cache.code("d", "e").is_some());
        // The first thing that is stored prunes, the second does not.
        cache.store_code("new", "e", b"code");
        assert_eq!(names(&dir), ["d-e.cwasm", "new-e.cwasm"]);
        put(&dir, "unused-e.cwasm", 10, 40);
        cache.store_code("more", "e", b"code");
        assert_eq!(names(&dir), ["d-e.cwasm", "more-e.cwasm", "new-e.cwasm", "unused-e.cwasm"]);
        drop(Cache::new(Some(root.path())));
        assert!(
            names(&dir).contains(&"unused-e.cwasm".to_owned()),
            "a run that adds nothing removes nothing"
        );
    }

    #[test]
    fn many_at_once() {
        let root = tempfile::tempdir().expect("a folder");
        let dir = root.path().join("plugins");
        let cache = Cache::new(Some(root.path()));
        for n in 0..200 {
            put(&dir, &format!("old{n}-e.cwasm"), 10, 40 + n);
        }
        std::thread::scope(|scope| {
            for n in 0..8 {
                let root = root.path();
                scope.spawn(move || {
                    let cache = Cache::new(Some(root));
                    cache.store_code(&format!("new{n}"), "e", b"code");
                    assert!(cache.code(&format!("new{n}"), "e").is_some());
                });
            }
        });
        assert!((0..8).all(|n| cache.code(&format!("new{n}"), "e").is_some()));
        assert_eq!(names(&dir).len(), 8);
    }
}
