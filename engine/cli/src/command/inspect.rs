//! `fornax inspect`: what a template consists of.

use fornax_core::{Redactor, template};

use super::template::{conceal, read, show_of};
use crate::args::InspectArgs;
use crate::error::{CliError, Exit};
use crate::reporter::machine_escape;

pub fn run(args: &InspectArgs) -> Result<Exit, CliError> {
    let source = read(&args.path)?;
    let (parsed, found) = template::parse(&source.file);
    let redactor = Redactor::new();
    // The default of a sensitive variable may stand within another text.
    conceal(&source, &args.template, &redactor);
    show_of(&source, &args.template, &found, args.json, &redactor);
    let Some(parsed) = parsed.filter(|_| !found.has_errors()) else { return Ok(Exit::Failed) };
    let inspection = template::inspect(&parsed);
    if args.machine_readable {
        let now = jiff::Timestamp::now().as_second();
        for (kind, data) in inspection.machine_lines() {
            let data: Vec<String> = data.iter().map(|d| machine_escape(&redactor.redact(d))).collect();
            println!("{now},,{kind},{}", data.join(","));
        }
    } else {
        print!("{}", redactor.redact(&inspection.text()));
    }
    Ok(Exit::Done)
}
