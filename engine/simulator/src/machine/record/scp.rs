//! Both remote sides of the old `scp` protocol, on the memory file system.
//!
//! Sink: `C0644 size name`, content, zero byte; `D0755 0 name` … `E` for directories; `T…` times, ignored. Each line and
//! each content is acknowledged with a zero byte.

use std::io;

use bytes::{Buf, Bytes};
use russh::server::Msg;
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf};

use super::Guest;
use super::files::Kind;
use super::log::Meter;

/// A control line is never longer.
const LINE: usize = 4096;

/// The channel as both ends of the protocol see it.
pub(super) struct Wire<'a> {
    reader: &'a mut ChannelReadHalf,
    writer: &'a ChannelWriteHalf<Msg>,
    buffer: Bytes,
    meter: Meter,
}

impl<'a> Wire<'a> {
    pub fn new(reader: &'a mut ChannelReadHalf, writer: &'a ChannelWriteHalf<Msg>) -> Self {
        Self { reader, writer, buffer: Bytes::new(), meter: Meter::default() }
    }

    /// What was received.
    pub fn into_meter(self) -> Meter {
        self.meter
    }

    /// Waits for data; false at the end.
    async fn fill(&mut self) -> bool {
        while self.buffer.is_empty() {
            match self.reader.wait().await {
                Some(ChannelMsg::Data { data }) => {
                    self.meter.update(&data);
                    self.buffer = data;
                }
                Some(ChannelMsg::Eof | ChannelMsg::Close) | None => return false,
                Some(_) => {}
            }
        }
        true
    }

    async fn line(&mut self) -> io::Result<Option<String>> {
        let mut line = Vec::new();
        loop {
            if !self.fill().await {
                return if line.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            }
            match self.buffer.get_u8() {
                b'\n' => break,
                byte if line.len() < LINE => line.push(byte),
                _ => return Err(io::Error::other("protocol error: a control line is too long")),
            }
        }
        Ok(Some(String::from_utf8_lossy(&line).into_owned()))
    }

