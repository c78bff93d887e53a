//! Host side of `files`: files by handle. A path of the host is opened only when the step's configuration names it, or
//! the operator granted it; everything else happens in the step's own folder.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sha2::Digest;
use tokio_util::sync::CancellationToken;
use wasmtime::component::Resource;

use crate::bindings::host::fornax::plugin::files::{
    Compression, Container, DigestAlgorithm, FileInfo, Host, HostHostFile, HostHostWriter, HostOutputLock,
    HostWorkspace,
};
use crate::bindings::host::fornax::plugin::types::{Error, ErrorCode};
use crate::config::absolute;
use crate::copy::Source;
use crate::glob;
use crate::locks::LockError;
use crate::pack;
use crate::publish::default_permissions;
use crate::resources::{HostFile, HostWriter, OutputLockHandle, WorkspaceHandle};
use crate::state::{Answer, Phase, State};
use crate::workspace::{PathError, StepDir, stays_below};

const READ: u32 = 1024 * 1024;
const FROM_BYTES: usize = 16 * 1024 * 1024;
const LOCK: Duration = Duration::from_secs(60);
/// Entries of one folder that are listed.
const ENTRIES: usize = 100_000;

impl State {
    pub fn path_error(&self, error: &PathError) -> Error {
        let code = match error {
            PathError::Invalid(..) | PathError::Escapes(_) => ErrorCode::InvalidArgument,
            PathError::Io(_, e) if e.kind() == io::ErrorKind::NotFound => ErrorCode::NotFound,
            PathError::Io(..) => ErrorCode::Io,
        };
        self.error(code, error.to_string())
    }

    fn not_in_describe(&self) -> Result<(), Error> {
        if self.phase == Phase::Describe {
            return Err(self.error(ErrorCode::Denied, "files are not available to describe"));
        }
        Ok(())
    }

    /// The output that the configuration names and that `path` is or lies below.
    pub(crate) fn named_output(&self, path: &Path) -> Option<&PathBuf> {
        self.host_outputs.iter().find(|o| path == *o || (path.starts_with(o) && stays_below(path, o)))
    }

    /// Whether the configuration names the path, for reading or as output.
    pub(crate) fn names(&self, path: &str) -> bool {
        let place = absolute(&self.working_dir, path);
        self.host_paths.contains(&place) || self.named_output(&place).is_some()
    }

    fn openable(&self, path: &str) -> Result<PathBuf, Error> {
        self.not_in_describe()?;
        let place = absolute(&self.working_dir, path);
        let named = self.names(path);
        let granted =
            || place.canonicalize().is_ok_and(|real| self.rights.allows_file(&real, &self.working_dir));
        if !named && !granted() {
            return Err(self.error(
                ErrorCode::Denied,
                format!("{path} is neither named by the configuration nor granted to this plugin (--grant {}=host-files-read:PATH)", self.plugin_name),
            ));
        }
        match place.metadata() {
            Ok(_) => Ok(place),
            Err(error) => Err(self.io_error(path, &error)),
        }
    }

    /// A handle for a file in the step's folder.
    pub fn file_in(&mut self, folder: &Arc<StepDir>, path: PathBuf) -> wasmtime::Result<Resource<HostFile>> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(self.table.push(HostFile { path, name, unseal: false, _folder: Some(Arc::clone(folder)) })?)
    }

    fn info_of(&self, file: &HostFile) -> Result<FileInfo, Error> {
        let meta = file.path.metadata().map_err(|e| self.io_error(&file.name, &e))?;
        Ok(info(file.name.clone(), &meta))
    }
}

fn info(name: String, meta: &std::fs::Metadata) -> FileInfo {
    #[cfg(unix)]
    let mode = std::os::unix::fs::PermissionsExt::mode(&meta.permissions()) & 0o7777;
    #[cfg(not(unix))]
    let mode = 0;
    FileInfo { name, size: if meta.is_dir() { 0 } else { meta.len() }, mode, is_directory: meta.is_dir() }
}

fn digest<D: Digest>(path: &Path, cancel: &CancellationToken) -> io::Result<String> {
    let mut file = Source::open(path, cancel)?;
    let mut hasher = D::new();
    let mut buffer = vec![0u8; 256 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.finalize().iter().map(|b| format!("{b:02x}")).collect()),
            n => hasher.update(&buffer[..n]),
        }
    }
}

impl HostHostFile for State {
    async fn info(&mut self, this: Resource<HostFile>) -> Answer<FileInfo> {
        let file = self.table.get(&this)?;
        Ok(self.info_of(file))
    }

