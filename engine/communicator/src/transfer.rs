//! Files and folders to the machine and back.
//!
//! A file goes through `cat` on the machine, which is faster than SFTP; its size is checked there before it counts as
//! arrived, and what is not whole is removed. A folder is one tar stream. SFTP serves where there is no shell, no tar,
//! or where the options ask for it.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use bytes::{Bytes, BytesMut};
use fornax_core::Secret;
use fornax_core::communicator::{CommandEvent, CommunicatorError, ProgressFn, TransferStats};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use crate::exec::{self, Exec, Finished, Request};
use crate::input::{BLOCK, DIGEST_LIMIT, Input, LocalFile, Progress, QUEUE, finish};
use crate::local::LocalTarget;
use crate::output::Overflow;
use crate::session::Session;
use crate::{sftp, shell, tree};

/// Exit codes of our own lines.
const NO_SUCH: i32 = 120;
const NOT_WHOLE: i32 = 122;
const IS_FOLDER: i32 = 123;
/// What shells say of a program that is not there.
const NO_PROGRAM: i32 = 127;

/// What a file is uploaded from.
pub(crate) enum Content {
    File(LocalFile),
    Bytes(Secret),
}

impl Content {
    pub fn size(&self) -> u64 {
        match self {
            Content::File(file) => file.size,
            Content::Bytes(secret) => secret.expose().len() as u64,
        }
    }
}

/// A problem with a path on this host.
pub(crate) fn local_error(what: &str, path: &Path, error: &io::Error) -> CommunicatorError {
    let path = path.display().to_string();
    if error.kind() == io::ErrorKind::NotFound {
        CommunicatorError::NotFound { what: what.to_owned(), path }
    } else {
        CommunicatorError::Transfer { what: format!("{what} {path}"), reason: error.to_string() }
    }
}

/// Transfers over one connection.
pub(crate) struct Transfers<'a> {
    pub session: Arc<Session>,
    /// Use SFTP only.
    pub sftp: bool,
    /// The machine turned out to have no tar.
    pub no_tar: &'a AtomicBool,
}

