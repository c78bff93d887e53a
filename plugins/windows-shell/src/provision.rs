//! The step itself: writes each script, runs it and removes it.

use std::time::Duration;

use fornax_plugin_scripts::exit::{self, End};
use fornax_plugin_scripts::run::retrying;
use fornax_plugin_scripts::source::Source;
use fornax_plugin_scripts::vars::collect;
use fornax_plugin_sdk::machine::{ExecOptions, Script, ScriptSource};
use fornax_plugin_sdk::prelude::*;
use fornax_plugin_sdk::{render, say, sealed};

use crate::config::{Config, inline};
use crate::env;

/// Runs all scripts of the step.
pub fn provision(config: &Config, machine: &Machine) -> Result<Outcome> {
    let retry = config.retry_timeout().map_err(Error::invalid)?;
    let build = run::get_build_info();
    let all = collect(
        config.environment_vars.as_deref(),
        config.env.as_ref(),
        &build.build_name,
        &build.builder_type,
    );
    let variables = env::write(&all, config.own_format()).map_err(Error::invalid)?;
    for source in config.sources() {
        one(config, machine, retry, &variables, source)?;
    }
    Ok(Outcome::changed())
}

fn one(config: &Config, machine: &Machine, retry: Duration, variables: &str, source: Source) -> Result<()> {
    let handle;
    // A connection lost while the script runs must be told from one lost before it started, which is tried again.
    let mut options = ExecOptions { expect_disconnect: true, ..ExecOptions::default() };
    let (name, text) = match source {
        Source::Inline(lines) => {
            let text = inline(lines);
            if sealed::contains(&text) {
                options.more.push(("script-language".into(), "batch".into()));
            }
            ("inline script", Ok(text))
        }
        Source::File(path) => {
            handle = files::open(path)
                .map_err(|error| error.context(format!("Error opening shell script {path}")))?;
            (path, Err(&handle))
        }
    };
    say(format!("Provisioning with shell script: {name}"));
    let command = render(config.command(), &[("Path", config.path()), ("Vars", variables)])
        .map_err(|error| error.context("Error processing execute_command"))?;
    let status = retrying(retry, || {
        let source = match &text {
            Ok(text) => ScriptSource::Text(text.clone()),
            Err(handle) => ScriptSource::File(handle),
        };
        let (path, command) = (config.path().to_owned(), command.clone());
        machine.target().run_script(&Script { source, path, mode: 0o755, command, keep: false }, &options)
    })?;
    match exit::judge(&status, exit::valid(config.valid_exit_codes.as_deref()))? {
        End::Done => Ok(()),
        End::Disconnected => retrying(retry, || machine.reconnect(retry)),
    }
}
