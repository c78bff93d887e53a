//! Commands, scripts and transfers of a guest on the machine: where placeholders become values, each quoted for where it
//! stands, and where output is shown, kept or dropped.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use fornax_core::Secret;
use fornax_core::communicator::{
    Command, Communicator, ReconnectOptions, Script, ScriptContent, Shell, TransferOptions, UploadSource,
};
use fornax_core::event::Event;

use crate::bindings::host::fornax::plugin::machine as api;
use crate::bindings::host::fornax::plugin::types::{Error, ErrorCode};
use crate::output::Shown;
use crate::process::{Ended, Job, Keep};
use crate::resources::HostFile;
use crate::seal::Language;
use crate::shell::{Refused, cmd, powershell, single_quoted};
use crate::state::{Phase, State, Stop};

/// Option of `run-script`: the language of the script's text, in which the host quotes placeholders.
const SCRIPT_LANGUAGE: &str = "script-language";
const UNSEAL_FILE: u64 = 16 * 1024 * 1024;
const PROGRESS: Duration = Duration::from_millis(100);

impl State {
    pub(crate) fn communicator(&self) -> Result<Arc<dyn Communicator>, Error> {
        match (self.phase, &self.machine) {
            (Phase::Provision, Some(machine)) => Ok(Arc::clone(machine)),
            (Phase::Describe, _) => {
                Err(self.error(ErrorCode::Denied, "the machine is not available to describe"))
            }
            (Phase::Provision, None) => Err(self.error(
                ErrorCode::Unsupported,
                "this build has no machine to connect to (communicator \"none\")",
            )),
            _ => Err(self.error(ErrorCode::Unsupported, "there is a machine only while a provisioner runs")),
        }
    }

    pub(crate) fn refused(&self, refused: Refused) -> Error {
        self.error(ErrorCode::InvalidArgument, refused.to_string())
    }

    /// What reads the machine's command lines; asks the machine, so only where quoting is needed.
    pub(crate) async fn shell(&mut self, machine: &dyn Communicator, stop: &Stop) -> Result<Language, Error> {
        match stop.run("asking for the operating system", machine.machine()).await? {
            Ok(info) => Ok(match info.shell {
                Shell::Posix if info.family == "windows" => Language::Unknown,
                Shell::Posix => Language::Posix,
                Shell::Cmd => Language::Cmd,
                Shell::PowerShell => Language::PowerShell,
                Shell::Unknown => Language::Unknown,
            }),
            Err(error) => Err(self.communicator_error(&error)),
        }
    }

    pub(crate) async fn need_posix(
        &mut self,
        machine: &dyn Communicator,
        stop: &Stop,
        what: &str,
    ) -> Result<(), Error> {
        if self.shell(machine, stop).await? == Language::Posix { Ok(()) } else { Err(self.unquotable(what)) }
    }

    fn unquotable(&self, what: &str) -> Error {
        self.error(
            ErrorCode::Unsupported,
            format!("{what} can't be quoted for the shell of this machine; use a raw command line"),
        )
    }

    pub(crate) async fn raw_line(
        &mut self,
        machine: &dyn Communicator,
        stop: &Stop,
        line: &str,
    ) -> Result<Secret, Error> {
        let sensitive = self.sealer.text(line).is_sensitive();
        if !sensitive {
            return Ok(Secret::new(line));
        }
        let language = self.shell(machine, stop).await?;
        self.sealer.unseal_line_for(line, language).map_err(|e| self.refused(e))
    }

    pub(crate) fn quoted(&self, text: &str) -> Result<String, Error> {
        Ok(single_quoted(self.plain_without_nul(text)?.expose()))
    }

    fn plain_without_nul(&self, text: &str) -> Result<Secret, Error> {
        let value = self.sealer.unseal_raw(text);
        if value.expose().contains('\0') {
            return Err(
                self.error(ErrorCode::InvalidArgument, "a NUL character can't be passed to a command")
            );
        }
        Ok(value)
    }

    fn change_folder(&self, shell: Language, folder: &str) -> Result<String, Error> {
        let folder = self.plain_without_nul(folder)?;
        match shell {
            Language::Posix => Ok(format!("cd -- {} || exit 1; ", single_quoted(folder.expose()))),
            Language::PowerShell => Ok(format!(
                "Set-Location -ErrorAction Stop -LiteralPath {}; ",
                powershell::argument(folder.expose()).map_err(|e| self.refused(e))?
            )),
            Language::Cmd | Language::Batch => {
                Ok(format!("cd /d {} && ", cmd::name(folder.expose()).map_err(|e| self.refused(e))?))
            }
            Language::Unknown => Err(self.unquotable("a folder")),
        }
    }

