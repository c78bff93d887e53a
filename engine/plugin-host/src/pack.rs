//! Packing of files into one, streaming: a single file, a tar or a zip archive, compressed or not. Memory is bounded
//! whatever the size; a cancelled build stops it; the target appears whole or not at all.

use std::io::{self, BufWriter};
use std::path::{Component, Path, PathBuf};

use tokio_util::sync::CancellationToken;

use crate::bindings::host::fornax::plugin::files::{Compression, Container};
use crate::copy::Source;
use crate::publish::default_permissions;

mod archive;
mod blocks;
mod codec;

/// Why a request can't be met.
#[derive(Debug)]
pub struct Refusal {
    pub unsupported: bool,
    pub reason: String,
}

/// What to pack.
pub struct Request {
    /// Names of the entries and what they hold.
    pub sources: Vec<(String, PathBuf)>,
    pub target: PathBuf,
    /// Where the target is written until it is complete; on the same file system.
    pub parts: PathBuf,
    pub container: Container,
    pub compression: Compression,
    /// From 1, the fastest; none: the codec's usual one.
    pub level: Option<u32>,
}

impl Request {
    /// Refuses what can't be packed before anything is written.
    pub fn check(&self) -> Result<(), Refusal> {
        let refuse = |unsupported, reason: String| Err(Refusal { unsupported, reason });
        match self.container {
            Container::Raw if self.sources.len() != 1 => {
                return refuse(false, "without a container there is exactly one file to pack".into());
            }
            Container::Zip if !matches!(self.compression, Compression::None | Compression::Gzip) => {
                let reason = format!(
                    "entries of a zip archive are stored (none) or deflated (gzip), not {:?}",
                    self.compression
                );
                return refuse(true, reason);
            }
            _ => {}
        }
        for (name, path) in &self.sources {
            if matches!(self.container, Container::Raw) {
                if path.is_dir() {
                    return refuse(false, "a directory needs a container".into());
                }
            } else if name.is_empty()
                || !Path::new(name).components().all(|c| matches!(c, Component::Normal(_)))
            {
                return refuse(false, format!("{name:?} is no name for an entry"));
            }
        }
        Ok(())
    }

    /// Packs; blocks.
    pub fn run(self, cancel: &CancellationToken) -> io::Result<()> {
        let mut part =
            tempfile::Builder::new().permissions(default_permissions()).tempfile_in(&self.parts)?;
        let out = part.as_file_mut();
        if matches!(self.container, Container::Zip) {
            let deflate = matches!(self.compression, Compression::Gzip);
            archive::zip(out, &self.sources, deflate, self.level, cancel)?;
        } else {
            let out = BufWriter::with_capacity(codec::BUFFER, out);
            codec::compress(out, self.compression, self.level, |out| match self.container {
                Container::Tar => archive::tar(out, &self.sources, cancel),
                _ => self.sources.iter().try_for_each(|(_, path)| Source::open(path, cancel)?.copy_to(out)),
            })?;
        }
        part.persist(&self.target).map_err(|e| e.error)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
