//! A program on this host as a running command. On Unix it leads a session of its own, so that it can be ended together
//! with what it started; it has no terminal, because a program that waits for one in the background would wait for ever.

use std::process::{Command, Stdio};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use fornax_core::communicator::{CommandEvent, ExitStatus, Running};
use tokio::io::AsyncReadExt;
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout};

/// How long a program may tidy up after it was asked to end.
const GRACE: Duration = Duration::from_secs(3);
/// How often it is looked whether it has ended.
const POLL: Duration = Duration::from_millis(10);
/// How long a script that was just written may count as being written: a program that is started at that moment by
/// another thread has the open file until it runs.
const BUSY: Duration = Duration::from_secs(1);

/// A program on this host. It is ended, with what it started, when this is dropped before its end.
pub struct LocalProcess {
    child: Child,
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
    ended: bool,
}

impl LocalProcess {
    /// Starts a command whose standard input is settled; the other end of a piped one is returned.
    pub async fn start(mut command: Command) -> std::io::Result<(Self, Option<ChildStdin>)> {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        #[cfg(unix)]
        group::lead(&mut command);
        let mut command = tokio::process::Command::from(command);
        let mut busy = BUSY.as_millis() / POLL.as_millis();
        let mut child = loop {
            match command.kill_on_drop(true).spawn() {
                Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy && busy > 0 => busy -= 1,
                result => break result?,
            }
            tokio::time::sleep(POLL).await;
        };
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        Ok((Self { child, stdout, stderr, ended: false }, stdin))
    }

    /// Returns when nobody can write any more. Output that nobody is told of must not keep the program from ending.
    async fn drain(&mut self) {
        while self.stdout.is_some() || self.stderr.is_some() {
            tokio::select! {
                _ = read(&mut self.stdout) => {}
                _ = read(&mut self.stderr) => {}
            }
        }
    }
}

async fn read(pipe: &mut Option<impl tokio::io::AsyncRead + Unpin>) -> Bytes {
    let Some(open) = pipe else { return std::future::pending().await };
    let mut buffer = bytes::BytesMut::with_capacity(32 * 1024);
    match open.read_buf(&mut buffer).await {
        Ok(n) if n > 0 => buffer.freeze(),
        _ => {
            *pipe = None;
            Bytes::new()
        }
    }
}

#[async_trait]
impl Running for LocalProcess {
    async fn next(&mut self) -> Option<CommandEvent> {
        while self.stdout.is_some() || self.stderr.is_some() {
            let event = tokio::select! {
                bytes = read(&mut self.stdout) => CommandEvent::Stdout(bytes),
                bytes = read(&mut self.stderr) => CommandEvent::Stderr(bytes),
            };
            match &event {
                CommandEvent::Stdout(b) | CommandEvent::Stderr(b) if b.is_empty() => {}
                _ => return Some(event),
            }
        }
        if self.ended {
            return None;
        }
        let status = self.child.wait().await.ok()?;
        self.ended = true;
        #[cfg(unix)]
        let signal = std::os::unix::process::ExitStatusExt::signal(&status).map(group::signal_name);
        #[cfg(not(unix))]
        let signal = None;
        Some(CommandEvent::Exited(ExitStatus { code: status.code(), signal, disconnected: false }))
    }

    #[cfg(unix)]
    async fn kill(&mut self) {
        // None once it was waited for: its number may be another one's by now.
        let Some(leader) = self.child.id() else { return };
        group::signal(leader, group::TERM);
        // It is not waited for before the last signal, so that its number stays its own.
        // The leader may be a shell that ends at once, before the script that it runs has tidied up: what still writes
        // to the pipes has not ended.
        let all_ended = async { tokio::join!(group::ended(leader, POLL), self.drain()) };
        let _ = tokio::time::timeout(GRACE, all_ended).await;
        group::signal(leader, group::KILL);
        let _ = self.child.wait().await;
    }

    #[cfg(not(unix))]
    async fn kill(&mut self) {
        let _ = tokio::time::timeout(GRACE, self.child.kill()).await;
        self.drain().await;
    }
}

#[cfg(unix)]
impl Drop for LocalProcess {
    fn drop(&mut self) {
        if let Some(leader) = self.child.id() {
            group::signal(leader, group::KILL);
        }
    }
}

/// Sessions and their process groups.
#[cfg(unix)]
mod group {
    use std::os::unix::process::CommandExt;
    use std::process::Command;
    use std::time::Duration;

    use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};

    pub const TERM: Signal = Signal::TERM;
    pub const KILL: Signal = Signal::KILL;

    /// Makes the program the leader of a new session when it is started.
    pub fn lead(command: &mut Command) {
        // SAFETY: the closure runs between fork and exec, where only async-signal-safe calls are allowed; it makes one
        // system call and allocates nothing.
        unsafe {
            command.pre_exec(|| rustix::process::setsid().map(|_| ()).map_err(Into::into));
        }
    }

    fn pid(leader: u32) -> Option<Pid> {
        i32::try_from(leader).ok().and_then(Pid::from_raw)
    }

    /// Signals the leader, which was not waited for, and all that it started.
    pub fn signal(leader: u32, signal: Signal) {
        if let Some(pid) = pid(leader) {
            // It fails where nothing is left to be ended.
            let _ = rustix::process::kill_process_group(pid, signal);
        }
    }

    /// Returns when the leader has ended; it can still be waited for.
    pub async fn ended(leader: u32, poll: Duration) {
        let Some(pid) = pid(leader) else { return };
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        while let Ok(None) = rustix::process::waitid(WaitId::Pid(pid), options) {
            tokio::time::sleep(poll).await;
        }
    }

    /// The name without `SIG`; the number where there is no usual name.
    pub fn signal_name(number: i32) -> String {
        let names = [
            (Signal::HUP, "HUP"),
            (Signal::INT, "INT"),
            (Signal::QUIT, "QUIT"),
            (Signal::ILL, "ILL"),
            (Signal::TRAP, "TRAP"),
            (Signal::ABORT, "ABRT"),
            (Signal::BUS, "BUS"),
            (Signal::FPE, "FPE"),
            (Signal::KILL, "KILL"),
            (Signal::USR1, "USR1"),
            (Signal::SEGV, "SEGV"),
            (Signal::USR2, "USR2"),
            (Signal::PIPE, "PIPE"),
            (Signal::ALARM, "ALRM"),
            (Signal::TERM, "TERM"),
            (Signal::XCPU, "XCPU"),
            (Signal::XFSZ, "XFSZ"),
        ];
        let name = names.iter().find(|(signal, _)| signal.as_raw() == number);
        name.map_or_else(|| number.to_string(), |(_, name)| (*name).to_owned())
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;

    use super::*;

    #[tokio::test]
    async fn a_script_that_is_still_open_for_writing_is_started_when_it_is_not() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("script");
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o700).open(&path).expect("it is new");
        file.write_all(b"#!/bin/sh\nexit 7\n").expect("it is written");
        // The first attempt is made before the file is closed.
        let (started, ()) = tokio::join!(LocalProcess::start(Command::new(&path)), async { drop(file) });
        let (mut process, _) = started.expect("it starts");
        match process.next().await {
            Some(CommandEvent::Exited(status)) => assert_eq!(status.code, Some(7)),
            other => panic!("{other:?}"),
        }
    }
}
