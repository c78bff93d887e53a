//! The commands that a `record` machine was sent.
//!
//! A command is recorded when it arrives and completed when it ends, so a connection that dies leaves its last command
//! in the record with no outcome.

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::config::Limits;

/// One command as it was sent.
#[derive(Clone, Debug, Serialize)]
pub struct CommandRecord {
    /// The command line, cut at [`Limits::command_bytes`]; `(shell)` for an interactive shell.
    pub command: String,
    /// Bytes of the command line as sent.
    pub command_bytes: usize,
    /// When it arrived, RFC 3339.
    pub at: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<(String, String)>,
    pub pty: bool,
    /// What was sent to its standard input.
    pub stdin: StdinRecord,
    /// How it was answered: `exit 0`, `signal KILL`, `disconnected`; none where the connection ended first.
    pub outcome: Option<String>,
}

/// Size and digest of an input.
#[derive(Clone, Debug, Default, Serialize, PartialEq, Eq)]
pub struct StdinRecord {
    pub bytes: u64,
    /// Hexadecimal; none where nothing was sent.
    pub sha256: Option<String>,
}

/// Counts and digests an input as it comes.
#[derive(Default)]
pub(super) struct Meter {
    bytes: u64,
    hash: Sha256,
}

impl Meter {
    pub fn update(&mut self, chunk: &[u8]) {
        self.bytes += chunk.len() as u64;
        self.hash.update(chunk);
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    pub fn finish(self) -> StdinRecord {
        let sha256 = (self.bytes > 0).then(|| hex(&self.hash.finalize()));
        StdinRecord { bytes: self.bytes, sha256 }
    }
}

/// Lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Names a recorded command until it is finished.
#[derive(Clone, Copy)]
pub(super) struct Ticket(Option<usize>);

pub(super) struct CommandLog {
    records: Vec<CommandRecord>,
    dropped: usize,
    limits: Limits,
}

impl CommandLog {
    /// Environment variables that are kept of one command.
    pub const ENV: usize = 64;

    pub fn new(limits: Limits) -> Self {
        Self { records: Vec::new(), dropped: 0, limits }
    }

    pub fn begin(&mut self, command: &str, env: Vec<(String, String)>, pty: bool) -> Ticket {
        if self.records.len() >= self.limits.commands {
            self.dropped += 1;
            return Ticket(None);
        }
        let cut = |text: &str| text[..text.floor_char_boundary(self.limits.command_bytes)].to_owned();
        self.records.push(CommandRecord {
            command: cut(command),
            command_bytes: command.len(),
            at: jiff::Timestamp::now().to_string(),
            env: env.into_iter().map(|(name, value)| (cut(&name), cut(&value))).collect(),
            pty,
            stdin: StdinRecord::default(),
            outcome: None,
        });
        Ticket(Some(self.records.len() - 1))
    }

    pub fn input(&mut self, ticket: Ticket, stdin: StdinRecord) {
        if let Some(record) = ticket.0.and_then(|at| self.records.get_mut(at)) {
            record.stdin = stdin;
        }
    }

    pub fn outcome(&mut self, ticket: Ticket, outcome: String) {
        if let Some(record) = ticket.0.and_then(|at| self.records.get_mut(at)) {
            record.outcome = Some(outcome);
        }
    }

    pub fn records(&self) -> &[CommandRecord] {
        &self.records
    }

    pub fn count(&self) -> usize {
        self.records.len() + self.dropped
    }

    /// Commands that were answered but not kept.
    pub fn dropped(&self) -> usize {
        self.dropped
    }

    pub fn clear(&mut self) {
        self.records.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_the_limits_it_counts() {
        let limits = Limits { commands: 1, command_bytes: 5, ..Limits::default() };
        let mut log = CommandLog::new(limits);
        let first = log.begin("echo ä and more", Vec::new(), false);
        let second = log.begin("echo two", Vec::new(), false);
        log.outcome(first, "exit 0".into());
        log.outcome(second, "exit 1".into());
        assert_eq!((log.records().len(), log.dropped(), log.count()), (1, 1, 2));
        assert_eq!((log.records()[0].command.as_str(), log.records()[0].command_bytes), ("echo ", 16));
        assert_eq!(log.records()[0].outcome.as_deref(), Some("exit 0"));
    }
}