    async fn byte(&mut self) -> io::Result<u8> {
        if self.fill().await { Ok(self.buffer.get_u8()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    async fn send(&self, data: impl Into<Bytes>) -> io::Result<()> {
        self.writer.data_bytes(data).await.map_err(io::Error::other)
    }

    async fn acknowledge(&self) -> io::Result<()> {
        self.send(&b"\0"[..]).await
    }

    async fn acknowledged(&mut self) -> io::Result<()> {
        match self.byte().await? {
            0 => Ok(()),
            _ => {
                let text = self.line().await?.unwrap_or_default();
                Err(io::Error::other(format!("the other side said: {text}")))
            }
        }
    }
}

/// `scp -t path`.
pub(super) async fn receive(guest: &Guest, wire: &mut Wire<'_>, path: &str, into: bool) -> io::Result<()> {
    let mut directories = vec![guest.disk().files.resolve(path)];
    wire.acknowledge().await?;
    while let Some(line) = wire.line().await? {
        let refused = match take(guest, wire, &line, &mut directories, into).await? {
            Ok(()) => {
                wire.acknowledge().await?;
                continue;
            }
            Err(text) => text,
        };
        wire.send(format!("\u{1}scp: {refused}\n").into_bytes()).await?;
        return Err(io::Error::other(refused));
    }
    Ok(())
}

async fn take(
    guest: &Guest,
    wire: &mut Wire<'_>,
    line: &str,
    directories: &mut Vec<String>,
    into: bool,
) -> io::Result<Result<(), String>> {
    let Some(current) = directories.last().cloned() else {
        return Ok(Err("protocol error: one E too many".to_owned()));
    };
    let kind = line.chars().next().unwrap_or_default();
    match kind {
        'T' => return Ok(Ok(())),
        'E' => {
            directories.pop();
            return Ok(Ok(()));
        }
        'C' | 'D' => {}
        _ => return Ok(Err(format!("protocol error: {line:?}"))),
    }
    let mut parts = line[1..].splitn(3, ' ');
    let parsed = (|| {
        let mode = u32::from_str_radix(parts.next()?, 8).ok()?;
        let size: u64 = parts.next()?.parse().ok()?;
        let name = parts.next().filter(|name| !name.contains('/') && !matches!(*name, "" | "." | ".."))?;
        Some((mode & 0o7777, size, name))
    })();
    let Some((mode, size, name)) = parsed else { return Ok(Err(format!("protocol error: {line:?}"))) };
    // The first name is taken only where the path is a directory; otherwise the path itself is the name.
    let nested = directories.len() > 1 || into || guest.disk().files.is_directory(&current);
    let path = if nested { format!("{current}/{name}") } else { current };
    if kind == 'D' {
        let made = guest.disk().files.make_directory(&path);
        return Ok(match made {
            Ok(()) => {
                directories.push(path);
                Ok(())
            }
            Err(error) => Err(format!("{path}: {error}")),
        });
    }
    wire.acknowledge().await?;
    let mut writer = guest.disk().files.writer();
    while writer.size() < size {
        if !wire.fill().await {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let count = wire.buffer.len().min(usize::try_from(size - writer.size()).unwrap_or(usize::MAX));
        writer.append(&wire.buffer.split_to(count));
    }
    if wire.byte().await? != 0 {
        return Ok(Err(format!("{path}: the sender had an error")));
    }
    let put = guest.disk().files.put(&path, mode, writer);
    Ok(put.map_err(|error| format!("{path}: {error}")))
}

/// What is sent, in the order of the protocol.
enum Step {
    File { header: String, content: Bytes },
    Enter(String),
    Leave,
}

/// `scp -f path`.
pub(super) async fn send(guest: &Guest, wire: &mut Wire<'_>, path: &str, recursive: bool) -> io::Result<()> {
    let steps = steps(guest, path, recursive);
    wire.acknowledged().await?;
    let steps = match steps {
        Ok(steps) => steps,
        Err(text) => {
            wire.send(format!("\u{1}scp: {text}\n").into_bytes()).await?;
            return Err(io::Error::other(text));
        }
    };
    for step in steps {
        match step {
            Step::File { header, content } => {
                wire.send(header.into_bytes()).await?;
                wire.acknowledged().await?;
                wire.send(content).await?;
                wire.acknowledge().await?;
            }
            Step::Enter(header) => wire.send(header.into_bytes()).await?,
            Step::Leave => wire.send(&b"E\n"[..]).await?,
        }
        wire.acknowledged().await?;
    }
    Ok(())
}

fn steps(guest: &Guest, path: &str, recursive: bool) -> Result<Vec<Step>, String> {
    let disk = guest.disk();
    let path = disk.files.resolve(path);
    let name_of = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    let file = |path: &str, mode: u32| -> Result<Step, String> {
        let content = disk.files.read(path).map_err(|error| format!("{path}: {error}"))?;
        Ok(Step::File { header: format!("C{mode:04o} {} {}\n", content.len(), name_of(path)), content })
    };
    let node = disk.files.get(&path).ok_or_else(|| format!("{path}: No such file or directory"))?;
    if let Kind::File { .. } = node.kind {
        return Ok(vec![file(&path, node.mode)?]);
    }
    if !recursive {
        return Err(format!("{path}: not a regular file"));
    }
    let mut steps = vec![Step::Enter(format!("D{:04o} 0 {}\n", node.mode, name_of(&path)))];
    let mut depth = 0;
    for (name, node) in disk.files.below(&path) {
        let level = name.matches('/').count();
        while depth > level {
            steps.push(Step::Leave);
            depth -= 1;
        }
        let full = format!("{path}/{name}");
        if let Kind::Directory { .. } = node.kind {
            steps.push(Step::Enter(format!("D{:04o} 0 {}\n", node.mode, name_of(&full))));
            depth = level + 1;
        } else {
            steps.push(file(&full, node.mode)?);
        }
    }
    steps.extend((0..=depth).map(|_| Step::Leave));
    Ok(steps)
}
