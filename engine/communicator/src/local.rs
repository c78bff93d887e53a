//! A file on this host that a download becomes: written beside its place on a thread of its own, digest included, and
//! given its name only when it is whole.

use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use fornax_core::communicator::{CommunicatorError, TransferStats};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use crate::input::{DIGEST_LIMIT, finish};

/// A local file that appears under its name only when it is whole.
pub(crate) struct LocalTarget {
    path: PathBuf,
    temporary: PathBuf,
}

impl LocalTarget {
    pub fn new(path: &Path) -> Result<Self, CommunicatorError> {
        let mut tag = [0; 6];
        getrandom::fill(&mut tag)
            .map_err(|e| CommunicatorError::Other(format!("the system gives no random numbers: {e}")))?;
        let tag: String = tag.iter().map(|b| format!("{b:02x}")).collect();
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let temporary = path.with_file_name(format!(".{name}.{tag}.part"));
        Ok(Self { path: path.to_owned(), temporary })
    }

    /// Writes on a thread.
    pub fn write(
        &self,
        mut blocks: mpsc::Receiver<Bytes>,
    ) -> tokio::task::JoinHandle<io::Result<TransferStats>> {
        let temporary = self.temporary.clone();
        tokio::task::spawn_blocking(move || {
            // The file is made with the first block, so that a folder on the other side leaves nothing here.
            let mut file = None;
            let mut hasher = Some(Sha256::new());
            let mut bytes = 0;
            while let Some(block) = blocks.blocking_recv() {
                let file = match &mut file {
                    Some(file) => file,
                    None => file.insert(create(&temporary)?),
                };
                io::Write::write_all(file, &block)?;
                bytes += block.len() as u64;
                match &mut hasher {
                    Some(hasher) if bytes <= DIGEST_LIMIT => hasher.update(&block),
                    _ => hasher = None,
                }
            }
            Ok(TransferStats { files: 1, bytes, sha256: hasher.map(finish).unwrap_or_default() })
        })
    }

    pub fn keep(&self) -> io::Result<()> {
        if !self.temporary.exists() {
            create(&self.temporary)?;
        }
        if self.path.is_dir() {
            return Err(io::Error::other("it is a folder"));
        }
        std::fs::rename(&self.temporary, &self.path)
    }
}

fn create(path: &Path) -> io::Result<std::fs::File> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    std::fs::File::create(path)
}

impl Drop for LocalTarget {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.temporary);
    }
}
