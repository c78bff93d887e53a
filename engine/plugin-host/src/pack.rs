//! Packing of files into one, streaming: a single file or a tar archive, plain or compressed with zstd. Other forms of
//! the interface are refused by name.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;

use crate::bindings::host::fornax::plugin::files::{Compression, Container};

/// Why a request can't be met.
pub struct Refusal {
    pub unsupported: bool,
    pub reason: String,
}

/// What to pack.
pub struct Request {
    sources: Vec<(String, PathBuf)>,
    target: PathBuf,
    parts: PathBuf,
    tar: bool,
    /// zstd level.
    zstd: Option<i32>,
}

impl Request {
    pub fn new(
        sources: Vec<(String, PathBuf)>,
        target: PathBuf,
        parts: PathBuf,
        container: Container,
        compression: Compression,
        level: Option<u32>,
    ) -> Result<Self, Refusal> {
        let refuse = |unsupported, reason: &str| Err(Refusal { unsupported, reason: reason.to_owned() });
        let tar = match container {
            Container::Raw if sources.len() != 1 => {
                return refuse(false, "without a container there is exactly one file to pack");
            }
            Container::Raw => false,
            Container::Tar => true,
            Container::Zip => return refuse(true, "this host packs raw files and tar archives, not zip"),
        };
        let zstd = match compression {
            Compression::None => None,
            Compression::Zstd => Some(i32::try_from(level.unwrap_or(3).clamp(1, 19)).unwrap_or(3)),
            _ => return refuse(true, "this host compresses with zstd only"),
        };
        for (name, path) in &sources {
            let inside =
                std::path::Path::new(name).components().all(|c| matches!(c, std::path::Component::Normal(_)));
            if tar && (name.is_empty() || !inside) {
                return refuse(false, &format!("{name:?} is no name for an entry"));
            }
            if path.is_dir() && !tar {
                return refuse(false, "a directory needs a container");
            }
        }
        Ok(Self { sources, target, parts, tar, zstd })
    }

    /// Packs. The target appears whole or not at all.
    pub fn run(self) -> io::Result<()> {
        let mut part = tempfile::NamedTempFile::new_in(&self.parts)?;
        match self.zstd {
            Some(level) => {
                let mut encoder = zstd::Encoder::new(part.as_file_mut(), level)?;
                self.write(&mut encoder)?;
                encoder.finish()?;
            }
            None => self.write(part.as_file_mut())?,
        }
        part.persist(&self.target).map_err(|e| e.error)?;
        Ok(())
    }

    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        if !self.tar {
            for (_, path) in &self.sources {
                io::copy(&mut File::open(path)?, out)?;
            }
            return Ok(());
        }
        let mut tar = tar::Builder::new(out);
        tar.follow_symlinks(false);
        for (name, path) in &self.sources {
            if path.is_dir() {
                tar.append_dir_all(name, path)?;
            } else {
                tar.append_file(name, &mut File::open(path)?)?;
            }
        }
        tar.finish()
    }
}