    fn set_variable(&self, shell: Language, name: &str, value: &str) -> Result<String, Error> {
        let value = self.plain_without_nul(value)?;
        match shell {
            Language::Posix => Ok(format!("export {name}={}; ", single_quoted(value.expose()))),
            // An empty variable is none in Windows.
            Language::PowerShell if value.expose().is_empty() => Ok(format!("$env:{name}=''; ")),
            Language::PowerShell => Ok(format!(
                "$env:{name}={}; ",
                powershell::argument(value.expose()).map_err(|e| self.refused(e))?
            )),
            Language::Cmd | Language::Batch => {
                cmd::variable(name, value.expose()).map_err(|e| self.refused(e))
            }
            Language::Unknown => Err(self.unquotable("an environment")),
        }
    }

    fn argument_list(&self, shell: Language, argv: &[String]) -> Result<String, Error> {
        let mut words = Vec::with_capacity(argv.len());
        for (index, argument) in argv.iter().enumerate() {
            let value = self.plain_without_nul(argument)?;
            let word = match shell {
                Language::Posix => Ok(single_quoted(value.expose())),
                Language::PowerShell => powershell::argument(value.expose()),
                Language::Cmd | Language::Batch if index == 0 => cmd::name(value.expose()),
                Language::Cmd | Language::Batch => cmd::argument(value.expose()),
                Language::Unknown => return Err(self.unquotable("an argument list")),
            };
            words.push(word.map_err(|e| self.refused(e))?);
        }
        let line = words.join(" ");
        Ok(if shell == Language::PowerShell { format!("& {line}; exit $LASTEXITCODE") } else { line })
    }

    /// The whole line: folder, environment, command.
    pub(crate) async fn line(
        &mut self,
        machine: &dyn Communicator,
        stop: &Stop,
        command: &api::CommandLine,
        options: &api::ExecOptions,
    ) -> Result<Secret, Error> {
        let mut line = String::new();
        let quotes = matches!(command, api::CommandLine::Argv(_));
        let shell = if quotes || options.working_dir.is_some() || !options.env.is_empty() {
            self.shell(machine, stop).await?
        } else {
            Language::Unknown
        };
        if let Some(dir) = &options.working_dir {
            line.push_str(&self.change_folder(shell, dir)?);
        }
        for (name, value) in &options.env {
            let mut bytes = name.bytes();
            let valid = bytes.next().is_some_and(|b| b == b'_' || b.is_ascii_alphabetic())
                && bytes.all(|b| b == b'_' || b.is_ascii_alphanumeric());
            if !valid {
                return Err(self.error(
                    ErrorCode::InvalidArgument,
                    format!("{name:?} is no name for an environment variable"),
                ));
            }
            line.push_str(&self.set_variable(shell, name, value)?);
        }
        match command {
            api::CommandLine::Raw(raw) => line.push_str(self.raw_line(machine, stop, raw).await?.expose()),
            api::CommandLine::Argv(argv) => {
                if argv.is_empty() {
                    return Err(self.error(ErrorCode::InvalidArgument, "there is no program to run"));
                }
                line.push_str(&self.argument_list(shell, argv)?);
            }
        }
        Ok(Secret::new(line))
    }

    /// The language of a script's text, in which placeholders are quoted; none takes values as they are.
    fn script_language(&self, options: &api::ExecOptions) -> Result<Option<Language>, Error> {
        let language = options.more.iter().find(|(name, _)| name == SCRIPT_LANGUAGE);
        match language.map(|(_, language)| language.as_str()) {
            None => Ok(None),
            Some("posix") => Ok(Some(Language::Posix)),
            Some("powershell") => Ok(Some(Language::PowerShell)),
            Some("batch") => Ok(Some(Language::Batch)),
            Some(other) => Err(self.error(
                ErrorCode::Unsupported,
                format!("this engine does not know the script language {other:?}"),
            )),
        }
    }

    /// `known` are the names of options that the call takes.
    pub(crate) fn checked(&self, options: &api::ExecOptions, known: &[&str]) -> Result<Stop, Error> {
        if let Some((name, _)) = options.more.iter().find(|(name, _)| !known.contains(&name.as_str())) {
            return Err(
                self.error(ErrorCode::Unsupported, format!("this engine does not know the option {name:?}"))
            );
        }
        let stop = self.stop(options.cleanup, options.timeout_ms.map(Duration::from_millis));
        if self.cancel.is_cancelled() && !options.cleanup {
            return Err(self.error(ErrorCode::Cancelled, "the build is being cancelled"));
        }
        Ok(stop)
    }

