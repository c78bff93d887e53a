//! The step itself: writes each script and what belongs to it, runs it, and tidies up, after a failure and a lost
//! connection too.

use std::time::Duration;

use fornax_plugin_scripts::exit::{self, End};
use fornax_plugin_scripts::run::{retrying, uuid};
use fornax_plugin_scripts::source::Source;
use fornax_plugin_scripts::vars::{Format, collect};
use fornax_plugin_sdk::machine::{ExecOptions, OutputMode, Script, ScriptSource, TransferOptions};
use fornax_plugin_sdk::prelude::*;
use fornax_plugin_sdk::{duration, render, say, sealed, sleep};

use crate::config::Config;
use crate::elevated::Task;
use crate::text::{self, Leftovers};

/// Runs all scripts of the step.
pub fn provision(config: &Config, machine: &Machine) -> Result<Outcome> {
    let pause = config.pause().map_err(Error::invalid)?;
    say("Provisioning with Powershell...");
    let mut step = Step::new(config, machine)?;
    let result = step.all();
    let cleaned = step.clean(result.is_err());
    result?;
    cleaned?;
    if !pause.is_zero() {
        say(format!("Pausing {} after this provisioner...", duration::format(pause)));
        sleep(pause)?;
    }
    Ok(Outcome::changed())
}

/// What is written to the machine.
enum Content {
    Text(String),
    File(files::HostFile),
}

impl Content {
    /// Whether a secret is in it.
    fn is_secret(&self) -> bool {
        matches!(self, Content::Text(text) if sealed::contains(text))
    }
}

struct Piece {
    path: String,
    content: Content,
    secret: bool,
}

struct Step<'a> {
    config: &'a Config,
    machine: &'a Machine,
    retry: Duration,
    path: String,
    env_path: String,
    variables: String,
    leftovers: Leftovers,
}

impl<'a> Step<'a> {
    fn new(config: &'a Config, machine: &'a Machine) -> Result<Self> {
        let build = run::get_build_info();
        let format = Format::parse(config.format()).map_err(Error::invalid)?;
        let all = collect(
            config.environment_vars.as_deref(),
            config.env.as_ref(),
            &build.build_name,
            &build.builder_type,
        );
        Ok(Step {
            config,
            machine,
            retry: config.retry_timeout().map_err(Error::invalid)?,
            path: config.remote_path(&uuid()),
            env_path: config.env_path(&uuid()),
            variables: text::variables(&all, &format),
            leftovers: Leftovers::default(),
        })
    }

    fn all(&mut self) -> Result<()> {
        for source in self.config.sources() {
            self.one(source)?;
        }
        Ok(())
    }

    fn one(&mut self, source: Source) -> Result<()> {
        let (name, content) = match source {
            Source::Inline(lines) => {
                let text = text::inline(lines, &self.variables, self.config.debug_mode());
                ("inline script", Content::Text(text))
            }
            Source::File(path) => {
                let file = files::open(path)
                    .map_err(|error| error.context(format!("Error opening powershell script {path}")))?;
                (path, Content::File(file))
            }
        };
        say(format!("Provisioning with powershell script: {name}"));
        let template = self.config.command();
        let mut pieces = vec![Piece { path: self.path.clone(), secret: content.is_secret(), content }];
        if template.contains(".Vars") {
            let content = Content::Text(text::variables_file(&self.variables));
            pieces.push(Piece { path: self.env_path.clone(), secret: content.is_secret(), content });
        }
        let mut command = render(&template, &[("Path", &self.path), ("Vars", &self.env_path)])
            .map_err(|error| error.context("Error processing the command that runs the script"))?;
        let elevated = self.config.elevated_user();
        if let Some(user) = elevated {
            let id = uuid();
            let password = self.config.elevated_password();
            let task = Task { uuid: &id, user, password, command: &command };
            let content = Content::Text(task.wrapper()?);
            pieces.push(Piece { path: task.path(), content, secret: !password.is_empty() });
            self.leftovers.tasks.push((task.name(), task.output()));
            command = task.run_wrapper();
        }
        for piece in &pieces {
            self.remember(piece, elevated.is_some());
        }
        // The last piece travels with the command that needs it.
        let last = pieces.pop();
        for piece in &pieces {
            retrying(self.retry, || self.write(piece))
                .map_err(|error| error.context(format!("Error uploading to {}", piece.path)))?;
        }
        let Some(last) = last else { return Ok(()) };
        let options = ExecOptions { expect_disconnect: true, ..ExecOptions::default() };
        let keep = !last.secret && elevated.is_none();
        let status = retrying(self.retry, || self.run(&last, &command, keep, options.clone()))?;
        if status.code.is_some() {
            // The wrapper came to its end, and has removed the task.
            self.leftovers.tasks.clear();
        }
        match exit::judge(&status, exit::valid(self.config.valid_exit_codes.as_deref()))? {
            End::Done => Ok(()),
            End::Disconnected => retrying(self.retry, || self.machine.reconnect(self.retry)),
        }
    }