impl Transfers<'_> {
    pub async fn upload_file(
        &self,
        content: Content,
        to: &str,
        mode: u32,
        progress: Option<ProgressFn>,
    ) -> Result<TransferStats, CommunicatorError> {
        let size = content.size();
        let progress = Progress::new(progress, Some(size)).shared();
        let mut stats = TransferStats { files: 1, bytes: size, sha256: String::new() };
        let (input, local) = match &content {
            Content::Bytes(secret) => {
                let bytes = Bytes::copy_from_slice(secret.expose().as_bytes());
                let mut hasher = Sha256::new();
                hasher.update(&bytes);
                stats.sha256 = finish(hasher);
                (Input::Bytes(bytes), None)
            }
            Content::File(file) => {
                let (blocks, reading) = file.read(size <= DIGEST_LIMIT);
                (Input::Blocks(blocks), Some((file.path.clone(), reading)))
            }
        };
        let sent = if self.sftp {
            sftp::upload_file(&self.session, input, to, size, mode, &progress).await
        } else {
            self.through_cat(input, to, size, mode, progress.clone()).await
        };
        // A file that could not be read is the cause, whatever the machine says of it.
        if let Some((path, reading)) = local {
            match reading.await {
                Ok(Ok(read)) => stats.sha256 = read.sha256,
                Ok(Err(error)) if error.kind() != io::ErrorKind::BrokenPipe => {
                    return Err(local_error("uploading", &path, &error));
                }
                Ok(Err(_)) => {}
                Err(_) => return Err(CommunicatorError::Cancelled),
            }
        }
        sent?;
        progress.lock().unwrap_or_else(std::sync::PoisonError::into_inner).finish();
        Ok(stats)
    }

    async fn through_cat(
        &self,
        input: Input,
        to: &str,
        size: u64,
        mode: u32,
        progress: Arc<Mutex<Progress>>,
    ) -> Result<(), CommunicatorError> {
        let (path, folder) = (shell::path(to), shell::parent(to));
        let mode = mode & 0o7777;
        // Devices and pipes are written to as they are; only a regular file has a size to check and can be removed.
        let body = format!(
            "umask 077\n\
             [ -d {path} ] && exit {IS_FOLDER}\n\
             true >>{path} || {{ [ -d {folder} ] || exit {NO_SUCH}; exit 1; }}\n\
             cat >{path} && {{ [ ! -f {path} ] || {{ [ $(wc -c <{path}) -eq {size} ] && chmod {mode:o} {path}; }}; }} \
             && exit 0\n\
             [ -f {path} ] && rm -f {path}\n\
             exit {NOT_WHOLE}"
        );
        let request = Request { input, progress: Some(progress), ..Request::plain(shell::posix(&body)) };
        let finished = Exec::start(&self.session, request).await?.finish(64 * 1024).await?;
        match finished.code {
            Some(0) => Ok(()),
            Some(NO_SUCH) => Err(CommunicatorError::NotFound {
                what: "uploading: the folder on the machine".into(),
                path: folder_of(to),
            }),
            Some(IS_FOLDER) => Err(failed("uploading to", to, "it is a folder on the machine")),
            Some(NOT_WHOLE) if finished.stderr.trim().is_empty() => {
                Err(failed("uploading to", to, "not all of it arrived"))
            }
            _ => Err(failed("uploading to", to, &finished.complaint())),
        }
    }

    pub async fn upload_directory(
        &self,
        from: &Path,
        to: &str,
        progress: Option<ProgressFn>,
    ) -> Result<TransferStats, CommunicatorError> {
        match tokio::fs::metadata(from).await {
            Ok(meta) if meta.is_dir() => {}
            Ok(_) => return Err(failed("uploading", &from.display().to_string(), "it is not a folder")),
            Err(error) => return Err(local_error("uploading", from, &error)),
        }
        if !self.sftp && !self.no_tar.load(Ordering::Relaxed) {
            if let Some(stats) = self.through_tar(from, to, progress.clone()).await? {
                return Ok(stats);
            }
            self.no_tar.store(true, Ordering::Relaxed);
            tracing::info!("the machine has no tar, folders go over SFTP");
        }
        sftp::upload_directory(&self.session, from, to, progress).await
    }

    /// None where the machine has no tar.
    async fn through_tar(
        &self,
        from: &Path,
        to: &str,
        progress: Option<ProgressFn>,
    ) -> Result<Option<TransferStats>, CommunicatorError> {
        let progress = Progress::new(progress, None).shared();
        let (sender, blocks) = mpsc::channel(QUEUE);
        let root = from.to_owned();
        let packing = tokio::task::spawn_blocking(move || tree::pack(&root, sender));
        let target = shell::path(to);
        let request = Request {
            input: Input::Blocks(blocks),
            progress: Some(progress.clone()),
            ..Request::plain(format!("mkdir -p {target} && tar -xpof - -C {target}"))
        };
        let finished = Exec::start(&self.session, request).await?.finish(64 * 1024).await;
        let stats = match packing.await {
            Ok(Ok(stats)) => Some(stats),
            Ok(Err(error)) if error.kind() != io::ErrorKind::BrokenPipe => {
                return Err(local_error("uploading", from, &error));
            }
            Ok(Err(_)) => None,
            Err(_) => return Err(CommunicatorError::Cancelled),
        };
        let finished = finished?;
        match (finished.code, stats) {
            (Some(0), Some(stats)) => {
                progress.lock().unwrap_or_else(std::sync::PoisonError::into_inner).finish();
                Ok(Some(stats))
            }
            (Some(0), None) => Err(failed("uploading to", to, "tar on the machine ended early")),
            (Some(NO_PROGRAM), _) => Ok(None),
            _ => Err(failed("uploading to", to, &finished.complaint())),
        }
    }

    pub async fn download(
        &self,
        from: &str,
        to: &Path,
        progress: Option<ProgressFn>,
    ) -> Result<TransferStats, CommunicatorError> {
        if self.sftp {
            return sftp::download(&self.session, from, to, progress).await;
        }
        let path = shell::path(from);
        let line =
            format!("test -e {path} || exit {NO_SUCH}; test -d {path} && exit {IS_FOLDER}; cat {path}");
        let mut progress = Progress::new(progress, None);
        let local = LocalTarget::new(to)?;
        let (sender, blocks) = mpsc::channel(QUEUE);
        let writing = local.write(blocks);
        let finished = receive(&self.session, line, sender, &mut progress).await;
        let written = writing.await.map_err(|_| CommunicatorError::Cancelled)?;
        let finished = finished?;
        match finished.code {
            Some(0) => {
                let stats = written.map_err(|e| local_error("downloading to", to, &e))?;
                local.keep().map_err(|e| local_error("downloading to", to, &e))?;
                progress.finish();
                Ok(stats)
            }
            Some(NO_SUCH) => Err(not_found(from)),
            Some(IS_FOLDER) => {
                drop(local);
                self.download_directory(from, to, progress).await
            }
            _ => Err(failed("downloading", from, &finished.complaint())),
        }
    }

    async fn download_directory(
        &self,
        from: &str,
        to: &Path,
        mut progress: Progress,
    ) -> Result<TransferStats, CommunicatorError> {
        if self.no_tar.load(Ordering::Relaxed) {
            return sftp::download(&self.session, from, to, None).await;
        }
        let (sender, blocks) = mpsc::channel(QUEUE);
        let target = to.to_owned();
        let unpacking = tokio::task::spawn_blocking(move || tree::unpack(&target, blocks));
        let line = format!("tar -chf - -C {} .", shell::path(from));
        let finished = receive(&self.session, line, sender, &mut progress).await;
        let unpacked = unpacking.await.map_err(|_| CommunicatorError::Cancelled)?;
        let finished = finished?;
        match finished.code {
            Some(NO_PROGRAM) => {
                self.no_tar.store(true, Ordering::Relaxed);
                sftp::download(&self.session, from, to, None).await
            }
            Some(0) => {
                let stats = unpacked.map_err(|e| local_error("downloading to", to, &e))?;
                progress.finish();
                Ok(stats)
            }
            _ => Err(failed("downloading", from, &finished.complaint())),
        }
    }

    pub async fn read_file(&self, from: &str, limit: usize) -> Result<Vec<u8>, CommunicatorError> {
        if self.sftp {
            return sftp::read_file(&self.session, from, limit).await;
        }
        let path = shell::path(from);
        let line =
            format!("test -e {path} || exit {NO_SUCH}; test -d {path} && exit {IS_FOLDER}; cat {path}");
        let finished = Exec::start(&self.session, Request::plain(line)).await?.finish(limit).await?;
        if finished.too_long {
            return Err(too_large(from, limit));
        }
        match finished.code {
            Some(0) => Ok(finished.stdout),
            Some(NO_SUCH) => Err(not_found(from)),
            Some(IS_FOLDER) => Err(failed("reading", from, "it is a folder")),
            _ => Err(failed("reading", from, &finished.complaint())),
        }
    }

    /// A file that is not there is as good as removed.
    pub async fn remove_file(&self, path: &str) -> Result<(), CommunicatorError> {
        if self.sftp {
            return sftp::remove_file(&self.session, path).await;
        }
        let finished = exec::run(&self.session, format!("rm -f {}", shell::path(path))).await?;
        if finished.code == Some(0) { Ok(()) } else { Err(failed("removing", path, &finished.complaint())) }
    }
}