    pub fn shown(&self) -> Option<Shown> {
        self.step.as_ref().map(|step| Shown::new(&step.events, &self.redactor))
    }

    pub fn job(
        &self,
        running: Box<dyn fornax_core::communicator::Running>,
        output: &api::OutputMode,
        tee: bool,
    ) -> Job {
        let (keep, show) = match output {
            api::OutputMode::Show => (Keep::Nothing, true),
            api::OutputMode::Discard => (Keep::Nothing, false),
            api::OutputMode::Capture(limit) => (Keep::UpTo(*limit as usize), tee),
            api::OutputMode::Pull => (Keep::Pieces, tee),
        };
        Job::new(running, keep, if show { self.shown() } else { None }, &self.redactor)
    }

    pub(crate) async fn start_command(
        &mut self,
        command: &api::CommandLine,
        options: &api::ExecOptions,
    ) -> Result<(Job, Stop), Error> {
        let machine = self.communicator()?;
        let stop = self.checked(options, &[])?;
        let line = self.line(machine.as_ref(), &stop, command, options).await?;
        let stdin =
            options.stdin.as_ref().map(|s| Bytes::from(self.sealer.unseal_raw(s).expose().to_owned()));
        let request = Command { line, stdin: stdin.unwrap_or_default(), pty: options.tty };
        match stop.run("starting the command", machine.start(request)).await? {
            Ok(running) => Ok((self.job(running, &options.output, options.tee), stop)),
            Err(error) => Err(self.communicator_error(&error)),
        }
    }

    pub(crate) async fn start_script(
        &mut self,
        script: &api::Script,
        options: &api::ExecOptions,
    ) -> Result<(Job, Stop), Error> {
        let machine = self.communicator()?;
        let stop = self.checked(options, &[SCRIPT_LANGUAGE])?;
        let language = self.script_language(options)?;
        if options.stdin.is_some() {
            return Err(
                self.error(ErrorCode::InvalidArgument, "standard input is taken by the script itself")
            );
        }
        if matches!(options.output, api::OutputMode::Pull) {
            return Err(self.error(ErrorCode::InvalidArgument, "the output of a script can't be pulled"));
        }
        let content = match &script.source {
            api::ScriptSource::Text(text) => ScriptContent::Text(match language {
                Some(language) => {
                    self.sealer.unseal_text(text, language).map_err(|refused| self.refused(refused))?
                }
                None => self.sealer.unseal_raw(text),
            }),
            api::ScriptSource::File(file) => {
                let file = self
                    .table
                    .get(file)
                    .map_err(|e| self.error(ErrorCode::InvalidArgument, e.to_string()))?;
                if file.unseal {
                    ScriptContent::Text(self.unsealed(file)?)
                } else {
                    ScriptContent::File(file.path.clone())
                }
            }
        };
        let command = api::CommandLine::Raw(script.command.clone());
        let request = Script {
            content,
            path: script.path.clone(),
            mode: script.mode,
            command: self.line(machine.as_ref(), &stop, &command, options).await?,
            keep: script.keep,
            pty: options.tty,
        };
        match stop.run("starting the script", machine.start_script(request)).await? {
            Ok(running) => Ok((self.job(running, &options.output, options.tee), stop)),
            Err(error) => Err(self.communicator_error(&error)),
        }
    }

    /// Runs a job to its end; ends it when the call is stopped.
    pub async fn run_to_end(
        &mut self,
        job: &mut Job,
        stop: &Stop,
        expect_disconnect: bool,
    ) -> Result<api::ExitStatus, Error> {
        match stop.run("the command", job.wait()).await {
            Ok(ended) => self.exit_status(ended, expect_disconnect),
            Err(stopped) => {
                job.kill().await;
                Err(stopped)
            }
        }
    }

    pub(crate) fn exit_status(
        &self,
        ended: Ended,
        expect_disconnect: bool,
    ) -> Result<api::ExitStatus, Error> {
        if ended.status.disconnected && !expect_disconnect {
            return Err(self.error(
                ErrorCode::ConnectionLost,
                "the connection to the machine was lost while the command ran",
            ));
        }
        Ok(api::ExitStatus {
            code: ended.status.code,
            signal: ended.status.signal.unwrap_or_default(),
            disconnected: ended.status.disconnected,
            stdout: ended.stdout,
            stderr: ended.stderr,
            truncated: ended.truncated,
        })
    }