    async fn read(&mut self, this: Resource<HostFile>, offset: u64, length: u32) -> Answer<Vec<u8>> {
        let file = self.table.get(&this)?;
        let read = || {
            let mut bytes = Vec::new();
            let mut opened = File::open(&file.path)?;
            opened.seek(SeekFrom::Start(offset))?;
            opened.take(length.min(READ).into()).read_to_end(&mut bytes)?;
            io::Result::Ok(bytes)
        };
        Ok(read().map_err(|e| self.io_error(&file.name, &e)))
    }

    async fn digest(&mut self, this: Resource<HostFile>, algorithm: DigestAlgorithm) -> Answer<String> {
        let file = self.table.get(&this)?.clone();
        let compute: fn(&Path, &CancellationToken) -> io::Result<String> = match algorithm {
            DigestAlgorithm::Md5 => digest::<md5::Md5>,
            DigestAlgorithm::Sha1 => digest::<sha1::Sha1>,
            DigestAlgorithm::Sha224 => digest::<sha2::Sha224>,
            DigestAlgorithm::Sha256 => digest::<sha2::Sha256>,
            DigestAlgorithm::Sha384 => digest::<sha2::Sha384>,
            DigestAlgorithm::Sha512 => digest::<sha2::Sha512>,
            DigestAlgorithm::Blake3 => {
                let message = "this host computes md5, sha1 and the digests of SHA-2, not blake3";
                return Ok(Err(self.error(ErrorCode::Unsupported, message)));
            }
        };
        let (path, cancel) = (file.path.clone(), self.cancel.clone());
        let work = tokio::task::spawn_blocking(move || compute(&path, &cancel));
        match self.stop(false, None).run("the digest", work).await {
            Ok(Ok(result)) => Ok(result.map_err(|e| self.io_error(&file.name, &e))),
            Ok(Err(error)) => Err(wasmtime::format_err!("the digest failed: {error}")),
            Err(stopped) => Ok(Err(stopped)),
        }
    }

    async fn unseal_on_upload(&mut self, this: Resource<HostFile>) -> Answer<Resource<HostFile>> {
        let file = HostFile { unseal: true, ..self.table.get(&this)?.clone() };
        Ok(Ok(self.table.push(file)?))
    }

