//! The communicator itself: commands, scripts, files and directories over one connection.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use fornax_core::communicator::{
    Command, CommandEvent, Communicator, CommunicatorError, ConnectionInfo, ExitStatus, MachineInfo,
    ProgressFn, ReconnectOptions, Running, Script, ScriptContent, TransferOptions, TransferStats,
    UploadSource,
};
use tokio::sync::{OnceCell, RwLock, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::connect::{Attempt, Connection, Route};
use crate::exec::{self, Input, quote};
use crate::session;

/// Blocks travel from a reading thread to the connection through a short queue.
const BLOCK: usize = 1 << 20;
const QUEUE: usize = 4;
/// What a helper command of ours may say.
const MAX_TEXT: usize = 1 << 20;
/// A helper command of ours that takes longer hangs.
const HELPER: Duration = Duration::from_secs(60);

/// SSH to one machine.
pub struct SshCommunicator {
    route: Route,
    connection: RwLock<Option<Connection>>,
    machine: OnceCell<MachineInfo>,
    cancel: CancellationToken,
}

impl SshCommunicator {
    pub(crate) fn new(route: Route, connection: Connection, cancel: CancellationToken) -> Self {
        Self { route, connection: RwLock::new(Some(connection)), machine: OnceCell::new(), cancel }
    }

    fn lost(&self, reason: impl std::fmt::Display) -> CommunicatorError {
        CommunicatorError::ConnectionLost { host: self.route.host.clone(), reason: reason.to_string() }
    }

    async fn run(
        &self,
        line: &str,
        input: Input,
        pty: bool,
    ) -> Result<exec::RunningCommand, CommunicatorError> {
        let connection = self.connection.read().await;
        let connection = connection.as_ref().ok_or_else(|| self.lost("it was closed"))?;
        let channel = session::open(&connection.handle).await.map_err(|e| self.lost(e))?;
        exec::start(channel, line, input, pty).await.map_err(|e| self.lost(e))
    }

    /// Runs a helper command of ours and collects what it says.
    async fn helper(
        &self,
        line: &str,
        input: Input,
    ) -> Result<(ExitStatus, Vec<u8>, String), CommunicatorError> {
        let mut running = self.run(line, input, false).await?;
        let mut stdout = Vec::new();
        let mut stderr = Vec::new();
        while let Some(event) = running.next().await {
            match event {
                CommandEvent::Stdout(data) => {
                    stdout.extend_from_slice(&data[..data.len().min(MAX_TEXT.saturating_sub(stdout.len()))])
                }
                CommandEvent::Stderr(data) => {
                    stderr.extend_from_slice(&data[..data.len().min(MAX_TEXT.saturating_sub(stderr.len()))])
                }
                CommandEvent::Exited(status) => {
                    if status.disconnected {
                        return Err(self.lost("it ended during a command"));
                    }
                    return Ok((status, stdout, String::from_utf8_lossy(&stderr).trim().to_owned()));
                }
            }
        }
        Err(self.lost("it ended during a command"))
    }

    async fn short(&self, line: &str) -> Result<(ExitStatus, Vec<u8>, String), CommunicatorError> {
        let late =
            |_| CommunicatorError::Timeout { what: "a command on the machine".to_owned(), limit: HELPER };
        tokio::time::timeout(HELPER, self.helper(line, Input::Bytes(Bytes::new()))).await.map_err(late)?
    }

    /// Sends blocks to a command and takes its word for it.
    async fn send(
        &self,
        line: &str,
        blocks: mpsc::Receiver<std::io::Result<Bytes>>,
        what: &str,
        to: &str,
    ) -> Result<(), CommunicatorError> {
        let (status, _, stderr) = tokio::select! {
            result = self.helper(line, Input::Blocks(blocks)) => result?,
            () = self.cancel.cancelled() => return Err(CommunicatorError::Cancelled),
        };
        if status.code == Some(0) {
            return Ok(());
        }
        Err(refused(what, to, &status, &stderr))
    }

    async fn upload_file(
        &self,
        from: &Path,
        to: &str,
        options: &TransferOptions,
        progress: Option<ProgressFn>,
    ) -> Result<TransferStats, CommunicatorError> {
        let what = format!("uploading {}", from.display());
        let local = |e: std::io::Error| local_error(&what, from, &e);
        let file = std::fs::File::open(from).map_err(local)?;
        let metadata = file.metadata().map_err(local)?;
        let mode = options.mode.unwrap_or_else(|| mode_of(&metadata));
        let length = metadata.len();
        let line = receive_line(to, length, mode);
        let blocks = read_blocks(file, Some(length), progress);
        self.send(&line, blocks, &what, to).await?;
        Ok(TransferStats { files: 1, bytes: length, sha256: String::new() })
    }

    async fn upload_directory(
        &self,
        from: &Path,
        to: &str,
        progress: Option<ProgressFn>,
    ) -> Result<TransferStats, CommunicatorError> {
        let what = format!("uploading {}", from.display());
        if !from.is_dir() {
            return Err(CommunicatorError::NotFound { what, path: from.display().to_string() });
        }
        let to_word = quote(to);
        let line = format!(
            "sh -c {}",
            quote(&format!(
                "command -v tar >/dev/null || exit 127; mkdir -p {to_word} && tar -xf - -C {to_word}"
            ))
        );
        let (sender, blocks) = mpsc::channel(QUEUE);
        let folder = from.to_owned();
        let packing = tokio::task::spawn_blocking(move || pack(&folder, sender, progress));
        let sent = self.send(&line, blocks, &what, to).await;
        let packed = packing.await.map_err(|e| CommunicatorError::Other(e.to_string()))?;
        match (sent, packed) {
            (Ok(()), Ok(stats)) => Ok(stats),
            // What could not be read here is the cause of what went wrong there.
            (_, Err(error)) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                Err(local_error(&what, from, &error))
            }
            (Err(error), _) => Err(error),
            (Ok(()), Err(error)) => Err(local_error(&what, from, &error)),
        }
    }
}

