//! Reading of large files that ends when the build is cancelled: a blocking thread can't be stopped from outside, so
//! that each piece asks first.

use std::fs::{File, Metadata};
use std::io::{self, Read, Write};
use std::path::Path;

use tokio_util::sync::CancellationToken;

/// What is read or copied between two looks at the token, in bytes.
const PIECE: usize = 256 * 1024;

/// A file that is read as far as it reached when it was opened. Reading fails once the build is cancelled, or when the
/// file became shorter.
pub struct Source {
    file: File,
    meta: Metadata,
    left: u64,
    cancel: CancellationToken,
}

impl Source {
    pub fn open(path: &Path, cancel: &CancellationToken) -> io::Result<Self> {
        let file = File::open(path)?;
        let meta = file.metadata()?;
        if meta.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let left = meta.len();
        Ok(Self { file, meta, left, cancel: cancel.clone() })
    }

    /// Of the open file.
    pub fn meta(&self) -> &Metadata {
        &self.meta
    }

    /// Copies what is left.
    pub fn copy_to(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let mut buffer = vec![0; PIECE];
        loop {
            match self.read(&mut buffer)? {
                0 => return Ok(()),
                n => out.write_all(&buffer[..n])?,
            }
        }
    }

    /// Copies what is left to another file, by the system's own means where it has any.
    pub fn copy_to_file(&mut self, out: &mut File) -> io::Result<()> {
        const STEP: u64 = 32 * 1024 * 1024;
        while self.left > 0 {
            check(&self.cancel)?;
            let step = self.left.min(STEP);
            let copied = io::copy(&mut (&self.file).take(step), out)?;
            if copied < step {
                return Err(shorter());
            }
            self.left -= copied;
        }
        Ok(())
    }
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        check(&self.cancel)?;
        let want = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len()).min(PIECE);
        if want == 0 {
            return Ok(0);
        }
        let n = self.file.read(&mut buffer[..want])?;
        if n == 0 {
            return Err(shorter());
        }
        self.left -= n as u64;
        Ok(n)
    }
}

fn shorter() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter while it was read")
}

fn check(cancel: &CancellationToken) -> io::Result<()> {
    if cancel.is_cancelled() {
        return Err(io::Error::other("the build is being cancelled"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_with_the_build_and_notices_a_shorter_file() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("f");
        std::fs::write(&path, vec![7; 3 * PIECE]).expect("written");
        let cancel = CancellationToken::new();
        let mut copy = Vec::new();
        Source::open(&path, &cancel).expect("opened").copy_to(&mut copy).expect("copied");
        assert_eq!(copy.len(), 3 * PIECE);
        let mut out = File::create(dir.path().join("g")).expect("made");
        Source::open(&path, &cancel).expect("opened").copy_to_file(&mut out).expect("copied");
        assert_eq!(out.metadata().expect("there").len(), 3 * PIECE as u64);

        let mut source = Source::open(&path, &cancel).expect("opened");
        File::options().write(true).open(&path).expect("opened").set_len(10).expect("cut");
        let error = source.copy_to(&mut io::sink()).expect_err("shorter");
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);

        let mut source = Source::open(&path, &cancel).expect("opened");
        cancel.cancel();
        assert!(source.read(&mut [0; 4]).is_err());
        assert!(source.copy_to_file(&mut out).is_err());
        assert!(Source::open(dir.path(), &cancel).is_err());
    }
}