    async fn drop(&mut self, this: Resource<HostFile>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl HostHostWriter for State {
    async fn write(&mut self, this: Resource<HostWriter>, bytes: Vec<u8>) -> Answer<()> {
        let result = self.table.get_mut(&this)?.file.write_all(&bytes);
        Ok(result.map_err(|e| self.io_error("the file can't be written", &e)))
    }

    async fn append_file(&mut self, this: Resource<HostWriter>, source: Resource<HostFile>) -> Answer<()> {
        let path = self.table.get(&source)?.path.clone();
        let target = self.table.get(&this)?.file.as_file().try_clone();
        let cancel = self.cancel.clone();
        let work =
            tokio::task::spawn_blocking(move || Source::open(&path, &cancel)?.copy_to_file(&mut target?));
        match self.stop(false, None).run("the copy", work).await {
            Ok(Ok(result)) => Ok(result.map_err(|e| self.io_error("the file can't be appended", &e))),
            Ok(Err(error)) => Err(wasmtime::format_err!("the copy failed: {error}")),
            Err(stopped) => Ok(Err(stopped)),
        }
    }

    async fn finish(&mut self, this: Resource<HostWriter>) -> Answer<Resource<HostFile>> {
        let writer = self.table.delete(this)?;
        let persisted = if writer.replace {
            writer.file.persist(&writer.target)
        } else {
            writer.file.persist_noclobber(&writer.target)
        };
        match persisted {
            Ok(_) => Ok(Ok(self.file_in(&writer.folder, writer.target)?)),
            Err(error) => Ok(Err(self.io_error("the file can't be finished", &error.error))),
        }
    }

    async fn drop(&mut self, this: Resource<HostWriter>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl HostWorkspace for State {
    async fn open(&mut self, this: Resource<WorkspaceHandle>, path: String) -> Answer<Resource<HostFile>> {
        let folder = Arc::clone(&self.table.get(&this)?.folder);
        let place = match folder.resolve(&path) {
            Ok(place) => place,
            Err(error) => return Ok(Err(self.path_error(&error))),
        };
        if let Err(error) = place.metadata() {
            return Ok(Err(self.io_error(&path, &error)));
        }
        Ok(Ok(self.file_in(&folder, place)?))
    }

    async fn create(
        &mut self,
        this: Resource<WorkspaceHandle>,
        path: String,
        replace: bool,
    ) -> Answer<Resource<HostWriter>> {
        let folder = Arc::clone(&self.table.get(&this)?.folder);
        let target = match folder.place_for(&path) {
            Ok(place) => place,
            Err(error) => return Ok(Err(self.path_error(&error))),
        };
        if target.is_dir() || (!replace && target.exists()) {
            return Ok(Err(self.error(ErrorCode::AlreadyExists, format!("{path} exists in the workspace"))));
        }
        let part = tempfile::Builder::new().permissions(default_permissions()).tempfile_in(folder.parts());
        match part {
            Ok(file) => Ok(Ok(self.table.push(HostWriter { file, target, replace, folder })?)),
            Err(error) => Ok(Err(self.io_error(&path, &error))),
        }
    }

    async fn entries(&mut self, this: Resource<WorkspaceHandle>, path: String) -> Answer<Vec<FileInfo>> {
        let folder = Arc::clone(&self.table.get(&this)?.folder);
        let list = || {
            let place = folder.resolve(&path)?;
            let mut entries = Vec::new();
            let io = |e| PathError::Io(path.clone(), e);
            for entry in std::fs::read_dir(place).map_err(io)?.take(ENTRIES) {
                let entry = entry.map_err(io)?;
                entries.push(info(
                    entry.file_name().to_string_lossy().into_owned(),
                    &entry.metadata().map_err(io)?,
                ));
            }
            entries.sort_by(|a, b| a.name.cmp(&b.name));
            Ok(entries)
        };
        Ok(list().map_err(|e: PathError| self.path_error(&e)))
    }

    async fn remove(&mut self, this: Resource<WorkspaceHandle>, path: String) -> Answer<()> {
        let folder = Arc::clone(&self.table.get(&this)?.folder);
        // The name itself is not followed: removing a link removes the link.
        let place = match path.rsplit_once('/') {
            Some((parent, name)) if !matches!(name, "" | "." | "..") => {
                folder.resolve(parent).map(|p| p.join(name))
            }
            None if !matches!(path.as_str(), "" | "." | "..") => Ok(folder.work().join(&path)),
            _ => folder.place_for(&path),
        };
        let remove = |place: PathBuf| {
            if place.symlink_metadata()?.is_dir() {
                std::fs::remove_dir_all(place)
            } else {
                std::fs::remove_file(place)
            }
        };
        Ok(match place {
            Ok(place) => remove(place).map_err(|e| self.io_error(&path, &e)),
            Err(error) => Err(self.path_error(&error)),
        })
    }

    async fn pack(
        &mut self,
        this: Resource<WorkspaceHandle>,
        entries: Vec<(String, Resource<HostFile>)>,
        to: String,
        container: Container,
        compression: Compression,
        level: Option<u32>,
    ) -> Answer<Resource<HostFile>> {
        let folder = Arc::clone(&self.table.get(&this)?.folder);
        let mut sources = Vec::new();
        for (name, file) in &entries {
            sources.push((name.clone(), self.table.get(file)?.path.clone()));
        }
        let target = match folder.place_for(&to) {
            Ok(place) => place,
            Err(error) => return Ok(Err(self.path_error(&error))),
        };
        let (parts, cancel) = (folder.parts().to_owned(), self.cancel.clone());
        let request = pack::Request { sources, target: target.clone(), parts, container, compression, level };
        if let Err(refusal) = request.check() {
            let code = if refusal.unsupported { ErrorCode::Unsupported } else { ErrorCode::InvalidArgument };
            return Ok(Err(self.error(code, refusal.reason)));
        }
        let work = tokio::task::spawn_blocking(move || request.run(&cancel));
        match self.stop(false, None).run("packing", work).await {
            Ok(Ok(Ok(()))) => Ok(Ok(self.file_in(&folder, target)?)),
            Ok(Ok(Err(error))) => Ok(Err(self.io_error(&to, &error))),
            Ok(Err(error)) => Err(wasmtime::format_err!("packing failed: {error}")),
            Err(stopped) => Ok(Err(stopped)),
        }
    }

    async fn publish(
        &mut self,
        this: Resource<WorkspaceHandle>,
        file: Resource<HostFile>,
        output_path: String,
        replace: bool,
    ) -> Answer<String> {
        self.table.get(&this)?;
        let source = self.table.get(&file)?.path.clone();
        Ok(self.publish_file(source, &output_path, replace).await)
    }

    async fn drop(&mut self, this: Resource<WorkspaceHandle>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl HostOutputLock for State {
    async fn drop(&mut self, this: Resource<OutputLockHandle>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl Host for State {
    async fn lock_output(&mut self, path: String) -> Answer<Resource<OutputLockHandle>> {
        if let Err(error) = self.only_while_working("files.lock-output") {
            return Ok(Err(error));
        }
        let place = absolute(&self.working_dir, &path);
        if self.named_output(&place).is_none() {
            return Ok(Err(self
                .error(ErrorCode::Denied, format!("{path} is not an output that the configuration names"))));
        }
        let locks = Arc::clone(&self.locks);
        match self.stop(false, None).run("the lock", locks.lock(&place, LOCK)).await {
            Ok(Ok(lock)) => Ok(Ok(self.table.push(OutputLockHandle { _lock: lock })?)),
            Ok(Err(error)) => {
                let code = if matches!(error, LockError::Timeout { .. }) {
                    ErrorCode::Timeout
                } else {
                    ErrorCode::Io
                };
                Ok(Err(self.error(code, error.to_string())))
            }
            Err(stopped) => Ok(Err(stopped)),
        }
    }

    async fn step_workspace(&mut self) -> Answer<Resource<WorkspaceHandle>> {
        if let Err(error) = self.only_while_working("files.step-workspace") {
            return Ok(Err(error));
        }
        match self.folder() {
            Ok(folder) => Ok(Ok(self.table.push(WorkspaceHandle { folder })?)),
            Err(error) => Ok(Err(error)),
        }
    }

    async fn open(&mut self, path: String) -> Answer<Resource<HostFile>> {
        match self.openable(&path) {
            Ok(place) => {
                let name = place.file_name().unwrap_or_default().to_string_lossy().into_owned();
                Ok(Ok(self.table.push(HostFile { path: place, name, unseal: false, _folder: None })?))
            }
            Err(error) => Ok(Err(error)),
        }
    }

    async fn find(&mut self, pattern: String) -> Answer<Vec<String>> {
        if let Err(error) = self.only_while_working("files.find") {
            return Ok(Err(error));
        }
        if !self.host_globs.contains(&pattern) {
            let message = format!("{pattern} is not a pattern that the configuration names");
            return Ok(Err(self.error(ErrorCode::Denied, message)));
        }
        let (working_dir, cancel, wanted) = (self.working_dir.clone(), self.cancel.clone(), pattern.clone());
        let work = tokio::task::spawn_blocking(move || glob::find(&working_dir, &wanted, &cancel));
        match self.stop(false, None).run("the search", work).await {
            Ok(Ok(Ok(found))) => {
                self.host_paths
                    .extend(found.iter().map(|path| absolute(&self.working_dir, &path.to_string_lossy())));
                Ok(Ok(found.into_iter().map(|path| path.to_string_lossy().into_owned()).collect()))
            }
            Ok(Ok(Err(error))) => {
                let code = match error {
                    glob::GlobError::Pattern(..) => ErrorCode::InvalidArgument,
                    glob::GlobError::TooMany(_) => ErrorCode::TooLarge,
                    glob::GlobError::Cancelled(_) => ErrorCode::Cancelled,
                };
                Ok(Err(self.error(code, error.to_string())))
            }
            Ok(Err(error)) => Err(wasmtime::format_err!("the search failed: {error}")),
            Err(stopped) => Ok(Err(stopped)),
        }
    }

    async fn from_bytes(&mut self, name: String, content: Vec<u8>) -> Answer<Resource<HostFile>> {
        if let Err(error) = self.not_in_describe() {
            return Ok(Err(error));
        }
        if content.len() > FROM_BYTES {
            return Ok(Err(self.error(
                ErrorCode::TooLarge,
                "from-bytes takes at most 16 MiB; write a workspace file instead",
            )));
        }
        let folder = match self.folder() {
            Ok(folder) => folder,
            Err(error) => return Ok(Err(error)),
        };
        let path = folder.parts().join(crate::random_hex::<8>());
        match std::fs::write(&path, content) {
            Ok(()) => {
                Ok(Ok(self.table.push(HostFile { path, name, unseal: false, _folder: Some(folder) })?))
            }
            Err(error) => Ok(Err(self.io_error(&name, &error))),
        }
    }
}