/// A line that takes its input for a file of this length. The file gets its name only when all of it has come.
fn receive_line(to: &str, length: u64, mode: u32) -> String {
    let body = format!(
        "t={to}; [ ! -d \"$t\" ] || {{ echo \"$t is a directory\" >&2; exit 1; }}; p=\"$t.fornax-part\"; if [ -e \"$t\" ] && [ ! -f \"$t\" ]; then exec cat >\"$t\"; fi; cat >\"$p\" || {{ rm -f \"$p\"; exit 1; }}; [ \"$(wc -c <\"$p\")\" -eq {length} ] || {{ rm -f \"$p\"; echo 'not all bytes arrived' >&2; exit {cut}; }}; chmod {mode:04o} \"$p\" && mv -f \"$p\" \"$t\"",
        to = quote(to),
        cut = exec::CUT_SHORT,
    );
    format!("sh -c {}", quote(&body))
}

fn refused(what: &str, path: &str, status: &ExitStatus, stderr: &str) -> CommunicatorError {
    let lower = stderr.to_lowercase();
    if lower.contains("no such file") || lower.contains("nonexistent") || lower.contains("can't open") {
        return CommunicatorError::NotFound { what: what.to_owned(), path: path.to_owned() };
    }
    if status.code == Some(127) {
        return CommunicatorError::Unsupported(format!(
            "{what}: the machine has no tar, which is needed for directories; install it in an earlier step"
        ));
    }
    let reason = match (stderr.is_empty(), status.code) {
        (false, _) => stderr.to_owned(),
        (true, Some(code)) => format!("the command on the machine exited with {code}"),
        (true, None) => "the command on the machine was killed".to_owned(),
    };
    CommunicatorError::Transfer { what: format!("{what} to {path}"), reason }
}

fn local_error(what: &str, path: &Path, error: &std::io::Error) -> CommunicatorError {
    if error.kind() == std::io::ErrorKind::NotFound {
        return CommunicatorError::NotFound { what: what.to_owned(), path: path.display().to_string() };
    }
    CommunicatorError::Transfer { what: what.to_owned(), reason: error.to_string() }
}

fn mode_of(metadata: &std::fs::Metadata) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    metadata.permissions().mode() & 0o7777
}

