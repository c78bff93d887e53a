//! Host files: what stands at a path, whole small files, and files of any size written through the workspace.

use crate::files::{self, HostFile};
use crate::{Error, ErrorCode, Result};

/// The largest piece that one call moves.
const PIECE: u32 = 1 << 20;

/// What stands at a path on the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileState {
    File,
    Directory,
    Missing,
    /// It can't be looked at; the text says why.
    Unreadable(String),
}

/// Looks at a path that the configuration names.
pub fn file_state(path: &str) -> FileState {
    match files::open(path).and_then(|file| file.info()) {
        Ok(info) if info.is_directory => FileState::Directory,
        Ok(_) => FileState::File,
        Err(error) if error.is(ErrorCode::NotFound) => FileState::Missing,
        Err(error) => FileState::Unreadable(error.message),
    }
}

/// The whole content of a host file, if it is not larger than `limit` bytes.
pub fn read_all(file: &HostFile, limit: usize) -> Result<Vec<u8>> {
    let mut content = Vec::new();
    loop {
        let piece = file.read(content.len() as u64, PIECE)?;
        if piece.is_empty() {
            return Ok(content);
        }
        if content.len() + piece.len() > limit {
            return Err(Error::new(ErrorCode::TooLarge, format!("the file is larger than {limit} bytes")));
        }
        content.extend_from_slice(&piece);
    }
}

/// The whole text of a host file, if it is not larger than `limit` bytes.
pub fn read_to_string(file: &HostFile, limit: usize) -> Result<String> {
    Ok(String::from_utf8(read_all(file, limit)?)?)
}

/// Writes a file of any size below the step's workspace and returns its handle.
pub fn write_file(name: &str, content: &[u8]) -> Result<HostFile> {
    let writer = files::step_workspace()?.create(name, true)?;
    for piece in content.chunks(PIECE as usize) {
        writer.write(piece)?;
    }
    files::HostWriter::finish(writer)
}
