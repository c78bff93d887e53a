//! The SFTP subsystem of a `record` machine, on the memory file system.

use std::collections::HashMap;
use std::sync::Arc;

use russh_sftp::protocol::{
    Attrs, Data, File, FileAttributes, FileMode, Handle, Name, OpenFlags, Status, StatusCode, Version,
};
use russh_sftp::server::{self, Config, StatusReply};
use tokio::io::DuplexStream;

use super::Guest;
use super::files::{FileError, Kind, Node, Writer};

/// Open files and directories of one session.
const HANDLES: usize = 256;

/// Serves SFTP on a stream in the background until it ends.
pub(super) async fn run(stream: DuplexStream, guest: Arc<Guest>) {
    let config = Config { max_client_packet_len: 512 * 1024 };
    server::run_with_config(stream, Sftp { guest, open: HashMap::new(), next: 0 }, config).await;
}

enum Open {
    Reading(bytes::Bytes),
    Writing { path: String, mode: u32, writer: Box<Writer> },
    Listing(Vec<File>),
}

struct Sftp {
    guest: Arc<Guest>,
    open: HashMap<String, Open>,
    next: u64,
}

impl From<FileError> for StatusReply {
    fn from(error: FileError) -> Self {
        let code = match error {
            FileError::Missing => StatusCode::NoSuchFile,
            _ => StatusCode::Failure,
        };
        code.with_message(error.to_string())
    }
}

type Reply<T> = Result<T, StatusReply>;

fn done(id: u32) -> Reply<Status> {
    Ok(Status {
        id,
        status_code: StatusCode::Ok,
        error_message: "Ok".to_owned(),
        language_tag: "en-US".to_owned(),
    })
}

fn attributes(node: &Node) -> FileAttributes {
    let (size, kind) = match &node.kind {
        Kind::Directory { .. } => (4096, FileMode::DIR),
        Kind::File { size, .. } => (*size, FileMode::REG),
    };
    FileAttributes {
        size: Some(size),
        uid: Some(0),
        gid: Some(0),
        permissions: Some(node.mode | kind.bits()),
        atime: Some(node.mtime),
        mtime: Some(node.mtime),
        ..FileAttributes::default()
    }
}

impl Sftp {
    fn open(&mut self, id: u32, open: Open) -> Reply<Handle> {
        if self.open.len() >= HANDLES {
            return Err(StatusCode::Failure.with_message("too many open files"));
        }
        self.next += 1;
        let handle = self.next.to_string();
        self.open.insert(handle.clone(), open);
        Ok(Handle { id, handle })
    }

    fn find(&mut self, handle: &str) -> Reply<&mut Open> {
        self.open.get_mut(handle).ok_or_else(|| StatusCode::Failure.with_message("no such handle"))
    }

    fn stat_path(&self, id: u32, path: &str) -> Reply<Attrs> {
        let disk = self.guest.disk();
        let node = disk.files.get(path).ok_or(FileError::Missing)?;
        Ok(Attrs { id, attrs: attributes(node) })
    }
}

impl server::Handler for Sftp {
    type Error = StatusReply;

    fn unimplemented(&self) -> Self::Error {
        StatusCode::OpUnsupported.into()
    }

    async fn init(&mut self, _version: u32, _extensions: HashMap<String, String>) -> Reply<Version> {
        Ok(Version::new())
    }

    async fn open(
        &mut self,
        id: u32,
        filename: String,
        flags: OpenFlags,
        attrs: FileAttributes,
    ) -> Reply<Handle> {
        let opened = {
            let mut disk = self.guest.disk();
            let files = &mut disk.files;
            let existing =
                files.get(&filename).map(|node| (node.mode, matches!(node.kind, Kind::Directory { .. })));
            if let Some((_, true)) = existing {
                return Err(FileError::IsDirectory.into());
            }
            if !flags.contains(OpenFlags::WRITE) {
                Open::Reading(files.read(&filename)?)
            } else {
                if existing.is_none() && !flags.contains(OpenFlags::CREATE) {
                    return Err(FileError::Missing.into());
                }
                if existing.is_some() && flags.contains(OpenFlags::EXCLUDE) {
                    return Err(FileError::Exists.into());
                }
                let asked = attrs.permissions.map(|mode| mode & 0o7777);
                let mode = existing.map(|(mode, _)| mode).or(asked).unwrap_or(0o644);
                let mut writer = files.writer();
                if existing.is_some() && !flags.contains(OpenFlags::TRUNCATE) {
                    writer.start_from(&files.read(&filename)?);
                } else {
                    // The file exists from now on, as it does on a real machine.
                    let empty = files.writer();
                    files.put(&filename, mode, empty)?;
                }
                Open::Writing { path: files.resolve(&filename), mode, writer: Box::new(writer) }
            }
        };
        self.open(id, opened)
    }