/// Reads a file on a thread of its own, so that disk and cipher work at the same time.
fn read_blocks(
    mut file: std::fs::File,
    total: Option<u64>,
    progress: Option<ProgressFn>,
) -> mpsc::Receiver<std::io::Result<Bytes>> {
    let (sender, receiver) = mpsc::channel(QUEUE);
    tokio::task::spawn_blocking(move || {
        let mut done = 0;
        loop {
            let mut block = vec![0; BLOCK];
            let count = match file.read(&mut block) {
                Ok(0) => return,
                Ok(count) => count,
                Err(error) => {
                    let _ = sender.blocking_send(Err(error));
                    return;
                }
            };
            block.truncate(count);
            done += count as u64;
            if sender.blocking_send(Ok(block.into())).is_err() {
                return;
            }
            if let Some(progress) = &progress {
                progress(done, total);
            }
        }
    });
    receiver
}

/// Collects small writes into blocks.
struct BlockWriter {
    sender: mpsc::Sender<std::io::Result<Bytes>>,
    block: Vec<u8>,
    done: u64,
    progress: Option<ProgressFn>,
}

const TAR_BLOCK: usize = 256 * 1024;

impl BlockWriter {
    fn pass_on(&mut self) -> std::io::Result<()> {
        let block = std::mem::replace(&mut self.block, Vec::with_capacity(TAR_BLOCK));
        self.done += block.len() as u64;
        if let Some(progress) = &self.progress {
            progress(self.done, None);
        }
        self.sender.blocking_send(Ok(block.into())).map_err(|_| std::io::ErrorKind::BrokenPipe.into())
    }
}

impl Write for BlockWriter {
    fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
        self.block.extend_from_slice(data);
        if self.block.len() >= TAR_BLOCK {
            self.pass_on()?;
        }
        Ok(data.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Deeper folders than this are a loop of links.
const MAX_DEPTH: usize = 64;

/// Writes a folder as one archive. Links are followed, as Packer does; an error reaches the other side as a cut stream.
fn pack(
    folder: &Path,
    sender: mpsc::Sender<std::io::Result<Bytes>>,
    progress: Option<ProgressFn>,
) -> std::io::Result<TransferStats> {
    let failed = sender.clone();
    let writer = BlockWriter { sender, block: Vec::with_capacity(TAR_BLOCK), done: 0, progress };
    let mut archive = tar::Builder::new(writer);
    archive.follow_symlinks(true);
    let mut stats = TransferStats::default();
    let result = add(&mut archive, folder, Path::new("."), &mut stats, 0)
        .and_then(|()| archive.into_inner())
        .and_then(|mut w| w.pass_on());
    if let Err(error) = &result {
        let _ = failed.blocking_send(Err(std::io::Error::new(error.kind(), error.to_string())));
    }
    result.map(|()| stats)
}

fn add(
    archive: &mut tar::Builder<BlockWriter>,
    folder: &Path,
    name: &Path,
    stats: &mut TransferStats,
    depth: usize,
) -> std::io::Result<()> {
    let at =
        |e: std::io::Error, path: &Path| std::io::Error::new(e.kind(), format!("{}: {e}", path.display()));
    if depth > MAX_DEPTH {
        return Err(std::io::Error::other(format!(
            "{} is nested more than {MAX_DEPTH} levels deep: is it a loop of links?",
            folder.display()
        )));
    }
    let mut entries = std::fs::read_dir(folder).map_err(|e| at(e, folder))?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let inner = name.join(entry.file_name());
        let metadata = std::fs::metadata(&path).map_err(|e| at(e, &path))?;
        if metadata.is_dir() {
            archive.append_dir(&inner, &path).map_err(|e| at(e, &path))?;
            add(archive, &path, &inner, stats, depth + 1)?;
        } else if metadata.is_file() {
            let mut file = std::fs::File::open(&path).map_err(|e| at(e, &path))?;
            archive.append_file(&inner, &mut file).map_err(|e| at(e, &path))?;
            stats.files += 1;
            stats.bytes += metadata.len();
        }
    }
    Ok(())
}

/// Feeds a thread that unpacks from what the connection brings.
struct ChannelReader {
    receiver: std::sync::mpsc::Receiver<Bytes>,
    current: Bytes,
}

impl Read for ChannelReader {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        while self.current.is_empty() {
            match self.receiver.recv() {
                Ok(block) => self.current = block,
                Err(_) => return Ok(0),
            }
        }
        let count = out.len().min(self.current.len());
        out[..count].copy_from_slice(&self.current.split_to(count));
        Ok(count)
    }
}

