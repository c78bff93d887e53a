//! One session channel of a `record` machine, from its request to its exit code.
//!
//! The input is counted, digested and where it is an upload kept; then a scripted rule, an answer of [`Shell`] or plain
//! success ends the command.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use russh::server::{Handle, Msg};
use russh::{Channel, ChannelId, ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Sig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Guest;
use super::config::ScriptRule;
use super::files::{FileSystem, Kind, Writer};
use super::log::{Meter, Ticket};
use super::plan::{Input, Plan, Sink};
use super::scp::{self, Wire};
use super::sftp;
use super::shell::{Answer, Shell};

/// A command of unknown kind is answered when its input paused for so long: long enough for a client that sends a
/// script behind its command, short enough not to be felt.
const PAUSE: Duration = Duration::from_millis(60);

pub(super) struct Conversation {
    guest: Arc<Guest>,
    reader: ChannelReadHalf,
    writer: ChannelWriteHalf<Msg>,
    handle: Handle,
    id: ChannelId,
    env: Vec<(String, String)>,
    pty: bool,
    connection: CancellationToken,
}

/// A piece of the input.
enum Piece {
    Data(Bytes),
    End,
}

/// Where the input of a command goes while it comes.
enum Target {
    Nowhere,
    File { path: String, writer: Writer },
    Tar { feed: Option<mpsc::Sender<Bytes>>, unpacked: tokio::task::JoinHandle<io::Result<()>> },
}

impl Conversation {
    pub fn new(
        guest: Arc<Guest>,
        channel: Channel<Msg>,
        handle: Handle,
        env: Vec<(String, String)>,
        pty: bool,
        connection: CancellationToken,
    ) -> Self {
        let id = channel.id();
        let (reader, writer) = channel.split();
        Self { guest, reader, writer, handle, id, env, pty, connection }
    }

    /// Serves an exec request.
    pub async fn exec(mut self, command: String) {
        let env = std::mem::take(&mut self.env);
        let ticket = self.guest.disk().log.begin(&command, env, self.pty);
        let rules = Arc::clone(&self.guest);
        let rule = rules.rules.find(&command);
        let plan = Plan::of(&command);
        let answer = match (&plan.sink, rule) {
            (Sink::ScpTo { path, into_directory }, None) => {
                self.scp(ticket, async |guest, wire| scp::receive(guest, wire, path, *into_directory).await)
                    .await
            }
            (Sink::ScpFrom { path, recursive }, None) => {
                self.scp(ticket, async |guest, wire| scp::send(guest, wire, path, *recursive).await).await
            }
            _ => {
                // A question is answered at once: its asker sends no input, and need not say so.
                let asked = if rule.is_none() && plan.sink == Sink::None { self.ask(&command) } else { None };
                let input = if asked.is_some() { Input::Ignored } else { plan.input };
                let target = if rule.is_none() { self.target(&plan.sink) } else { Target::Nowhere };
                let failure = self.take_input(ticket, input, target).await;
                failure.or(asked).or_else(|| self.answer(&plan.sink)).unwrap_or_default()
            }
        };
        self.finish(ticket, rule, answer).await;
    }

    /// Serves a shell request: lines are counted, `exit` and the end of the input leave.
    pub async fn shell(mut self) {
        let env = std::mem::take(&mut self.env);
        let ticket = self.guest.disk().log.begin("(shell)", env, self.pty);
        let mut meter = Meter::default();
        let mut line = Vec::new();
        let exit = 'lines: loop {
            let Piece::Data(data) = self.piece().await else { break 0 };
            meter.update(&data);
            for byte in data.iter().copied() {
                match byte {
                    // ^D on an empty line of a terminal ends a shell.
                    4 if self.pty && line.is_empty() => break 'lines 0,
                    b'\r' | b'\n' => {
                        let text = String::from_utf8_lossy(&line).trim().to_owned();
                        line.clear();
                        match text.strip_prefix("exit").map(str::trim) {
                            Some("") => break 'lines 0,
                            Some(code) if code.parse::<u32>().is_ok() => {
                                break 'lines code.parse().unwrap_or_default();
                            }
                            _ => {}
                        }
                    }
                    byte if line.len() < 64 => line.push(byte),
                    _ => {}
                }
            }
        };
        self.guest.disk().log.input(ticket, meter.finish());
        self.finish(ticket, None, Answer { exit, ..Answer::default() }).await;
    }

    /// Serves the SFTP subsystem.
    pub async fn sftp(mut self) {
        let ticket = self.guest.disk().log.begin("(sftp)", Vec::new(), false);
        let (ours, theirs) = tokio::io::duplex(1024 * 1024);
        sftp::run(theirs, Arc::clone(&self.guest)).await;
        let (mut from_server, mut to_server) = tokio::io::split(ours);
        let input = async {
            loop {
                match self.reader.wait().await {
                    Some(ChannelMsg::Data { data }) if to_server.write_all(&data).await.is_ok() => {}
                    Some(ChannelMsg::Data { .. } | ChannelMsg::Eof | ChannelMsg::Close) | None => break,
                    Some(_) => {}
                }
            }
            let _ = to_server.shutdown().await;
        };
        let output = async {
            let mut buffer = vec![0; 64 * 1024];
            while let Ok(count @ 1..) = from_server.read(&mut buffer).await {
                if self.writer.data_bytes(Bytes::copy_from_slice(&buffer[..count])).await.is_err() {
                    break;
                }
            }
        };
        tokio::join!(input, output);
        self.finish(ticket, None, Answer::default()).await;
    }

    async fn scp<F>(&mut self, ticket: Ticket, transfer: F) -> Answer
    where
        F: AsyncFnOnce(&Guest, &mut Wire<'_>) -> io::Result<()>,
    {
        let guest = Arc::clone(&self.guest);
        let mut wire = Wire::new(&mut self.reader, &self.writer);
        let result = transfer(&guest, &mut wire).await;
        let meter = wire.into_meter();
        self.guest.disk().log.input(ticket, meter.finish());
        match result {
            Ok(()) => Answer::default(),
            Err(error) => Answer { stderr: format!("scp: {error}\n"), exit: 1, ..Answer::default() },
        }
    }

    fn ask(&self, command: &str) -> Option<Answer> {
        let mut disk = self.guest.disk();
        let mut shell =
            Shell { user: &self.guest.user, hostname: &self.guest.hostname, files: &mut disk.files };
        shell.ask(command)
    }

    fn answer(&self, sink: &Sink) -> Option<Answer> {
        let Sink::TarFrom(directory) = sink else { return None };
        let packed = pack(&self.guest.disk().files, directory);
        Some(match packed {
            Ok(stdout) => Answer { stdout, ..Answer::default() },
            Err(error) => {
                Answer { stderr: format!("tar: {directory}: {error}\n"), exit: 2, ..Answer::default() }
            }
        })
    }

    fn target(&self, sink: &Sink) -> Target {
        match sink {
            Sink::File(path) => Target::File { path: path.clone(), writer: self.guest.disk().files.writer() },
            Sink::Tar(directory) => {
                let (feed, chunks) = mpsc::channel(16);
                let guest = Arc::clone(&self.guest);
                let directory =
                    directory.clone().unwrap_or_else(|| guest.disk().files.home_path().to_owned());
                let reader = Chunks { chunks, current: Bytes::new() };
                let unpacked = tokio::task::spawn_blocking(move || unpack(&guest, &directory, reader));
                Target::Tar { feed: Some(feed), unpacked }
            }
            Sink::None | Sink::ScpTo { .. } | Sink::ScpFrom { .. } | Sink::TarFrom(_) => Target::Nowhere,
        }
    }

    async fn piece(&mut self) -> Piece {
        loop {
            match self.reader.wait().await {
                Some(ChannelMsg::Data { data }) => return Piece::Data(data),
                Some(ChannelMsg::Eof | ChannelMsg::Close) | None => return Piece::End,
                Some(_) => {}
            }
        }
    }

    /// Reads the input as the plan says. An answer comes back where it could not be used.
    async fn take_input(&mut self, ticket: Ticket, input: Input, mut target: Target) -> Option<Answer> {
        let mut meter = Meter::default();
        loop {
            let done = match input {
                Input::ToEnd => false,
                Input::Ignored => true,
                Input::Unknown => true,
                Input::Exactly(count) => meter.bytes() >= count,
            };
            let pause = if input == Input::Ignored { Duration::ZERO } else { PAUSE };
            let piece = if done {
                match tokio::time::timeout(pause, self.piece()).await {
                    Ok(piece) => piece,
                    Err(_) => break,
                }
            } else {
                self.piece().await
            };
            let Piece::Data(data) = piece else { break };
            meter.update(&data);
            match &mut target {
                Target::File { writer, .. } => writer.append(&data),
                Target::Tar { feed: Some(sender), .. } => {
                    // The unpacker is gone after the end of the archive; what follows is padding.
                    if sender.send(data).await.is_err() {
                        target = self.settle(target).await.map_or(Target::Nowhere, |()| Target::Nowhere);
                    }
                }
                Target::Tar { feed: None, .. } | Target::Nowhere => {}
            }
        }
        self.guest.disk().log.input(ticket, meter.finish());
        self.settle(target).await.err()
    }

    /// Completes what the input was kept for.
    async fn settle(&self, target: Target) -> Result<(), Answer> {
        let failed = |text: String, exit| Answer { stderr: text, exit, ..Answer::default() };
        match target {
            Target::Nowhere => Ok(()),
            Target::File { path, writer } => {
                let put = self.guest.disk().files.put(&path, 0o644, writer);
                put.map_err(|error| failed(format!("sh: {path}: {error}\n"), 1))
            }
            Target::Tar { feed, unpacked } => {
                drop(feed);
                match unpacked.await {
                    Ok(Ok(())) => Ok(()),
                    Ok(Err(error)) => Err(failed(format!("tar: {error}\n"), 2)),
                    Err(error) => Err(failed(format!("tar: the unpacker failed: {error}\n"), 2)),
                }
            }
        }
    }

    /// Sends the answer and closes the channel.
    async fn finish(self, ticket: Ticket, rule: Option<&ScriptRule>, answer: Answer) {
        let (answer, signal) = match rule {
            None => (answer, None),
            Some(rule) => {
                tokio::time::sleep(Duration::from_millis(rule.delay_ms)).await;
                if rule.disconnect {
                    self.guest.disk().log.outcome(ticket, "disconnected".to_owned());
                    self.connection.cancel();
                    return;
                }
                let stdout = rule.stdout.clone().into_bytes();
                let answer =
                    Answer { stdout, stderr: rule.stderr.clone(), exit: rule.exit.unwrap_or_default() };
                (answer, rule.signal.clone())
            }
        };
        let outcome = match &signal {
            Some(name) => format!("signal {name}"),
            None => format!("exit {}", answer.exit),
        };
        self.guest.disk().log.outcome(ticket, outcome);
        // A client that left is no failure of the machine, so the results of sending are of no interest.
        if self.pty {
            let text = [String::from_utf8_lossy(&answer.stdout).as_ref(), &answer.stderr].concat();
            let _ = self.writer.data_bytes(text.replace('\n', "\r\n").into_bytes()).await;
        } else {
            let _ = self.writer.data_bytes(answer.stdout).await;
            let _ = self.writer.extended_data_bytes(1, answer.stderr.into_bytes()).await;
        }
        let _ = self.writer.eof().await;
        let _ = match signal {
            None => self.handle.exit_status_request(self.id, answer.exit).await,
            Some(name) => {
                let text = String::new();
                self.handle.exit_signal_request(self.id, signal_of(&name), false, text.clone(), text).await
            }
        };
        let _ = self.writer.close().await;
    }
}

fn signal_of(name: &str) -> Sig {
    match name.strip_prefix("SIG").unwrap_or(name) {
        "ABRT" => Sig::ABRT,
        "ALRM" => Sig::ALRM,
        "HUP" => Sig::HUP,
        "INT" => Sig::INT,
        "KILL" => Sig::KILL,
        "PIPE" => Sig::PIPE,
        "QUIT" => Sig::QUIT,
        "SEGV" => Sig::SEGV,
        "TERM" => Sig::TERM,
        other => Sig::Custom(other.to_owned()),
    }
}

/// The pieces of a channel as a blocking reader.
struct Chunks {
    chunks: mpsc::Receiver<Bytes>,
    current: Bytes,
}

impl Read for Chunks {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.chunks.blocking_recv() {
                Some(chunk) => self.current = chunk,
                None => return Ok(0),
            }
        }
        let count = buf.len().min(self.current.len());
        buf[..count].copy_from_slice(&self.current.split_to(count));
        Ok(count)
    }
}

