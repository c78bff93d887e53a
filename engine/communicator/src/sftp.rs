//! Transfers over SFTP, for machines without a shell or without tar: many requests in flight, so that a long way does
//! not make it slow.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use fornax_core::communicator::{CommunicatorError, ProgressFn, TransferStats};
use futures::{StreamExt, TryStreamExt, stream};
use russh_sftp::client::error::Error;
use russh_sftp::client::{Config, SftpSession};
use russh_sftp::protocol::{FileAttributes, OpenFlags, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

use crate::input::{Input, LocalFile, Progress, QUEUE, permissions};
use crate::local::LocalTarget;
use crate::session::{Session, Slot};
use crate::transfer::{failed, local_error, not_found, too_large};
use crate::tree;

/// OpenSSH takes 255 KiB in one request at most.
const PACKET: u32 = 261_120;
const IN_FLIGHT: usize = 64;
/// With all requests in flight a link of 250 kB/s answers the last one after a minute.
const ANSWER_SECONDS: u64 = 120;
/// Small files on their way at the same time.
const FILES_AT_ONCE: usize = 8;
const READ: usize = 256 * 1024;

/// The subsystem on a channel; both end when it is dropped.
struct Sftp {
    sftp: SftpSession,
    _slot: Slot,
}

async fn open(session: &Arc<Session>) -> Result<Sftp, CommunicatorError> {
    let (channel, slot) = session.channel().await?;
    channel.request_subsystem(true, "sftp").await.map_err(|_| session.lost())?;
    let config = Config {
        max_concurrent_reads: IN_FLIGHT,
        max_concurrent_writes: IN_FLIGHT,
        max_write_packet_len: PACKET,
        request_timeout_secs: ANSWER_SECONDS,
        ..Config::default()
    };
    let sftp = SftpSession::new_with_config(channel.into_stream(), config).await.map_err(|error| {
        if session.is_gone() {
            session.lost()
        } else {
            CommunicatorError::Unsupported(format!(
                "the machine has neither a usable shell nor SFTP ({error})"
            ))
        }
    })?;
    Ok(Sftp { sftp, _slot: slot })
}

/// SFTP begins in the home folder and knows no `~`.
fn remote(path: &str) -> String {
    match path.strip_prefix("~/") {
        Some("") => ".".into(),
        Some(rest) => rest.to_owned(),
        None if path == "~" => ".".into(),
        None => path.to_owned(),
    }
}

fn explain(session: &Session, what: &str, path: &str, error: Error) -> CommunicatorError {
    match error {
        _ if session.is_gone() => session.lost(),
        Error::Status(status) if status.status_code == StatusCode::NoSuchFile => not_found(path),
        Error::Status(status) => failed(what, path, &status.status_code.to_string().to_lowercase()),
        other => failed(what, path, &other.to_string()),
    }
}

fn explain_io(session: &Session, what: &str, path: &str, error: io::Error) -> CommunicatorError {
    if session.is_gone() { session.lost() } else { failed(what, path, &error.to_string()) }
}

fn add(progress: &Mutex<Progress>, count: usize) {
    progress.lock().unwrap_or_else(PoisonError::into_inner).add(count);
}

pub(crate) async fn upload_file(
    session: &Arc<Session>,
    input: Input,
    to: &str,
    size: u64,
    mode: u32,
    progress: &Mutex<Progress>,
) -> Result<(), CommunicatorError> {
    let sftp = open(session).await?;
    put(session, &sftp.sftp, input, to, size, mode, progress).await
}

async fn put(
    session: &Session,
    sftp: &SftpSession,
    mut input: Input,
    to: &str,
    size: u64,
    mode: u32,
    progress: &Mutex<Progress>,
) -> Result<(), CommunicatorError> {
    let what = "uploading to";
    let path = remote(to);
    let wrong = |error| explain(session, what, to, error);
    let flags = OpenFlags::CREATE | OpenFlags::TRUNCATE | OpenFlags::WRITE;
    let private = FileAttributes { permissions: Some(0o600), ..FileAttributes::empty() };
    let mut file = sftp.open_with_flags_and_attributes(&path, flags, private).await.map_err(wrong)?;
    let mut whole = true;
    match &mut input {
        Input::Bytes(bytes) => {
            file.write_all(bytes).await.map_err(|e| explain_io(session, what, to, e))?;
            add(progress, bytes.len());
        }
        Input::Blocks(blocks) => {
            while let Some(block) = blocks.recv().await {
                let Ok(block) = block else {
                    whole = false;
                    break;
                };
                file.write_all(&block).await.map_err(|e| explain_io(session, what, to, e))?;
                add(progress, block.len());
            }
        }
    }
    file.shutdown().await.map_err(|e| explain_io(session, what, to, e))?;
    let arrived = sftp.metadata(&path).await.map_err(wrong)?;
    if !whole || (arrived.is_regular() && arrived.size != Some(size)) {
        let _ = sftp.remove_file(&path).await;
        return Err(failed(what, to, "not all of it arrived"));
    }
    let attributes = FileAttributes { permissions: Some(mode & 0o7777), ..FileAttributes::empty() };
    sftp.set_metadata(&path, attributes).await.map_err(wrong)
}

pub(crate) async fn upload_directory(
    session: &Arc<Session>,
    from: &Path,
    to: &str,
    progress: Option<ProgressFn>,
) -> Result<TransferStats, CommunicatorError> {
    let root = from.to_owned();
    let (folders, files) = tokio::task::spawn_blocking(move || {
        let (mut folders, mut files) = (Vec::new(), Vec::new());
        let walked = tree::walk(&root, &mut |item| {
            let mode = permissions(&item.meta);
            if item.meta.is_dir() {
                folders.push((item.relative, mode));
            } else {
                files.push((LocalFile { path: item.path, size: item.meta.len(), mode }, item.relative));
            }
            Ok(())
        });
        walked.map(|()| (folders, files))
    })
    .await
    .map_err(|_| CommunicatorError::Cancelled)?
    .map_err(|e| local_error("uploading", from, &e))?;
    let sftp = open(session).await?;
    let sftp = &sftp.sftp;
    let base = remote(to);
    make_folders(session, sftp, &base, to).await?;
    for (relative, mode) in folders.iter().filter(|(relative, _)| !relative.as_os_str().is_empty()) {
        let path = below(&base, relative);
        make_folder(session, sftp, &path, to).await?;
        let attributes = FileAttributes { permissions: Some(*mode | 0o700), ..FileAttributes::empty() };
        let _ = sftp.set_metadata(&path, attributes).await;
    }
    let stats = TransferStats {
        files: u32::try_from(files.len()).unwrap_or(u32::MAX),
        bytes: files.iter().map(|(file, _)| file.size).sum(),
        ..TransferStats::default()
    };
    let progress = Progress::new(progress, Some(stats.bytes)).shared();
    let progress = progress.as_ref();
    let base = base.as_str();
    stream::iter(files.into_iter().map(Ok))
        .try_for_each_concurrent(FILES_AT_ONCE, |(file, relative)| async move {
            let (blocks, reading) = file.read(false);
            let path = below(base, &relative);
            let sent = put(session, sftp, Input::Blocks(blocks), &path, file.size, file.mode, progress).await;
            match reading.await {
                Ok(Err(error)) if error.kind() != io::ErrorKind::BrokenPipe => {
                    Err(local_error("uploading", &file.path, &error))
                }
                _ => sent,
            }
        })
        .await?;
    progress.lock().unwrap_or_else(PoisonError::into_inner).finish();
    Ok(stats)
}

fn below(base: &str, relative: &Path) -> String {
    let mut path = base.trim_end_matches('/').to_owned();
    for part in relative.components() {
        path.push('/');
        path.push_str(&part.as_os_str().to_string_lossy());
    }
    path
}

/// The folder and those above it.
async fn make_folders(
    session: &Session,
    sftp: &SftpSession,
    path: &str,
    shown: &str,
) -> Result<(), CommunicatorError> {
    let mut so_far = String::new();
    for part in path.trim_end_matches('/').split_inclusive('/') {
        so_far.push_str(part);
        if so_far.trim_matches('/').is_empty() || so_far == "./" || so_far == "." {
            continue;
        }
        make_folder(session, sftp, so_far.trim_end_matches('/'), shown).await?;
    }
    Ok(())
}

async fn make_folder(
    session: &Session,
    sftp: &SftpSession,
    path: &str,
    shown: &str,
) -> Result<(), CommunicatorError> {
    match sftp.metadata(path).await {
        Ok(meta) if meta.is_dir() => return Ok(()),
        Ok(_) => return Err(failed("uploading to", path, "it is there and is not a folder")),
        Err(Error::Status(status)) if status.status_code == StatusCode::NoSuchFile => {}
        Err(error) => return Err(explain(session, "uploading to", shown, error)),
    }
    sftp.create_dir(path).await.map_err(|e| explain(session, "making the folder", path, e))
}

pub(crate) async fn download(
    session: &Arc<Session>,
    from: &str,
    to: &Path,
    progress: Option<ProgressFn>,
) -> Result<TransferStats, CommunicatorError> {
    let sftp = open(session).await?;
    let sftp = &sftp.sftp;
    let base = remote(from);
    let meta = sftp.metadata(&base).await.map_err(|e| explain(session, "downloading", from, e))?;
    if !meta.is_dir() {
        let progress = Progress::new(progress, meta.size).shared();
        let stats = get(session, sftp, &base, to, &progress).await?;
        progress.lock().unwrap_or_else(PoisonError::into_inner).finish();
        return Ok(stats);
    }
    let progress = Progress::new(progress, None).shared();
    let mut stats = TransferStats::default();
    let mut folders: Vec<(String, PathBuf, usize)> = vec![(base, to.to_owned(), 0)];
    while let Some((folder, local, depth)) = folders.pop() {
        if depth > 200 {
            return Err(failed(
                "downloading",
                &folder,
                "it lies too deep; a link may lead back into a folder above",
            ));
        }
        tokio::fs::create_dir_all(&local).await.map_err(|e| local_error("downloading to", &local, &e))?;
        let entries =
            sftp.read_dir(&folder).await.map_err(|e| explain(session, "downloading", &folder, e))?;
        let mut files = Vec::new();
        for entry in entries {
            let name = entry.file_name();
            let target = tree::inside(&local, Path::new(&name))
                .map_err(|e| failed("downloading", &folder, &e.to_string()))?;
            let path = below(&folder, Path::new(&name));
            // Links are followed, as over tar.
            let meta = sftp.metadata(&path).await.map_err(|e| explain(session, "downloading", &path, e))?;
            if meta.is_dir() {
                folders.push((path, target, depth + 1));
            } else {
                files.push((path, target));
            }
        }
        let progress = progress.as_ref();
        let done: Vec<TransferStats> = stream::iter(files)
            .map(|(path, target)| async move { get(session, sftp, &path, &target, progress).await })
            .buffer_unordered(FILES_AT_ONCE)
            .try_collect()
            .await?;
        stats.files += u32::try_from(done.len()).unwrap_or(u32::MAX);
        stats.bytes += done.iter().map(|s| s.bytes).sum::<u64>();
    }
    progress.lock().unwrap_or_else(PoisonError::into_inner).finish();
    Ok(stats)
}

async fn get(
    session: &Session,
    sftp: &SftpSession,
    from: &str,
    to: &Path,
    progress: &Mutex<Progress>,
) -> Result<TransferStats, CommunicatorError> {
    let mut file = sftp.open(from).await.map_err(|e| explain(session, "downloading", from, e))?;
    let local = LocalTarget::new(to)?;
    let (sender, blocks) = mpsc::channel(QUEUE);
    let writing = local.write(blocks);
    let mut broken = None;
    loop {
        let mut block = bytes::BytesMut::with_capacity(READ);
        match file.read_buf(&mut block).await {
            Ok(0) => break,
            Ok(count) => {
                add(progress, count);
                if sender.send(block.freeze()).await.is_err() {
                    break;
                }
            }
            Err(error) => {
                broken = Some(error);
                break;
            }
        }
    }
    drop(sender);
    let written = writing.await.map_err(|_| CommunicatorError::Cancelled)?;
    if let Some(error) = broken {
        return Err(explain_io(session, "downloading", from, error));
    }
    let _ = file.shutdown().await;
    let stats = written.map_err(|e| local_error("downloading to", to, &e))?;
    local.keep().map_err(|e| local_error("downloading to", to, &e))?;
    Ok(stats)
}

pub(crate) async fn read_file(
    session: &Arc<Session>,
    from: &str,
    limit: usize,
) -> Result<Vec<u8>, CommunicatorError> {
    let sftp = open(session).await?;
    let wrong = |error| explain(session, "reading", from, error);
    let file = sftp.sftp.open(remote(from)).await.map_err(wrong)?;
    let mut content = Vec::new();
    let read = file.take(limit as u64 + 1).read_to_end(&mut content).await;
    read.map_err(|e| explain_io(session, "reading", from, e))?;
    if content.len() > limit { Err(too_large(from, limit)) } else { Ok(content) }
}

pub(crate) async fn remove_file(session: &Arc<Session>, path: &str) -> Result<(), CommunicatorError> {
    let sftp = open(session).await?;
    match sftp.sftp.remove_file(remote(path)).await {
        Ok(()) => Ok(()),
        Err(Error::Status(status)) if status.status_code == StatusCode::NoSuchFile => Ok(()),
        Err(error) => Err(explain(session, "removing", path, error)),
    }
}
