//! Convenience over the machine that is being built: commands as a builder, transfers with the usual settings.
//! Everything that the interface offers beyond that is reached through [`Machine::target`].

use std::time::Duration;

use crate::files::{self, HostFile};
use crate::machine::{
    self, CommandLine, ExecOptions, ExitStatus, OutputMode, ReconnectOptions, Script, Target,
};
use crate::machine::{OsInfo, ScriptSource, TransferOptions, TransferStats};
use crate::{Error, Result};

/// Bytes that [`Command::output`] keeps of each stream.
const CAPTURE: u32 = 1 << 20;

impl Default for ExecOptions {
    /// Output is shown, no time limit, no terminal.
    fn default() -> Self {
        ExecOptions {
            env: Vec::new(),
            working_dir: None,
            stdin: None,
            output: OutputMode::Show,
            tee: false,
            timeout_ms: None,
            tty: false,
            expect_disconnect: false,
            cleanup: false,
            more: Vec::new(),
        }
    }
}

impl Default for TransferOptions {
    /// Keeps the mode, replaces what is there, shows progress.
    fn default() -> Self {
        TransferOptions { mode: None, owner: None, replace: true, progress: true }
    }
}

impl ExitStatus {
    /// Whether the command ended with 0.
    pub fn success(&self) -> bool {
        self.code == Some(0)
    }

    /// How it ended, for a message: `exit status 3`, `killed by signal TERM`, `the connection was lost`.
    pub fn describe(&self) -> String {
        match self.code {
            Some(code) => format!("exit status {code}"),
            None if self.disconnected => "the connection was lost".into(),
            None if self.signal.is_empty() => "ended without an exit status".into(),
            None => format!("killed by signal {}", self.signal),
        }
    }
}

/// The machine of the running step.
pub struct Machine {
    target: Target,
}

impl Machine {
    /// The machine of the running step; fails outside of `provision`.
    pub fn current() -> Result<Self> {
        machine::current().map(|target| Machine { target })
    }

    /// The handle of the interface.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Operating system, shell, login user, temporary folder.
    pub fn info(&self) -> Result<OsInfo> {
        self.target.info()
    }

    /// Runs a command line, shows its output, and fails unless it ends with 0.
    pub fn run(&self, command_line: &str) -> Result<()> {
        Command::shell(command_line).run(self)
    }

    /// Runs a command line and returns what it printed on standard output.
    pub fn output(&self, command_line: &str) -> Result<String> {
        Command::shell(command_line).output(self)
    }

