//! `fornax fix`: a JSON template with today's keys, on standard output.

use fornax_core::template::fix;
use fornax_core::{Redactor, SourceFile};

use super::template::{conceal, options, read, show};
use crate::args::FixArgs;
use crate::error::{CliError, Exit};

pub fn run(args: &FixArgs) -> Result<Exit, CliError> {
    super::template::json_only(&args.path, "fix")?;
    let redactor = Redactor::new();
    let source = read(&args.path)?;
    // What is said of the template shows its lines.
    conceal(&source, &args.template, &redactor);
    // They change nothing, but a wrong one is told as everywhere.
    options(&source, &args.template)?;
    let (fixed, found) = fix::fix(&source.files[0]);
    show(&found, args.json, &redactor);
    let Some(fixed) = fixed else { return Ok(Exit::Failed) };
    outln!("{}", fixed.text);
    for fixer in &fixed.applied {
        errln!("fixed: {} ({})", fixer.summary, fixer.name);
    }
    if !args.validate {
        return Ok(Exit::Done);
    }
    let file = SourceFile::new(format!("{} (fixed)", source.files[0].name()), fixed.text);
    let found = fix::validate(&file);
    show(&found, args.json, &redactor);
    Ok(if found.has_errors() { Exit::Failed } else { Exit::Done })
}

/// The list of fixers for the help of the command.
pub fn help() -> String {
    let list: String = fix::fixers().map(|fixer| format!("  {:27}{}\n", fixer.name, fixer.summary)).collect();
    format!("Fixes, in the order in which they run:\n{list}")
}
