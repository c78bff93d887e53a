//! The step itself: writes each script, runs it over one channel, and tidies up, over a lost connection too.

use fornax_plugin_scripts::exit::{self, DISCONNECTED};
use fornax_plugin_scripts::source::Source;
use fornax_plugin_scripts::vars::{self, Format};
use fornax_plugin_sdk::machine::{CommandLine, ExecOptions, ExitStatus, OutputMode, Script, ScriptSource};
use fornax_plugin_sdk::prelude::*;
use fornax_plugin_sdk::{duration, read_all, render, say, sleep, write_file};
use std::time::Duration;

use crate::config::{Config, DISCONNECT_MESSAGE};
use crate::env;
use crate::env_file::{self, quote};
use crate::script;

/// The largest script that is looked through for line ends; a larger one is no text.
const LARGEST_SCRIPT: usize = 64 << 20;

/// Runs all scripts of the step.
pub fn provision(config: &Config, machine: &Machine) -> Result<Outcome> {
    let pause = config.pause().map_err(Error::invalid)?;
    let run = Run::new(config, machine)?;
    let result = run.all();
    let cleaned = run.remove_env_file(result.is_err());
    result?;
    cleaned?;
    if !pause.is_zero() {
        say(format!("Pausing {} after this provisioner...", duration::format(pause)));
        sleep(pause)?;
    }
    Ok(Outcome::changed())
}

struct Run<'a> {
    config: &'a Config,
    machine: &'a Machine,
    retry: Duration,
    path: String,
    vars: String,
    env_file: Option<String>,
}

impl<'a> Run<'a> {
    fn new(config: &'a Config, machine: &'a Machine) -> Result<Self> {
        let build = run::get_build_info();
        let format = Format::parse(config.format()).map_err(Error::invalid)?;
        let (pairs, env) = (config.environment_vars.as_deref(), config.env.as_ref());
        let vars = vars::collect(pairs, env, &build.build_name, &build.builder_type);
        let vars = format.write(&vars, env::escape);
        Ok(Run {
            config,
            machine,
            retry: config.retry_timeout().map_err(Error::invalid)?,
            path: config.path(number()),
            vars,
            env_file: config.env_file().then(|| config.env_file_path(number())),
        })
    }

    fn all(&self) -> Result<()> {
        if let Some(path) = &self.env_file {
            self.retrying(|| self.write_env_file(path)).map_err(|error| {
                error.context(format!("Error uploading the file with the variables to {path}"))
            })?;
        }
        for source in self.config.sources() {
            self.one(source)?;
        }
        Ok(())
    }

    fn one(&self, source: Source) -> Result<()> {
        let handle;
        let (name, text) = match source {
            Source::Inline(lines) => {
                let text = script::inline(lines, self.config.shebang());
                let text = match script::unix(text.as_bytes()) {
                    Some(converted) if self.config.binary != Some(true) => String::from_utf8(converted)?,
                    _ => text,
                };
                ("inline script", Ok(text))
            }
            Source::File(path) => {
                handle = self
                    .open(path)
                    .map_err(|error| error.context(format!("Error opening shell script {path}")))?;
                (path, Err(&handle))
            }
        };
        say(format!("Provisioning with shell script: {name}"));
        let env_file = self.env_file.as_deref().unwrap_or_default();
        let values = [("Path", self.path.as_str()), ("Vars", self.vars.as_str()), ("EnvVarFile", env_file)];
        let command = render(self.config.command(), &values)
            .map_err(|error| error.context("Error processing execute_command"))?;
        // A connection lost while the script runs must be told from one lost before it started, which is tried again.
        let options = ExecOptions { expect_disconnect: true, ..ExecOptions::default() };
        let status = self.retrying(|| {
            let source = match &text {
                Ok(text) => ScriptSource::Text(text.clone()),
                Err(handle) => ScriptSource::File(handle),
            };
            let script = Script {
                source,
                path: self.path.clone(),
                mode: 0o755,
                command: command.clone(),
                keep: self.config.keep(),
            };
            self.machine.target().run_script(&script, &options)
        })?;
        self.judge(&status)
    }

    fn open(&self, path: &str) -> Result<files::HostFile> {
        let file = files::open(path)?;
        if self.config.binary == Some(true) {
            return Ok(file);
        }
        match script::unix(&read_all(&file, LARGEST_SCRIPT)?) {
            Some(converted) => write_file("script.sh", &converted),
            None => Ok(file),
        }
    }

    fn judge(&self, status: &ExitStatus) -> Result<()> {
        let allowed = self.config.valid_exit_codes();
        if status.disconnected {
            if !self.config.may_disconnect() {
                return Err(Error::command(DISCONNECT_MESSAGE));
            }
            return self.after_disconnect();
        }
        match status.code {
            Some(code) if allowed.contains(&i64::from(code)) => Ok(()),
            Some(code) if i64::from(code) == DISCONNECTED && self.config.may_disconnect() => Ok(()),
            Some(code) => Err(Error::command(exit::message(code.into(), allowed))),
            None => Err(Error::command(format!("Script was {}", status.describe()))),
        }
    }

    /// Waits for the machine, so that the next step finds it, and removes the script, which nobody else can now.
    fn after_disconnect(&self) -> Result<()> {
        self.retrying(|| {
            self.machine.reconnect(self.retry)?;
            if self.config.keep() { Ok(()) } else { self.remove(&self.path, false) }
        })
        .map_err(|error| error.context(format!("Error removing temporary script at {}!", self.path)))
    }

    fn write_env_file(&self, path: &str) -> Result<()> {
        match env_file::writer(&self.vars, path) {
            None => self.machine.write(&self.vars, path, 0o600).map(|_| ()),
            Some(writer) => {
                let command = writer
                    .env
                    .into_iter()
                    .fold(Command::shell(writer.command), |command, (name, value)| command.env(name, value));
                command.run(self.machine)
            }
        }
    }

    /// The file may hold secrets, so it goes after a failure and a cancellation too.
    fn remove_env_file(&self, failed: bool) -> Result<()> {
        match &self.env_file {
            Some(path) if failed || !self.config.keep() => self.remove(path, true).map_err(|error| {
                error.context(format!("Error removing the file with the variables at {path}"))
            }),
            _ => Ok(()),
        }
    }

    fn remove(&self, path: &str, cleanup: bool) -> Result<()> {
        let options = ExecOptions { output: OutputMode::Discard, cleanup, ..ExecOptions::default() };
        let command = CommandLine::Raw(format!("rm -f {}", quote(path)));
        let status = self.machine.target().exec(&command, &options)?;
        if status.success() {
            Ok(())
        } else {
            Err(Error::command(format!("rm failed: {}", status.describe())))
        }
    }

    fn retrying<T>(&self, action: impl FnMut() -> Result<T>) -> Result<T> {
        fornax_plugin_scripts::run::retrying(self.retry, action)
    }
}

/// A number from 0 to 9998 for file names.
fn number() -> u32 {
    let bytes = run::random_bytes(4);
    bytes.iter().fold(0, |number: u32, byte| number << 8 | u32::from(*byte)) % 9999
}
