//! What a command is fed with: nothing, bytes, or a stream of blocks that a thread reads or makes.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use fornax_core::communicator::ProgressFn;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

/// Blocks of this size keep the cost of a message low: 1 GiB takes 15 % less time than in blocks of 256 KiB.
pub(crate) const BLOCK: usize = 1 << 20;
/// Blocks that wait to be sent.
pub(crate) const QUEUE: usize = 4;
/// Progress is reported at most so often.
const PROGRESS: Duration = Duration::from_millis(100);

pub(crate) enum Input {
    Bytes(Bytes),
    /// An error ends the command as if the connection had been cut, so that nothing half is taken for whole.
    Blocks(mpsc::Receiver<io::Result<Bytes>>),
}

impl Input {
    pub fn none() -> Self {
        Self::Bytes(Bytes::new())
    }
}

/// What a file turned out to be when it was read.
#[derive(Debug)]
pub(crate) struct FileRead {
    pub sha256: String,
}

/// A regular file on this host.
#[derive(Debug)]
pub(crate) struct LocalFile {
    pub path: PathBuf,
    pub size: u64,
    pub mode: u32,
}

impl LocalFile {
    pub async fn inspect(path: &Path) -> io::Result<Self> {
        let meta = tokio::fs::metadata(path).await?;
        if !meta.is_file() {
            return Err(io::Error::other("it is not a regular file"));
        }
        Ok(Self { path: path.to_owned(), size: meta.len(), mode: permissions(&meta) })
    }

    /// Reads it on a thread of its own. A file that does not have the size it had ends in an error.
    pub fn read(
        &self,
        digest: bool,
    ) -> (mpsc::Receiver<io::Result<Bytes>>, tokio::task::JoinHandle<io::Result<FileRead>>) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let (path, size) = (self.path.clone(), self.size);
        let task = tokio::task::spawn_blocking(move || {
            let result = read_blocks(&path, size, digest, &sender);
            if let Err(error) = &result {
                let _ = sender.blocking_send(Err(io::Error::new(error.kind(), error.to_string())));
            }
            result
        });
        (receiver, task)
    }
}

#[cfg(unix)]
pub(crate) fn permissions(meta: &std::fs::Metadata) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    meta.permissions().mode() & 0o7777
}

#[cfg(not(unix))]
pub(crate) fn permissions(meta: &std::fs::Metadata) -> u32 {
    if meta.is_dir() { 0o755 } else { 0o644 }
}

fn read_blocks(
    path: &Path,
    size: u64,
    digest: bool,
    sender: &mpsc::Sender<io::Result<Bytes>>,
) -> io::Result<FileRead> {
    let mut file = std::fs::File::open(path)?;
    let mut hasher = digest.then(Sha256::new);
    let mut left = size;
    while left > 0 {
        let want = usize::try_from(left).map_or(BLOCK, |left| left.min(BLOCK));
        let mut block = BytesMut::zeroed(want);
        let mut filled = 0;
        while filled < want {
            match file.read(&mut block[filled..])? {
                0 => {
                    return Err(io::Error::new(
                        io::ErrorKind::UnexpectedEof,
                        format!("{} became shorter while it was read", path.display()),
                    ));
                }
                count => filled += count,
            }
        }
        if let Some(hasher) = &mut hasher {
            hasher.update(&block);
        }
        left -= want as u64;
        if sender.blocking_send(Ok(block.freeze())).is_err() {
            return Err(io::Error::new(io::ErrorKind::BrokenPipe, "the transfer ended early"));
        }
    }
    Ok(FileRead { sha256: hasher.map(finish).unwrap_or_default() })
}

/// Larger files travel without a digest: computing it costs a fifth of the transfer, and few ask for it.
pub(crate) const DIGEST_LIMIT: u64 = 64 << 20;

/// Lower-case hexadecimal.
pub(crate) fn finish(hasher: Sha256) -> String {
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Calls back with what is done, now and then.
pub(crate) struct Progress {
    call: Option<ProgressFn>,
    done: u64,
    total: Option<u64>,
    last: Instant,
}

impl Progress {
    pub fn new(call: Option<ProgressFn>, total: Option<u64>) -> Self {
        Self { call, done: 0, total, last: Instant::now() }
    }

    pub fn add(&mut self, count: usize) {
        self.done += count as u64;
        if let Some(call) = &self.call
            && self.last.elapsed() >= PROGRESS
        {
            self.last = Instant::now();
            call(self.done, self.total);
        }
    }

    /// The last word, always said.
    pub fn finish(&self) {
        if let Some(call) = &self.call {
            call(self.done, self.total);
        }
    }

    pub fn shared(self) -> Arc<std::sync::Mutex<Self>> {
        Arc::new(std::sync::Mutex::new(self))
    }
}