fn folder_of(path: &str) -> String {
    match path.trim_end_matches('/').rsplit_once('/') {
        Some(("", _)) => "/".into(),
        Some((folder, _)) => folder.to_owned(),
        None => ".".into(),
    }
}

pub(crate) fn not_found(path: &str) -> CommunicatorError {
    CommunicatorError::NotFound { what: "on the machine".into(), path: path.to_owned() }
}

pub(crate) fn failed(what: &str, path: &str, reason: &str) -> CommunicatorError {
    CommunicatorError::Transfer { what: format!("{what} {path}"), reason: reason.to_owned() }
}

pub(crate) fn too_large(path: &str, limit: usize) -> CommunicatorError {
    failed("reading", path, &format!("it is larger than {limit} bytes"))
}

/// Runs a line whose output goes to a thread.
async fn receive(
    session: &Arc<Session>,
    line: String,
    sender: mpsc::Sender<Bytes>,
    progress: &mut Progress,
) -> Result<Finished, CommunicatorError> {
    let request = Request { overflow: Overflow::Wait, ..Request::plain(line) };
    let mut exec = Exec::start(session, request).await?;
    let mut finished = Finished::default();
    // Messages of 32 KiB each would wake the thread 32 times as often.
    let mut block = BytesMut::new();
    while let Some(event) = exec.next().await {
        match event {
            CommandEvent::Stdout(data) => {
                progress.add(data.len());
                if block.is_empty() {
                    block.reserve(BLOCK + data.len());
                }
                block.extend_from_slice(&data);
                if block.len() >= BLOCK {
                    // A thread that gave up, or has seen the end of an archive before its padding, wants no more.
                    let _ = sender.send(block.split().freeze()).await;
                }
            }
            CommandEvent::Stderr(data) if finished.stderr.len() < 16 * 1024 => {
                finished.stderr.push_str(&String::from_utf8_lossy(&data));
            }
            CommandEvent::Stderr(_) => {}
            CommandEvent::Exited(status) if status.disconnected => return Err(session.lost()),
            CommandEvent::Exited(status) => finished.code = status.code,
        }
    }
    if !block.is_empty() {
        let _ = sender.send(block.freeze()).await;
    }
    Ok(finished)
}