    fn remember(&mut self, piece: &Piece, elevated: bool) {
        let list = if piece.secret {
            &mut self.leftovers.secret
        } else if !self.config.keep() || (elevated && piece.path != self.path && piece.path != self.env_path)
        {
            &mut self.leftovers.files
        } else {
            return;
        };
        if !list.contains(&piece.path) {
            list.push(piece.path.clone());
        }
    }

    fn write(&self, piece: &Piece) -> Result<()> {
        match &piece.content {
            Content::File(file) => {
                let options = TransferOptions { mode: Some(0o700), ..TransferOptions::default() };
                self.machine.target().upload(file, &piece.path, &options).map(|_| ())
            }
            Content::Text(text) if !piece.content.is_secret() => {
                self.machine.write(text, &piece.path, 0o600).map(|_| ())
            }
            // Only the text of a script is quoted by the host, so this is one, whose command does nothing.
            Content::Text(_) => {
                let status = self.run(piece, "exit 0", true, ExecOptions::default())?;
                if status.success() {
                    Ok(())
                } else {
                    Err(Error::command(format!("the file was not written: {}", status.describe())))
                }
            }
        }
    }

    fn run(
        &self,
        piece: &Piece,
        command: &str,
        keep: bool,
        mut options: ExecOptions,
    ) -> Result<fornax_plugin_sdk::machine::ExitStatus> {
        if piece.content.is_secret() {
            options.more.push(("script-language".into(), "powershell".into()));
        }
        let source = match &piece.content {
            Content::Text(text) => ScriptSource::Text(text.clone()),
            Content::File(file) => ScriptSource::File(file),
        };
        let (path, command) = (piece.path.clone(), command.to_owned());
        self.machine.target().run_script(&Script { source, path, mode: 0o700, command, keep }, &options)
    }

    /// Removes what was written. Only what holds secrets, and a task that may still run, make a failure of it.
    fn clean(&self, failed: bool) -> Result<()> {
        if self.leftovers.is_empty() {
            return Ok(());
        }
        let path = self.config.cleanup_path(&uuid());
        let command = self.config.file_command(&path);
        let piece = Piece { path, content: Content::Text(text::cleanup(&self.leftovers)), secret: false };
        let options = ExecOptions { output: OutputMode::Discard, cleanup: failed, ..ExecOptions::default() };
        let problem = match self.run(&piece, &command, false, options) {
            Ok(status) if status.success() => return Ok(()),
            Ok(status) => Error::command(format!("the clean-up script failed: {}", status.describe())),
            Err(error) => error,
        };
        if self.leftovers.matter() {
            return Err(problem.context(format!(
                "Files with secrets may remain on the machine: {}",
                self.leftovers.secret.join(", ")
            )));
        }
        ui::log(ui::Level::Warn, "scripts remain on the machine", &[("error".into(), problem.message)]);
        Ok(())
    }
}
