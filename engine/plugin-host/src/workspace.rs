//! The folder of a step on the host, and the rule that no path leaves it: paths are relative, have no `..`, and no
//! symbolic link on the way leads outside. Files being written live beside the visible part until they are complete.

use std::io;
use std::path::{Component, Path, PathBuf};

use tempfile::TempDir;

/// Why a path is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum PathError {
    #[error("{0:?} is no path within the workspace: {1}")]
    Invalid(String, &'static str),
    #[error("{0:?} leads out of the workspace")]
    Escapes(String),
    #[error("{0:?}: {1}")]
    Io(String, io::Error),
}

/// A folder that is readable by its owner only and removed when it is dropped. Where the process dies before, the next
/// one that makes such a folder removes it.
pub struct StepDir {
    _dir: TempDir,
    /// Held as long as the folder is in use.
    _lock: std::fs::File,
    work: PathBuf,
    parts: PathBuf,
}

impl StepDir {
    pub fn new() -> io::Result<Self> {
        static SWEPT: std::sync::Once = std::sync::Once::new();
        SWEPT.call_once(|| crate::leftovers::sweep(&std::env::temp_dir()));
        let mut builder = tempfile::Builder::new();
        builder.prefix(crate::leftovers::PREFIX);
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
        let dir = builder.tempdir()?;
        let lock = crate::leftovers::mark(dir.path())?;
        let root = dir.path().canonicalize()?;
        let (work, parts) = (root.join("work"), root.join("parts"));
        std::fs::create_dir(&work)?;
        std::fs::create_dir(&parts)?;
        Ok(Self { _dir: dir, _lock: lock, work, parts })
    }

    /// The visible part.
    pub fn work(&self) -> &Path {
        &self.work
    }

    /// For files that are not complete yet, and temporary ones.
    pub fn parts(&self) -> &Path {
        &self.parts
    }

    /// The place of a relative path. The last component need not exist; an existing one may be a symbolic link only
    /// if it stays inside.
    pub fn resolve(&self, path: &str) -> Result<PathBuf, PathError> {
        let invalid = |why| PathError::Invalid(path.to_owned(), why);
        if path.contains('\0') || path.len() > 4096 {
            return Err(invalid("it has a NUL character or is too long"));
        }
        let mut place = self.work.clone();
        for component in Path::new(path).components() {
            match component {
                Component::CurDir => {}
                Component::Normal(name) => {
                    place.push(name);
                    match place.symlink_metadata() {
                        Ok(meta) if meta.is_symlink() => {
                            place = place.canonicalize().map_err(|e| PathError::Io(path.to_owned(), e))?;
                            if !place.starts_with(&self.work) {
                                return Err(PathError::Escapes(path.to_owned()));
                            }
                        }
                        Ok(_) => {}
                        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                        Err(error) => return Err(PathError::Io(path.to_owned(), error)),
                    }
                }
                Component::ParentDir => return Err(invalid("`..` is not allowed")),
                Component::RootDir | Component::Prefix(_) => return Err(invalid("it is not relative")),
            }
        }
        Ok(place)
    }

    /// Like [`Self::resolve`], for something new: it must name something below the folder, whose parents are made.
    pub fn place_for(&self, path: &str) -> Result<PathBuf, PathError> {
        let place = self.resolve(path)?;
        if place == self.work {
            return Err(PathError::Invalid(path.to_owned(), "it names the workspace itself"));
        }
        if let Some(parent) = place.parent() {
            std::fs::create_dir_all(parent).map_err(|e| PathError::Io(path.to_owned(), e))?;
        }
        Ok(place)
    }
}

/// Copies a file or a folder with all in it. Symbolic links are copied as links.
pub fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    let meta = from.symlink_metadata()?;
    if meta.is_symlink() {
        #[cfg(unix)]
        return std::os::unix::fs::symlink(std::fs::read_link(from)?, to);
        #[cfg(not(unix))]
        return Err(io::Error::new(io::ErrorKind::Unsupported, "symbolic links can't be copied here"));
    }
    if !meta.is_dir() {
        return std::fs::copy(from, to).map(|_| ());
    }
    std::fs::create_dir(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        copy_tree(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}

/// Whether a path that may not exist yet lies below `root` once all symbolic links are followed.
pub fn stays_below(path: &Path, root: &Path) -> bool {
    let real = |path: &Path| {
        let mut missing = Vec::new();
        let mut at = path;
        loop {
            match at.canonicalize() {
                Ok(real) => return Some(missing.iter().rev().fold(real, |p: PathBuf, name| p.join(name))),
                Err(_) => {
                    missing.push(at.file_name()?.to_owned());
                    at = at.parent()?;
                }
            }
        }
    };
    match (real(path), real(root)) {
        (Some(path), Some(root)) => path.starts_with(root),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn nothing_leaves_the_folder() {
        use std::os::unix::fs::symlink;
        let dir = StepDir::new().expect("made");
        symlink("/etc", dir.work().join("out")).expect("linked");
        symlink("/etc/passwd", dir.work().join("file")).expect("linked");
        symlink("a", dir.work().join("inside")).expect("linked");
        std::fs::create_dir(dir.work().join("a")).expect("made");
        symlink("/nowhere/x", dir.work().join("dangling")).expect("linked");
        for path in [
            "../x",
            "/etc/passwd",
            "a/../../x",
            "out/passwd",
            "file",
            "out",
            "dangling",
            "dangling/x",
            "a\0b",
        ] {
            assert!(dir.place_for(path).is_err(), "{path:?} was accepted");
        }
        assert!(dir.place_for(".").is_err());
        assert_eq!(dir.place_for("inside/b/c").expect("inside"), dir.work().join("a/b/c"));
        assert!(!stays_below(&dir.work().join("out/new"), dir.work()));
        assert!(stays_below(&dir.work().join("a/new/x"), dir.work()));
    }

    #[test]
    fn goes_when_dropped() {
        let dir = StepDir::new().expect("made");
        #[cfg(unix)]
        {
            let meta = dir._dir.path().metadata().expect("exists");
            assert_eq!(std::os::unix::fs::PermissionsExt::mode(&meta.permissions()) & 0o777, 0o700);
        }
        let work = dir.work().to_owned();
        drop(dir);
        assert!(!work.exists());
    }
}