    /// The content of a file with its placeholders replaced. It never lies on the disk of the host in this form.
    pub(crate) fn unsealed(&self, file: &HostFile) -> Result<Secret, Error> {
        let meta = file.path.metadata().map_err(|e| self.io_error(&file.name, &e))?;
        if meta.is_dir() {
            return Err(self.error(
                ErrorCode::InvalidArgument,
                "placeholders are replaced in files, not in directories",
            ));
        }
        if meta.len() > UNSEAL_FILE {
            return Err(
                self.error(ErrorCode::TooLarge, "placeholders are replaced in files of at most 16 MiB")
            );
        }
        match std::fs::read_to_string(&file.path) {
            Ok(text) => Ok(self.sealer.unseal_raw(&text)),
            Err(error) => Err(self.io_error(&file.name, &error)),
        }
    }

    pub(crate) async fn transfer(
        &mut self,
        source: UploadSource,
        label: &str,
        to: &str,
        options: &api::TransferOptions,
    ) -> Result<api::TransferStats, Error> {
        let machine = self.communicator()?;
        let stop = self.stop(false, None);
        if !options.replace || options.owner.is_some() {
            self.need_posix(machine.as_ref(), &stop, "a path").await?;
        }
        if !options.replace
            && self
                .succeeds(machine.as_ref(), &stop, format!("test -e {0} || test -L {0}", self.quoted(to)?))
                .await?
        {
            return Err(self.error(ErrorCode::AlreadyExists, format!("{to} exists on the machine")));
        }
        let progress = options.progress.then(|| self.progress(label)).flatten();
        let transfer = TransferOptions { mode: options.mode };
        let stats = match stop.run("the upload", machine.upload(source, to, &transfer, progress)).await? {
            Ok(stats) => stats,
            Err(error) => return Err(self.communicator_error(&error)),
        };
        if let Some(owner) = &options.owner {
            let line = format!("chown -R -- {} {}", self.quoted(owner)?, self.quoted(to)?);
            if !self.succeeds(machine.as_ref(), &stop, line).await? {
                return Err(self.error(
                    ErrorCode::CommandFailed,
                    format!("{to} was uploaded, but its owner can't be set to {owner}"),
                ));
            }
        }
        Ok(api::TransferStats { files: stats.files, bytes: stats.bytes, sha256: stats.sha256 })
    }

    pub(crate) fn progress(&self, label: &str) -> Option<fornax_core::communicator::ProgressFn> {
        let events = self.step.as_ref()?.events.clone();
        let label = self.presentable(label);
        let last = std::sync::Mutex::new(None::<std::time::Instant>);
        Some(Arc::new(move |done, total| {
            let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
            let now = std::time::Instant::now();
            if total == Some(done) || last.is_none_or(|l| now.saturating_duration_since(l) >= PROGRESS) {
                *last = Some(now);
                events.emit(Event::Progress {
                    build: events.build().to_owned(),
                    label: label.clone(),
                    done,
                    total,
                });
            }
        }))
    }

    pub(crate) async fn succeeds(
        &mut self,
        machine: &dyn Communicator,
        stop: &Stop,
        line: String,
    ) -> Result<bool, Error> {
        let command = Command { line: Secret::new(line), stdin: Bytes::new(), pty: false };
        match stop.run("a command", machine.start(command)).await? {
            Ok(running) => {
                let mut job = Job::new(running, Keep::Nothing, None, &self.redactor);
                Ok(self.run_to_end(&mut job, stop, false).await?.code == Some(0))
            }
            Err(error) => Err(self.communicator_error(&error)),
        }
    }

    pub(crate) async fn reconnect_with(&mut self, options: &api::ReconnectOptions) -> Result<(), Error> {
        let machine = self.communicator()?;
        let timeout = Duration::from_millis(options.timeout_ms);
        let request = ReconnectOptions {
            expect_disconnect: options.expect_disconnect,
            timeout,
            probe: options.probe.clone(),
        };
        // The communicator keeps the limit; this one only bounds a communicator that does not.
        let stop = self.stop(false, Some(timeout.saturating_add(Duration::from_secs(30))));
        match stop.run("reconnecting", machine.reconnect(&request)).await? {
            Ok(()) => Ok(()),
            Err(error) => Err(self.communicator_error(&error)),
        }
    }
}
