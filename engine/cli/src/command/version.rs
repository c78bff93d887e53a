//! `fornax version`: the version of the engine, and of the templates that it reads.

use fornax_core::interpolate::PACKER_VERSION;

use crate::args::VersionArgs;
use crate::error::{CliError, Exit};
use crate::reporter::machine_line;

/// One line for people.
pub fn line() -> String {
    format!("Fornax v{}", env!("CARGO_PKG_VERSION"))
}

pub fn run(args: &VersionArgs) -> Result<Exit, CliError> {
    if args.machine_readable {
        // Packer misspells the second one, and scripts look for what it writes.
        for (kind, value) in
            [("version", env!("CARGO_PKG_VERSION")), ("version-prelease", ""), ("version-commit", "")]
        {
            outln!("{}", machine_line(kind, &[value]));
        }
    } else {
        outln!("{}\nReads the templates of Packer {PACKER_VERSION}.", line());
    }
    Ok(Exit::Done)
}