/// Codes by which our download line tells what it found.
const IS_DIRECTORY: i32 = 96;
const IS_ABSENT: i32 = 97;

#[async_trait]
impl Communicator for SshCommunicator {
    fn connection(&self) -> ConnectionInfo {
        let options = &self.route.options;
        ConnectionInfo {
            kind: "ssh",
            host: self.route.host.clone(),
            port: self.route.port,
            user: options.username.clone(),
            password: options.password.clone(),
            public_key: self.route.key.as_ref().map(|k| k.public_openssh.clone()),
            private_key: self.route.key.as_ref().map(|k| k.private_pem.clone()),
        }
    }

    async fn machine(&self) -> Result<MachineInfo, CommunicatorError> {
        const ASK: &str = "sh -c 'uname -s; uname -m; uname -n; id -un; (. /etc/os-release 2>/dev/null && echo \"$ID\" && echo \"$VERSION_ID\") || true'";
        let info = self.machine.get_or_try_init(|| async {
            let (_, stdout, _) = self.short(ASK).await?;
            let text = String::from_utf8_lossy(&stdout).into_owned();
            let mut lines = text.lines().map(|l| l.trim().to_owned());
            let mut next = || lines.next().unwrap_or_default();
            let family = match next().as_str() {
                "Linux" => "linux",
                "Darwin" => "macos",
                name if name.ends_with("BSD") => "bsd",
                _ => "other",
            };
            let (arch, hostname, user, id, version) = (next(), next(), next(), next(), next());
            Ok::<_, CommunicatorError>(MachineInfo {
                family: family.to_owned(),
                id,
                version,
                arch,
                hostname,
                user,
            })
        });
        info.await.cloned()
    }

    async fn start(&self, command: Command) -> Result<Box<dyn Running>, CommunicatorError> {
        let pty = command.pty || self.route.options.pty;
        Ok(Box::new(self.run(command.line.expose(), Input::Bytes(command.stdin), pty).await?))
    }

    async fn start_script(&self, script: Script) -> Result<Box<dyn Running>, CommunicatorError> {
        let pty = script.pty || self.route.options.pty;
        let (length, input) = match &script.content {
            ScriptContent::Text(text) => {
                let bytes = Bytes::copy_from_slice(text.expose().as_bytes());
                (bytes.len() as u64, Input::Bytes(bytes))
            }
            ScriptContent::File(path) => {
                let failed = |e: std::io::Error| local_error("sending the script", path, &e);
                let file = std::fs::File::open(path).map_err(failed)?;
                let length = file.metadata().map_err(failed)?.len();
                (length, Input::Blocks(read_blocks(file, Some(length), None)))
            }
        };
        if !pty {
            let line =
                exec::script_line(&script.path, script.mode, length, script.command.expose(), script.keep);
            return Ok(Box::new(self.run(&line, input, false).await?));
        }
        // On a terminal the end of a file is a character and input is echoed: the script goes ahead on its own channel.
        let (status, _, stderr) =
            self.helper(&receive_line(&script.path, length, script.mode), input).await?;
        if status.code != Some(0) {
            return Err(refused("writing the script", &script.path, &status, &stderr));
        }
        let remove = if script.keep { String::new() } else { format!("rm -f {}; ", quote(&script.path)) };
        let line = format!("({}\n); r=$?; {remove}exit $r", script.command.expose());
        Ok(Box::new(self.run(&format!("sh -c {}", quote(&line)), Input::Bytes(Bytes::new()), true).await?))
    }

    async fn upload(
        &self,
        source: UploadSource,
        to: &str,
        options: &TransferOptions,
        progress: Option<ProgressFn>,
    ) -> Result<TransferStats, CommunicatorError> {
        match source {
            UploadSource::File(path) => self.upload_file(&path, to, options, progress).await,
            UploadSource::Directory(path) => self.upload_directory(&path, to, progress).await,
            UploadSource::Bytes(content) => {
                let bytes = Bytes::copy_from_slice(content.expose().as_bytes());
                let length = bytes.len() as u64;
                let line = receive_line(to, length, options.mode.unwrap_or(0o644));
                let (status, _, stderr) = self.helper(&line, Input::Bytes(bytes)).await?;
                if status.code != Some(0) {
                    return Err(refused("uploading content", to, &status, &stderr));
                }
                Ok(TransferStats { files: 1, bytes: length, sha256: String::new() })
            }
        }
    }

