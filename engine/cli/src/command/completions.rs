//! `fornax completions SHELL`: a script that completes commands and flags.

use clap::CommandFactory as _;

use crate::args::{Cli, CompletionsArgs};
use crate::error::{CliError, Exit};

pub fn run(args: &CompletionsArgs) -> Result<Exit, CliError> {
    clap_complete::generate(args.shell, &mut Cli::command(), "fornax", &mut std::io::stdout());
    Ok(Exit::Done)
}
