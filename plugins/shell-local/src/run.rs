//! The step itself: writes each inline script to a private file, runs the scripts one behind the other, and judges how
//! they ended. The file goes with its handle, after a failure too.

use fornax_plugin_scripts::{exit, vars};
use fornax_plugin_sdk::machine::OutputMode;
use fornax_plugin_sdk::prelude::*;
use fornax_plugin_sdk::{render, say};

use crate::command;
use crate::config::{Config, Os, Script, host_os};
use crate::imports::{Argument, HostCommand, HostScript, host_exec};

/// Runs all scripts of the step.
pub fn run(config: &Config) -> Result<()> {
    let host = host_os();
    if !config.runs_on(&host) {
        say("Skipping shell-local due to runtime OS");
        return Ok(());
    }
    let os = Os::named(&host);
    for script in config.scripts(os) {
        one(config, os, &script)?;
    }
    Ok(())
}

fn one(config: &Config, os: Os, script: &Script) -> Result<()> {
    let written;
    let (name, path) = match script {
        Script::Text(text) => {
            written = HostScript::create(text, &config.suffix(os))
                .map_err(|error| error.context("The inline script can't be written"))?;
            ("inline script".to_owned(), written.path())
        }
        Script::File(path) => (path.clone(), path.clone()),
    };
    say(format!("Running local shell script: {name}"));
    let build = run::get_build_info();
    let variables = vars::collect(
        config.environment_vars.as_deref(),
        config.env.as_ref(),
        &build.build_name,
        &build.builder_type,
    );
    let plan = command::plan(config, os, &path, &variables).map_err(Error::invalid)?;
    let values = [("Vars", plan.vars.as_str()), ("Script", &plan.script), ("Command", &plan.script)];
    let mut argv = Vec::new();
    for word in &plan.words {
        let text = render(&word.template, &values)
            .map_err(|error| error.context("Error processing execute_command"))?;
        argv.push(if word.line { Argument::ShellLine(text) } else { Argument::Plain(text) });
    }
    let command = HostCommand {
        argv,
        env: plan.env,
        inherit_env: true,
        stdin: None,
        output: OutputMode::Show,
        timeout_ms: None,
    };
    let status = host_exec::run(&command, None)
        .map_err(|error| error.context(format!("Error executing script: {name}")))?;
    exit::judge(&status, exit::valid(config.valid_exit_codes.as_deref())).map(|_| ()).map_err(|mut error| {
        if let (Script::File(path), Some(126)) = (script, status.code) {
            error.causes.push(format!("{path} can't be executed; does its mode allow it (chmod +x)?"));
        }
        error
    })
}
