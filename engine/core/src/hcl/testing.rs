//! A host for tests: files, an environment and a clock that stand still.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::functions::{FileKind, Host};

#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) files: BTreeMap<PathBuf, Vec<u8>>,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) base: PathBuf,
}

impl Default for Desk {
    fn default() -> Self {
        Self { files: BTreeMap::new(), env: BTreeMap::new(), base: PathBuf::from("/template") }
    }
}

impl Host for Desk {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.files.get(path).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn kind(&self, path: &Path) -> io::Result<FileKind> {
        Ok(if self.files.contains_key(path) {
            FileKind::File
        } else if self.files.keys().any(|f| f.starts_with(path)) {
            FileKind::Folder
        } else {
            FileKind::Missing
        })
    }

    fn list(&self, path: &Path) -> io::Result<Vec<(String, FileKind)>> {
        let mut out = BTreeMap::new();
        for file in self.files.keys() {
            if let Ok(rest) = file.strip_prefix(path) {
                let mut parts = rest.components();
                if let Some(first) = parts.next() {
                    let kind = if parts.next().is_some() { FileKind::Folder } else { FileKind::File };
                    out.insert(first.as_os_str().to_string_lossy().into_owned(), kind);
                }
            }
        }
        Ok(out.into_iter().collect())
    }

    fn home(&self) -> Option<String> {
        Some("/home/tester".to_owned())
    }

    fn env(&self, name: &str) -> Option<String> {
        self.env.get(name).cloned()
    }

    fn start_time(&self) -> jiff::Timestamp {
        jiff::Timestamp::UNIX_EPOCH
    }

    fn base_dir(&self) -> &Path {
        &self.base
    }

    fn working_dir(&self) -> &Path {
        Path::new("/started")
    }
}
