//! The step on a real machine: commands and waits of [`restart`] by the interface.

use std::time::Duration;

use fornax_plugin_sdk::machine::{CommandLine, ExecOptions, ExitStatus, OutputMode, ReconnectOptions};
use fornax_plugin_sdk::prelude::*;

use crate::config::Config;
use crate::restart::{self, Output, Request, World};

/// Restarts the machine.
pub fn provision(config: &Config, machine: &Machine) -> Result<Outcome> {
    restart::restart(config, &Real(machine))?;
    Ok(Outcome::changed())
}

struct Real<'a>(&'a Machine);

impl World for Real<'_> {
    fn exec(&self, request: &Request) -> Result<ExitStatus> {
        let options = ExecOptions {
            output: match request.output {
                Output::Show => OutputMode::Show,
                Output::Discard => OutputMode::Discard,
                Output::Capture => OutputMode::Capture(64 << 10),
            },
            timeout_ms: Some(millis(request.limit)),
            expect_disconnect: true,
            cleanup: request.cleanup,
            ..ExecOptions::default()
        };
        self.0.target().exec(&CommandLine::Raw(request.command.to_owned()), &options)
    }

    fn reconnect(&self, expect_disconnect: bool, limit: Duration) -> Result<()> {
        let options = ReconnectOptions { expect_disconnect, timeout_ms: millis(limit), probe: None };
        self.0.target().reconnect(&options)
    }

    fn sleep(&self, time: Duration) -> Result<()> {
        fornax_plugin_sdk::sleep(time)
    }

    fn now(&self) -> Duration {
        Duration::from_millis(run::now_ms())
    }

    fn say(&self, text: &str) {
        ui::say(text);
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
