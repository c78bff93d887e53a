//! The command `fornax`: the only place where template, builders, plugins, communicator, cloud and terminal meet.
//!
//! `args` says what can be asked, `command` holds one file a command, `target` chooses between Azure and the simulator
//! in this process, `reporter` turns events into output. Only this crate reads the environment and prints.

// The macros of the standard library panic when nobody reads any more; those of `stdio` don't.
#![warn(clippy::print_stdout, clippy::print_stderr)]

#[macro_use]
mod stdio;

mod args;
mod builder;
mod command;
mod data;
mod error;
mod host;
mod journal_file;
mod logging;
mod page;
mod paths;
mod plugin_http;
mod process;
mod prompt;
mod reporter;
mod simulation;
mod target;
mod whole_file;

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use args::{Cli, Command};
use error::{CliError, Exit};

/// The whole program.
pub fn main() -> ExitCode {
    // A jail machine is this program started once more inside of new namespaces.
    if let Some(code) = fornax_simulator::machine::jail::child_main_if_requested() {
        return code;
    }
    let arguments = args::normalize(std::env::args_os().map(|a| a.to_string_lossy().into_owned()));
    let exit = match Cli::try_parse_from(&arguments) {
        Ok(cli) => run(cli.command).unwrap_or_else(|error| {
            errln!("Error: {}", error.message.trim_end());
            error.exit
        }),
        Err(error) => usage(&arguments, &error),
    };
    let exit = match stdio::failure() {
        Some(why) => {
            errln!("Error: can't write to standard output: {why}");
            if exit == Exit::Done { Exit::Failed } else { exit }
        }
        None => exit,
    };
    ExitCode::from(exit.code())
}

fn run(command: Command) -> Result<Exit, CliError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| CliError::failed(format!("can't start: {e}")))?;
    let exit = runtime.block_on(async {
        match command {
            Command::Build(args) => command::build::run(args).await,
            Command::Validate(args) => command::validate::run(args).await,
            Command::Inspect(args) => command::inspect::run(&args).await,
            Command::Fmt(args) => command::fmt::run(&args),
            Command::Fix(args) => command::fix::run(&args),
            Command::Hcl2Upgrade(args) => command::hcl2_upgrade::run(&args),
            Command::Cleanup(args) => command::cleanup::run(args).await,
            Command::Simulator(args) => command::simulator::run(args).await,
            Command::Plugins(args) => command::plugins::run(&args).await,
            Command::Docs(args) => command::docs::run(&args).await,
            Command::Schema(args) => command::schema::run(&args).await,
            Command::Console(args) => command::console::run(args).await,
            Command::Init(args) => command::init::run(args).await,
            Command::Completions(args) => command::completions::run(&args),
            Command::Version(args) => command::version::run(&args),
        }
    });
    // A blocking read of standard input or a hung library thread must not keep the process alive.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    exit
}

/// What clap has to say, with Packer's exit codes.
fn usage(arguments: &[String], error: &clap::Error) -> Exit {
    match arguments.get(1).map(String::as_str) {
        Some("-v" | "--version" | "--v") => {
            outln!("{}", command::version::line());
            return Exit::Done;
        }
        None => {
            errln!("{}", <Cli as clap::CommandFactory>::command().render_help());
            return Exit::UnknownCommand;
        }
        _ => {}
    }
    let _ = error.print();
    match error.kind() {
        ErrorKind::DisplayHelp => Exit::Done,
        ErrorKind::InvalidSubcommand => Exit::UnknownCommand,
        _ => Exit::Failed,
    }
}
