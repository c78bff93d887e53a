//! `fornax inspect`: what a template consists of.

use fornax_core::{Redactor, template};

use super::template::{read, show};
use crate::args::InspectArgs;
use crate::error::{CliError, Exit};
use crate::reporter::machine_escape;

pub fn run(args: &InspectArgs) -> Result<Exit, CliError> {
    let source = read(&args.path)?;
    let (parsed, found) = template::parse(&source.file);
    show(&found, args.json, &Redactor::new());
    let Some(parsed) = parsed.filter(|_| !found.has_errors()) else { return Ok(Exit::Failed) };
    let inspection = template::inspect(&parsed);
    if args.machine_readable {
        let now = jiff::Timestamp::now().as_second();
        for (kind, data) in inspection.machine_lines() {
            let data: Vec<String> = data.iter().map(|d| machine_escape(d)).collect();
            println!("{now},,{kind},{}", data.join(","));
        }
    } else {
        print!("{}", inspection.text());
    }
    Ok(Exit::Done)
}