    /// Runs the text of a script under a temporary path, shows its output, and fails unless it ends with 0.
    pub fn run_script(&self, text: &str) -> Result<()> {
        let path = self.target.temp_path(".sh")?;
        let command = format!("'{}'", path.replace('\'', r#"'"'"'"#));
        let script =
            Script { source: ScriptSource::Text(text.to_owned()), path, mode: 0o700, command, keep: false };
        let status = self.target.run_script(&script, &ExecOptions::default())?;
        if status.success() {
            Ok(())
        } else {
            Err(Error::command(format!("Script failed: {}", status.describe())))
        }
    }

    /// Uploads a file or directory that the configuration names.
    pub fn upload(&self, from: &str, to: &str) -> Result<TransferStats> {
        let file = files::open(from).map_err(|error| error.context(format!("{from} can't be read")))?;
        self.upload_file(&file, to)
    }

    /// Uploads a file or directory by its handle.
    pub fn upload_file(&self, file: &HostFile, to: &str) -> Result<TransferStats> {
        self.target.upload(file, to, &TransferOptions::default())
    }

    /// Writes a text, which may hold sealed placeholders, with these permission bits.
    pub fn write(&self, text: &str, to: &str, mode: u32) -> Result<TransferStats> {
        let options = TransferOptions { mode: Some(mode), progress: false, ..TransferOptions::default() };
        self.target.upload_text(text, to, &options)
    }

    /// Downloads a file or directory into the step's workspace under this name.
    pub fn download(&self, from: &str, name: &str) -> Result<HostFile> {
        self.target.download(from, &files::step_workspace()?, name)
    }

    /// Restarts the machine and waits until it can be used again.
    pub fn reboot(&self, timeout: Duration) -> Result<()> {
        self.target.reboot(&ReconnectOptions {
            expect_disconnect: true,
            timeout_ms: millis(timeout),
            probe: None,
        })
    }

    /// Waits until a connection stands again.
    pub fn reconnect(&self, timeout: Duration) -> Result<()> {
        self.target.reconnect(&ReconnectOptions {
            expect_disconnect: false,
            timeout_ms: millis(timeout),
            probe: None,
        })
    }
}

/// A command for the machine.
pub struct Command {
    line: CommandLine,
    options: ExecOptions,
}

impl Command {
    /// A command line for the shell of the login user. It may hold sealed placeholders; see the interface for where.
    pub fn shell(line: impl Into<String>) -> Self {
        Command { line: CommandLine::Raw(line.into()), options: ExecOptions::default() }
    }

    /// A program and its arguments, which the host quotes.
    pub fn new<T: Into<String>>(argv: impl IntoIterator<Item = T>) -> Self {
        let argv = argv.into_iter().map(Into::into).collect();
        Command { line: CommandLine::Argv(argv), options: ExecOptions::default() }
    }

    /// Sets an environment variable; the host quotes the value, which may be sealed.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.options.env.push((name.into(), value.into()));
        self
    }

    /// Text for standard input; may hold sealed placeholders.
    #[must_use]
    pub fn stdin(mut self, text: impl Into<String>) -> Self {
        self.options.stdin = Some(text.into());
        self
    }

    /// Ends the command after this time.
    #[must_use]
    pub fn timeout(mut self, time: Duration) -> Self {
        self.options.timeout_ms = Some(millis(time));
        self
    }

    /// Drops the output instead of showing it.
    #[must_use]
    pub fn quiet(mut self) -> Self {
        self.options.output = OutputMode::Discard;
        self
    }

    /// Allows it while the build is being cancelled, for tidying up.
    #[must_use]
    pub fn cleanup(mut self) -> Self {
        self.options.cleanup = true;
        self
    }

    /// Runs it and returns how it ended.
    pub fn status(&self, machine: &Machine) -> Result<ExitStatus> {
        machine.target.exec(&self.line, &self.options)
    }

    /// Runs it and fails unless it ends with 0.
    pub fn run(&self, machine: &Machine) -> Result<()> {
        self.expect_success(&self.status(machine)?)
    }

    /// Runs it, fails unless it ends with 0, and returns its standard output: UTF-8, at most 1 MiB.
    pub fn output(mut self, machine: &Machine) -> Result<String> {
        self.options.output = OutputMode::Capture(CAPTURE);
        let status = self.status(machine)?;
        self.expect_success(&status)?;
        if status.truncated {
            return Err(Error::new(
                crate::ErrorCode::TooLarge,
                format!("{} printed more than 1 MiB", self.name()),
            ));
        }
        Ok(String::from_utf8(status.stdout)?)
    }

    fn expect_success(&self, status: &ExitStatus) -> Result<()> {
        if status.success() {
            return Ok(());
        }
        let mut error = Error::command(format!("{} failed: {}", self.name(), status.describe()));
        let told = String::from_utf8_lossy(&status.stderr);
        if let Some(line) = told.lines().rev().find(|line| !line.trim().is_empty()) {
            error.causes.push(line.trim().to_owned());
        }
        Err(error)
    }

    /// The first line of the command, for messages.
    fn name(&self) -> String {
        let text = match &self.line {
            CommandLine::Raw(line) => line.lines().next().unwrap_or_default().to_owned(),
            CommandLine::Argv(argv) => argv.join(" "),
        };
        let mut short: String = text.chars().take(80).collect();
        if short.len() < text.len() {
            short.push('…');
        }
        short
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
