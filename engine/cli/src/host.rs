//! The file system, the environment and the clock, for functions of templates.

use std::io;
use std::path::{Path, PathBuf};

use fornax_core::hcl::functions::{FileKind, Host};

/// Bytes that a template may read from one file.
const MAX_FILE: u64 = 64 << 20;

pub struct TemplateHost {
    /// The folder of the template, absolute.
    pub base_dir: PathBuf,
    pub working_dir: PathBuf,
    pub start_time: jiff::Timestamp,
}

fn kind_of(meta: &std::fs::Metadata) -> FileKind {
    if meta.is_file() {
        FileKind::File
    } else if meta.is_dir() {
        FileKind::Folder
    } else {
        FileKind::Other
    }
}

impl Host for TemplateHost {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let meta = std::fs::metadata(path)?;
        // A device or a pipe may never end.
        if !meta.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
        }
        if meta.len() > MAX_FILE {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 64 MiB"));
        }
        std::fs::read(path)
    }

    fn kind(&self, path: &Path) -> io::Result<FileKind> {
        match std::fs::metadata(path) {
            Ok(meta) => Ok(kind_of(&meta)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(FileKind::Missing),
            Err(e) => Err(e),
        }
    }

    fn list(&self, path: &Path) -> io::Result<Vec<(String, FileKind)>> {
        let mut out = Vec::new();
        for entry in std::fs::read_dir(path)? {
            let entry = entry?;
            let kind = std::fs::metadata(entry.path()).map_or(FileKind::Other, |meta| kind_of(&meta));
            out.push((entry.file_name().to_string_lossy().into_owned(), kind));
        }
        out.sort_by(|a: &(String, FileKind), b| a.0.cmp(&b.0));
        Ok(out)
    }

    fn home(&self) -> Option<String> {
        std::env::var("HOME").ok().filter(|h| !h.is_empty())
    }

    fn env(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn start_time(&self) -> jiff::Timestamp {
        self.start_time
    }

    fn base_dir(&self) -> &Path {
        &self.base_dir
    }

    fn working_dir(&self) -> &Path {
        &self.working_dir
    }
}