    async fn download(
        &self,
        from: &str,
        to: &Path,
        progress: Option<ProgressFn>,
    ) -> Result<TransferStats, CommunicatorError> {
        let what = format!("downloading {from}");
        let body = format!(
            "f={}; [ ! -d \"$f\" ] || exit {IS_DIRECTORY}; [ -e \"$f\" ] || exit {IS_ABSENT}; exec cat \"$f\"",
            quote(from)
        );
        let mut running =
            self.run(&format!("sh -c {}", quote(&body)), Input::Bytes(Bytes::new()), false).await?;
        let mut partial = to.as_os_str().to_owned();
        partial.push(".fornax-part");
        let partial = PathBuf::from(partial);
        let local = |e: std::io::Error| local_error(&what, to, &e);
        let mut file = std::fs::File::create(&partial).map_err(local)?;
        let mut stats = TransferStats { files: 1, ..TransferStats::default() };
        let mut stderr = String::new();
        let status = loop {
            let event = tokio::select! {
                event = running.next() => event,
                () = self.cancel.cancelled() => {
                    let _ = std::fs::remove_file(&partial);
                    return Err(CommunicatorError::Cancelled);
                }
            };
            match event {
                Some(CommandEvent::Stdout(data)) => {
                    file.write_all(&data).map_err(local)?;
                    stats.bytes += data.len() as u64;
                    if let Some(progress) = &progress {
                        progress(stats.bytes, None);
                    }
                }
                Some(CommandEvent::Stderr(data)) if stderr.len() < MAX_TEXT => {
                    stderr.push_str(&String::from_utf8_lossy(&data))
                }
                Some(CommandEvent::Stderr(_)) => {}
                Some(CommandEvent::Exited(status)) => break status,
                None => break ExitStatus { disconnected: true, ..ExitStatus::default() },
            }
        };
        if status.code == Some(0) {
            file.flush().and_then(|()| std::fs::rename(&partial, to)).map_err(local)?;
            return Ok(stats);
        }
        let _ = std::fs::remove_file(&partial);
        match status.code {
            Some(IS_DIRECTORY) => self.download_directory(from, to, progress).await,
            Some(IS_ABSENT) => Err(CommunicatorError::NotFound { what, path: from.to_owned() }),
            _ if status.disconnected => Err(self.lost("it ended during a download")),
            _ => Err(refused(&what, from, &status, stderr.trim())),
        }
    }

    async fn read_file(&self, path: &str, limit: usize) -> Result<Vec<u8>, CommunicatorError> {
        let what = format!("reading {path}");
        let limit = limit.min(MAX_TEXT);
        let body = format!(
            "f={}; [ -e \"$f\" ] || exit {IS_ABSENT}; [ \"$(wc -c <\"$f\")\" -le {limit} ] || exit {IS_DIRECTORY}; cat \"$f\"",
            quote(path)
        );
        let (status, stdout, stderr) = self.short(&format!("sh -c {}", quote(&body))).await?;
        match status.code {
            Some(0) => Ok(stdout),
            Some(IS_ABSENT) => Err(CommunicatorError::NotFound { what, path: path.to_owned() }),
            Some(IS_DIRECTORY) => Err(CommunicatorError::Transfer {
                what,
                reason: format!("the file has more than {limit} bytes"),
            }),
            _ => Err(refused(&what, path, &status, &stderr)),
        }
    }

    async fn remove_file(&self, path: &str) -> Result<(), CommunicatorError> {
        let (status, _, stderr) = self.short(&format!("rm -f {}", quote(path))).await?;
        if status.code == Some(0) { Ok(()) } else { Err(refused("removing", path, &status, &stderr)) }
    }

