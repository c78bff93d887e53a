//! The order of commands and waits: restart, find out whether the machine goes down, wait for the connection, check
//! that it can be used. Every wait ends with the time limit of the step.

use std::time::Duration;

use fornax_plugin_sdk::machine::ExitStatus;
use fornax_plugin_sdk::{Error, ErrorCode, Result};

use crate::config::Config;

/// Asks for a restart in a minute: Windows refuses it while a restart is under way.
pub const TRY: &str = "shutdown /r /f /t 60 /c \"packer restart test\"";
/// Takes that back.
pub const ABORT: &str = "shutdown /a";

/// A shutdown is under way, or scheduled.
const UNDER_WAY: [i32; 3] = [1115, 1190, 1717];
/// There was no shutdown to take back.
const NOTHING_TO_ABORT: i32 = 1116;
/// Between two looks.
const PAUSE: Duration = Duration::from_secs(5);
/// For one run of a check.
const CHECK: Duration = Duration::from_secs(60);
/// For taking the trial back, whatever is left of the limit.
const ABORT_LIMIT: Duration = Duration::from_secs(30);

/// Where the output of a command goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    Show,
    Discard,
    Capture,
}

/// A command for the machine.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    pub command: &'a str,
    pub output: Output,
    pub limit: Duration,
    /// Allowed during cancellation.
    pub cleanup: bool,
}

/// The machine, the clock, and the person who watches.
pub trait World {
    /// Runs a command. Losing the connection meanwhile is a status, not being able to start it an error.
    fn exec(&self, request: &Request) -> Result<ExitStatus>;
    /// Waits until a connection stands.
    fn reconnect(&self, expect_disconnect: bool, limit: Duration) -> Result<()>;
    fn sleep(&self, time: Duration) -> Result<()>;
    /// Since some moment.
    fn now(&self) -> Duration;
    fn say(&self, text: &str);
}

/// Restarts the machine.
pub fn restart(config: &Config, world: &dyn World) -> Result<()> {
    let limit = config.timeout().map_err(Error::invalid)?;
    let mut wait = Wait { world, start: world.now(), limit, last: None };
    world.say("Restarting Machine");
    let down = wait.restart(config.command())?;
    world.say("Waiting for machine to restart...");
    match down {
        Down::Gone => wait.reconnect(false)?,
        Down::Going => wait.reconnect(true)?,
        Down::No => {}
    }
    wait.check(config)?;
    world.say("Machine successfully restarted, moving on");
    Ok(())
}

/// What is known of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Down {
    /// The connection is lost.
    Gone,
    /// It goes down; the connection still stands.
    Going,
    /// No restart is under way: it is over, or never was.
    No,
}

struct Wait<'a> {
    world: &'a dyn World,
    start: Duration,
    limit: Duration,
    last: Option<String>,
}

impl Wait<'_> {
    /// What is left of the limit; an error when nothing is.
    fn left(&self) -> Result<Duration> {
        let left = self.limit.saturating_sub(self.world.now().saturating_sub(self.start));
        if left.is_zero() { Err(self.timeout()) } else { Ok(left) }
    }

    fn timeout(&self) -> Error {
        let mut error = Error::new(ErrorCode::Timeout, "Timeout waiting for machine to restart");
        error.causes.extend(self.last.clone());
        error
    }

    fn pause(&self) -> Result<()> {
        self.world.sleep(PAUSE.min(self.left()?))
    }

    /// Runs a command; none when the connection does not allow it or it takes too long.
    fn run(&mut self, command: &str, output: Output, limit: Duration) -> Result<Option<ExitStatus>> {
        let limit = limit.min(self.left()?);
        match self.world.exec(&Request { command, output, limit, cleanup: false }) {
            Ok(status) => Ok(Some(status)),
            Err(error)
                if error.retryable || error.is(ErrorCode::ConnectionLost) || error.is(ErrorCode::Timeout) =>
            {
                self.last = Some(error.message);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn restart(&mut self, command: &str) -> Result<Down> {
        let status = loop {
            match self.run(command, Output::Show, self.limit)? {
                Some(status) => break status,
                None => self.pause()?,
            }
        };
        match status.code {
            _ if status.disconnected => return Ok(Down::Gone),
            Some(0 | 1115 | 1190) => {}
            Some(code) => {
                return Err(Error::command(format!(
                    "Restart script exited with non-zero exit status: {code}"
                )));
            }
            None => return Err(Error::command(format!("Restart script was {}", status.describe()))),
        }
        loop {
            let Some(status) = self.run(TRY, Output::Discard, self.limit)? else { return Ok(Down::Gone) };
            match status.code {
                _ if status.disconnected => return Ok(Down::Gone),
                Some(0) => {
                    self.abort()?;
                    return Ok(Down::No);
                }
                // This is how a machine answers that ends its sessions right now.
                Some(1) => return Ok(Down::Going),
                Some(code) if UNDER_WAY.contains(&code) => {
                    self.last = Some(format!("a shutdown is under way ({code})"));
                }
                _ => self.last = Some(format!("{TRY} ended with {}", status.describe())),
            }
            self.pause()?;
        }
    }

    /// Takes the trial back: the machine would restart in the middle of the next step.
    fn abort(&self) -> Result<()> {
        let request = Request { command: ABORT, output: Output::Discard, limit: ABORT_LIMIT, cleanup: true };
        let status = self.world.exec(&request)?;
        match status.code {
            Some(0 | NOTHING_TO_ABORT) => Ok(()),
            _ => Err(Error::command(format!(
                "a restart that was only asked for to see whether one is under way can't be taken back: {}",
                status.describe()
            ))),
        }
    }

    fn reconnect(&mut self, expect_disconnect: bool) -> Result<()> {
        match self.world.reconnect(expect_disconnect, self.left()?) {
            Err(error) if error.is(ErrorCode::Timeout) => {
                self.last = Some(error.message);
                Err(self.timeout())
            }
            result => result,
        }
    }

    fn check(&mut self, config: &Config) -> Result<()> {
        let registry = config.registry_command();
        loop {
            match self.run(config.check_command(), Output::Show, CHECK)? {
                Some(status) if status.success() => match self.pending(config, registry.as_deref())? {
                    None => return Ok(()),
                    Some(pending) if self.last.as_ref() == Some(&pending) => {}
                    Some(pending) => {
                        self.world.say(&format!("Still waiting: {pending}"));
                        self.last = Some(pending);
                    }
                },
                Some(status) if status.disconnected => self.reconnect(false)?,
                Some(status) => self.last = Some(format!("the check ended with {}", status.describe())),
                None => self.reconnect(false)?,
            }
            self.pause()?;
        }
    }

    /// Why a restart is pending, if one is.
    fn pending(&mut self, config: &Config, command: Option<&str>) -> Result<Option<String>> {
        let Some(command) = command else { return Ok(None) };
        let Some(status) = self.run(command, Output::Capture, CHECK)? else {
            return Ok(Some("the registry can't be asked".into()));
        };
        if !status.success() {
            return Ok(Some(format!("asking the registry ended with {}", status.describe())));
        }
        let answer = String::from_utf8_lossy(&status.stdout);
        let mut answers = answer.lines().map(str::trim);
        let key = config.keys().into_iter().find(|_| answers.next() == Some("True"));
        Ok(key.map(|key| format!("a restart is pending, the registry has {key}")))
    }
}

#[cfg(test)]
#[path = "restart_tests.rs"]
mod tests;