/// Puts the files of a tar stream below a directory.
fn unpack(guest: &Guest, directory: &str, reader: Chunks) -> io::Result<()> {
    let mut archive = tar::Archive::new(reader);
    let mut buffer = vec![0; 64 * 1024];
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = format!("{directory}/{}", entry.path()?.display());
        let mode = entry.header().mode().unwrap_or(0o644) & 0o7777;
        match entry.header().entry_type() {
            tar::EntryType::Directory => {
                guest.disk().files.make_directory(&path).map_err(io::Error::other)?
            }
            tar::EntryType::Regular => {
                let mut writer = guest.disk().files.writer();
                loop {
                    match entry.read(&mut buffer)? {
                        0 => break,
                        count => writer.append(&buffer[..count]),
                    }
                }
                guest.disk().files.put(&path, mode, writer).map_err(io::Error::other)?;
            }
            // Links and devices have no content to record.
            _ => {}
        }
    }
    Ok(())
}

/// A tar stream of what is kept below a directory.
fn pack(files: &FileSystem, directory: &str) -> io::Result<Vec<u8>> {
    let directory = files.resolve(directory);
    if !files.is_directory(&directory) {
        return Err(io::Error::other("No such file or directory"));
    }
    let mut archive = tar::Builder::new(Vec::new());
    for (name, node) in files.below(&directory) {
        let mut header = tar::Header::new_gnu();
        header.set_mode(node.mode);
        header.set_mtime(node.mtime.into());
        match &node.kind {
            Kind::Directory { .. } => {
                header.set_entry_type(tar::EntryType::Directory);
                header.set_size(0);
                archive.append_data(&mut header, format!("{name}/"), io::empty())?;
            }
            Kind::File { content: Some(content), .. } => {
                header.set_size(content.len() as u64);
                archive.append_data(&mut header, name, content.as_ref())?;
            }
            Kind::File { content: None, .. } => {
                return Err(io::Error::other(super::files::FileError::NotKept));
            }
        }
    }
    archive.into_inner()
}