    async fn reconnect(&self, options: &ReconnectOptions) -> Result<(), CommunicatorError> {
        let started = Instant::now();
        let late = |what: &str| CommunicatorError::Timeout { what: what.to_owned(), limit: options.timeout };
        let pause = |d: Duration| async move {
            tokio::select! {
                () = self.cancel.cancelled() => Err(CommunicatorError::Cancelled),
                () = tokio::time::sleep(d) => Ok(()),
            }
        };
        if options.expect_disconnect {
            while self.connection.read().await.as_ref().is_some_and(|c| !c.handle.is_closed()) {
                if started.elapsed() > options.timeout {
                    return Err(late("waiting for the machine to go away"));
                }
                pause(Duration::from_millis(100)).await?;
            }
        }
        let alive = self.connection.read().await.as_ref().is_some_and(|c| !c.handle.is_closed());
        if !alive {
            self.connection.write().await.take();
            let mut wait = Duration::from_millis(100);
            loop {
                match self.route.connect().await {
                    Ok(connection) => break *self.connection.write().await = Some(connection),
                    Err(Attempt::Never { reason, help }) => {
                        return Err(self.lost(format!("{reason}; {help}")));
                    }
                    Err(Attempt::NotYet(reason) | Attempt::Login(reason))
                        if started.elapsed() > options.timeout =>
                    {
                        return Err(late(&format!("reconnecting ({reason})")));
                    }
                    Err(_) => {}
                }
                pause(wait).await?;
                wait = (wait * 2).min(Duration::from_secs(2));
            }
        }
        while let Some(probe) = &options.probe {
            if matches!(self.short(probe).await, Ok((status, ..)) if status.code == Some(0)) {
                break;
            }
            if started.elapsed() > options.timeout {
                return Err(late("waiting for the machine to be ready"));
            }
            pause(Duration::from_secs(1)).await?;
        }
        Ok(())
    }

    async fn close(&self) {
        if let Some(connection) = self.connection.write().await.take() {
            let bye = connection.handle.disconnect(russh::Disconnect::ByApplication, "", "en");
            let _ = tokio::time::timeout(Duration::from_secs(2), bye).await;
        }
    }
}

impl SshCommunicator {
    async fn download_directory(
        &self,
        from: &str,
        to: &Path,
        progress: Option<ProgressFn>,
    ) -> Result<TransferStats, CommunicatorError> {
        let what = format!("downloading {from}");
        let line = format!("tar -cf - -C {} .", quote(from));
        let mut running = self.run(&line, Input::Bytes(Bytes::new()), false).await?;
        let (sender, receiver) = std::sync::mpsc::sync_channel(64);
        let target = to.to_owned();
        let unpacking = tokio::task::spawn_blocking(move || -> std::io::Result<TransferStats> {
            std::fs::create_dir_all(&target)?;
            let mut stats = TransferStats::default();
            let mut archive = tar::Archive::new(ChannelReader { receiver, current: Bytes::new() });
            for entry in archive.entries()? {
                let mut entry = entry?;
                stats.files += u32::from(entry.header().entry_type().is_file());
                stats.bytes += entry.size();
                // Refuses names that leave the target, also through links.
                if !entry.unpack_in(&target)? {
                    return Err(std::io::Error::other(
                        "the machine sent a name that leaves the target folder",
                    ));
                }
            }
            Ok(stats)
        });
        let mut done = 0;
        let mut stderr = String::new();
        let status = loop {
            match running.next().await {
                Some(CommandEvent::Stdout(data)) => {
                    done += data.len() as u64;
                    if let Some(progress) = &progress {
                        progress(done, None);
                    }
                    let mut block = data;
                    // The unpacking thread may be behind; waiting here must not block the runtime.
                    while let Err(std::sync::mpsc::TrySendError::Full(back)) = sender.try_send(block) {
                        block = back;
                        tokio::time::sleep(Duration::from_millis(1)).await;
                        if unpacking.is_finished() {
                            break;
                        }
                    }
                }
                Some(CommandEvent::Stderr(data)) if stderr.len() < MAX_TEXT => {
                    stderr.push_str(&String::from_utf8_lossy(&data))
                }
                Some(CommandEvent::Stderr(_)) => {}
                Some(CommandEvent::Exited(status)) => break status,
                None => break ExitStatus { disconnected: true, ..ExitStatus::default() },
            }
        };
        drop(sender);
        let unpacked = unpacking.await.map_err(|e| CommunicatorError::Other(e.to_string()))?;
        if status.code != Some(0) {
            return Err(if status.disconnected {
                self.lost("it ended during a download")
            } else {
                refused(&what, from, &status, stderr.trim())
            });
        }
        unpacked.map_err(|e| local_error(&what, to, &e))
    }
}
