//! The cache of compiled plugins in the user's own cache folder: native code keyed by the component's digest and the
//! engine's settings, and beside it what the plugin says about itself, so that a check of a template needs neither to
//! compile nor to run it. The content is executed as native code, so the folder is the user's alone; anything that
//! looks wrong counts as missing. A run that adds something removes what was not used for long or is too much.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

mod prune;

/// Changes when the cached descriptor, or what is checked before it is cached, changes.
const FORMAT: &str = concat!("1-", env!("CARGO_PKG_VERSION"));

/// The cache. Without a folder everything is compiled anew.
pub struct Cache {
    dir: Option<PathBuf>,
    /// Whether this run has already looked for what can go.
    pruned: AtomicBool,
}

impl Cache {
    /// A folder that others could write to is not used.
    pub fn new(dir: Option<&Path>) -> Self {
        let dir = dir.map(|d| d.join("plugins")).filter(|d| match make_private(d) {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(path = %d.display(), %error, "plugins are compiled at each run: the cache can't be used");
                false
            }
        });
        Self { dir, pruned: AtomicBool::new(false) }
    }

    /// What the plugin says about itself.
    pub fn descriptor(&self, digest: &str) -> Option<String> {
        let path = self.descriptor_path(digest)?;
        let json = fs::read_to_string(&path).ok()?;
        prune::used(&path);
        Some(json)
    }

    pub fn store_descriptor(&self, digest: &str, json: &str) {
        if let Some(path) = self.descriptor_path(digest) {
            self.write(&path, json.as_bytes());
        }
    }

    /// Where the native code lies, if it is there.
    pub fn code(&self, digest: &str, engine: &str) -> Option<PathBuf> {
        let path = self.code_path(digest, engine)?;
        path.symlink_metadata().is_ok_and(|m| m.is_file()).then(|| {
            prune::used(&path);
            path
        })
    }

    pub fn store_code(&self, digest: &str, engine: &str, code: &[u8]) {
        if let Some(path) = self.code_path(digest, engine) {
            self.write(&path, code);
        }
    }

    fn descriptor_path(&self, digest: &str) -> Option<PathBuf> {
        Some(self.dir.as_ref()?.join(format!("{digest}-{FORMAT}.json")))
    }

    fn code_path(&self, digest: &str, engine: &str) -> Option<PathBuf> {
        Some(self.dir.as_ref()?.join(format!("{digest}-{engine}.cwasm")))
    }

    fn write(&self, path: &Path, content: &[u8]) {
        if let Err(error) = write_whole(path, content) {
            tracing::warn!(path = %path.display(), %error, "the plugin cache can't be written");
        }
        if let Some(dir) = &self.dir
            && !self.pruned.swap(true, Ordering::Relaxed)
        {
            prune::prune(dir, SystemTime::now(), &prune::Limits::default());
        }
    }
}

/// The file appears whole or not at all.
fn write_whole(path: &Path, content: &[u8]) -> io::Result<()> {
    let dir = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    file.write_all(content)?;
    file.persist(path).map_err(|e| e.error)?;
    Ok(())
}

#[cfg(unix)]
fn make_private(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let meta = fs::metadata(dir)?;
    if meta.mode() & 0o022 != 0 {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700))?;
    }
    // A folder of somebody else could be changed by them at any time.
    let probe = tempfile::NamedTempFile::new_in(dir)?;
    if probe.as_file().metadata()?.uid() != meta.uid() {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it belongs to another user"));
    }
    Ok(())
}

#[cfg(not(unix))]
fn make_private(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stores_and_finds() {
        let dir = tempfile::tempdir().expect("a folder");
        let cache = Cache::new(Some(dir.path()));
        assert!(cache.code("d", "e").is_none() && cache.descriptor("d").is_none());
        cache.store_code("d", "e", b"code");
        cache.store_descriptor("d", "{}");
        assert_eq!(fs::read(cache.code("d", "e").expect("stored")).expect("readable"), b"code");
        assert_eq!(cache.descriptor("d").as_deref(), Some("{}"));
        assert!(cache.code("d", "other").is_none());
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            assert_eq!(fs::metadata(dir.path().join("plugins")).expect("made").mode() & 0o777, 0o700);
        }
        let none = Cache::new(None);
        none.store_code("d", "e", b"code");
        assert!(none.code("d", "e").is_none());
    }
}