    async fn close(&mut self, id: u32, handle: String) -> Reply<Status> {
        match self.open.remove(&handle) {
            None => return Err(StatusCode::Failure.with_message("no such handle")),
            Some(Open::Writing { path, mode, writer }) => {
                self.guest.disk().files.put(&path, mode, *writer)?
            }
            Some(Open::Reading(_) | Open::Listing(_)) => {}
        }
        done(id)
    }

    async fn read(&mut self, id: u32, handle: String, offset: u64, length: u32) -> Reply<Data> {
        let length = (length as usize).min(256 * 1024);
        let data = match self.find(&handle)? {
            Open::Reading(content) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX).min(content.len());
                content[start..start.saturating_add(length).min(content.len())].to_vec()
            }
            Open::Writing { writer, .. } => writer.read(offset, length).ok_or(FileError::NotKept)?.to_vec(),
            Open::Listing(_) => return Err(StatusCode::Failure.into()),
        };
        if data.is_empty() { Err(StatusCode::Eof.into()) } else { Ok(Data { id, data }) }
    }

    async fn write(&mut self, id: u32, handle: String, offset: u64, data: Vec<u8>) -> Reply<Status> {
        match self.find(&handle)? {
            Open::Writing { writer, .. } => writer.write(offset, &data),
            Open::Reading(_) | Open::Listing(_) => return Err(StatusCode::PermissionDenied.into()),
        }
        done(id)
    }

    async fn lstat(&mut self, id: u32, path: String) -> Reply<Attrs> {
        self.stat_path(id, &path)
    }

    async fn stat(&mut self, id: u32, path: String) -> Reply<Attrs> {
        self.stat_path(id, &path)
    }

    async fn fstat(&mut self, id: u32, handle: String) -> Reply<Attrs> {
        let (size, mode) = match self.find(&handle)? {
            Open::Reading(content) => (content.len() as u64, 0o644),
            Open::Writing { writer, mode, .. } => (writer.size(), *mode),
            Open::Listing(_) => return Err(StatusCode::Failure.into()),
        };
        let permissions = Some(mode | FileMode::REG.bits());
        Ok(Attrs { id, attrs: FileAttributes { size: Some(size), permissions, ..FileAttributes::default() } })
    }

    async fn setstat(&mut self, id: u32, path: String, attrs: FileAttributes) -> Reply<Status> {
        if let Some(mode) = attrs.permissions {
            self.guest.disk().files.set_mode(&path, mode)?;
        }
        done(id)
    }

    async fn fsetstat(&mut self, id: u32, handle: String, attrs: FileAttributes) -> Reply<Status> {
        if let Open::Writing { mode, writer, .. } = self.find(&handle)? {
            if let Some(wanted) = attrs.permissions {
                *mode = wanted & 0o7777;
            }
            if let Some(size) = attrs.size {
                writer.truncate(size);
            }
        }
        done(id)
    }

    async fn opendir(&mut self, id: u32, path: String) -> Reply<Handle> {
        let nodes = self.guest.disk().files.list(&path)?;
        let files = nodes.into_iter().map(|(name, node)| File::new(name, attributes(&node))).collect();
        self.open(id, Open::Listing(files))
    }

    async fn readdir(&mut self, id: u32, handle: String) -> Reply<Name> {
        match self.find(&handle)? {
            Open::Listing(files) if files.is_empty() => Err(StatusCode::Eof.into()),
            Open::Listing(files) => Ok(Name { id, files: files.drain(..files.len().min(128)).collect() }),
            Open::Reading(_) | Open::Writing { .. } => Err(StatusCode::Failure.into()),
        }
    }

    async fn remove(&mut self, id: u32, filename: String) -> Reply<Status> {
        if self.guest.disk().files.is_directory(&filename) {
            return Err(FileError::IsDirectory.into());
        }
        self.guest.disk().files.remove(&filename)?;
        done(id)
    }

    async fn mkdir(&mut self, id: u32, path: String, _attrs: FileAttributes) -> Reply<Status> {
        let mut disk = self.guest.disk();
        if disk.files.get(&path).is_some() {
            return Err(FileError::Exists.into());
        }
        disk.files.make_directory(&path)?;
        done(id)
    }

    async fn rmdir(&mut self, id: u32, path: String) -> Reply<Status> {
        let mut disk = self.guest.disk();
        if disk.files.get(&path).is_some() && !disk.files.is_directory(&path) {
            return Err(FileError::NotDirectory.into());
        }
        disk.files.remove(&path)?;
        done(id)
    }

    async fn rename(&mut self, id: u32, from: String, to: String) -> Reply<Status> {
        self.guest.disk().files.rename(&from, &to)?;
        done(id)
    }

    async fn realpath(&mut self, id: u32, path: String) -> Reply<Name> {
        let path = self.guest.disk().files.resolve(&path);
        Ok(Name { id, files: vec![File::dummy(path)] })
    }
}
