//! Files that are written as a whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The file has the old text or the new one at any moment. Mode and group stay, the owner where this process may set
/// it; a symbolic link stays one. If the process dies in between, a hidden `.NAME.….partial` remains beside the file.
pub fn replace(path: &Path, text: &str) -> io::Result<()> {
    let target = fs::canonicalize(path)?;
    // What may not be written is not replaced either.
    let old = OpenOptions::new().write(true).open(&target)?.metadata()?;
    let partial = beside(&target);
    let write = |mut file: File| {
        let new = file.metadata()?;
        if new.gid() != old.gid() {
            std::os::unix::fs::fchown(&file, None, Some(old.gid()))?;
        }
        if new.uid() != old.uid() {
            // Only root may give a file to someone else.
            let _ = std::os::unix::fs::fchown(&file, Some(old.uid()), None);
        }
        file.set_permissions(fs::Permissions::from_mode(old.mode() & 0o7777))?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&partial, &target)
    };
    finished(
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&partial).and_then(write),
        &partial,
    )
}

/// Writes a file that may not be there yet, its folder too. Tells whether one was there.
pub fn write(path: &Path, text: &str) -> io::Result<bool> {
    if path.exists() {
        return replace(path, text).map(|()| true);
    }
    if let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty()) {
        fs::create_dir_all(folder)?;
    }
    let partial = beside(path);
    let write = |mut file: File| {
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&partial, path)
    };
    finished(File::create_new(&partial).and_then(write), &partial).map(|()| false)
}

/// A hidden name that nobody else has.
fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}.partial", uuid::Uuid::new_v4().simple()))
}

fn finished(written: io::Result<()>, partial: &Path) -> io::Result<()> {
    if written.is_err() {
        // The error that counts is the first one.
        let _ = fs::remove_file(partial);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_behind_its_link_and_keeps_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        let (target, link) = (folder.path().join("t"), folder.path().join("l"));
        fs::write(&target, "old").unwrap();
        fs::set_permissions(&target, fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink("t", &link).unwrap();
        let before = fs::metadata(&target).unwrap().ino();
        replace(&link, "new").unwrap();
        let after = fs::metadata(&target).unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "new");
        assert_eq!(after.mode() & 0o7777, 0o640);
        assert_ne!(after.ino(), before, "it is a new file, not the old one overwritten");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing else remains");
    }

    #[test]
    fn a_new_file_appears_with_its_folder_and_a_failure_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("new/t");
        assert!(!write(&target, "a").unwrap());
        assert!(write(&target, "b").unwrap());
        assert_eq!(fs::read_to_string(&target).unwrap(), "b");
        assert_eq!(fs::read_dir(target.parent().unwrap()).unwrap().count(), 1);
        write(folder.path(), "c").unwrap_err();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
