//! `fornax version`: the version of the engine, and of the templates that it reads.

use fornax_core::template::hcl::COMPATIBLE_VERSION;

use crate::args::VersionArgs;
use crate::error::{CliError, Exit};

/// One line for people.
pub fn line() -> String {
    format!("Fornax v{}", env!("CARGO_PKG_VERSION"))
}

pub fn run(args: &VersionArgs) -> Result<Exit, CliError> {
    if args.machine_readable {
        let now = jiff::Timestamp::now().as_second();
        println!("{now},,version,{}", env!("CARGO_PKG_VERSION"));
        // Packer misspells it, and scripts look for what it writes.
        println!("{now},,version-prelease,");
        println!("{now},,version-commit,");
    } else {
        println!("{}\nReads the templates of Packer {COMPATIBLE_VERSION}.", line());
    }
    Ok(Exit::Done)
}
