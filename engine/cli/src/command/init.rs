//! `fornax init`: are the plugins there that a template requires? Nothing is fetched; what is missing is named with
//! the way to get it.

use fornax_core::Redactor;
use fornax_core::plan::Plan;
use fornax_core::template::hcl::{Needed, check_required, parse, required_plugins};

use super::template::{Language, read, show_of};
use crate::args::InitArgs;
use crate::error::{CliError, Exit};
use crate::target;

pub async fn run(args: InitArgs) -> Result<Exit, CliError> {
    let source = read(&args.path)?;
    if source.language == Language::Json {
        return Err(CliError::failed(format!(
            "{} is a JSON template, and only HCL2 templates say which plugins they require; convert it with fornax hcl2_upgrade, or just build it",
            args.path
        )));
    }
    let (template, mut found) = parse(&source.files);
    let catalog = target::plugins(&args.plugins, Some(&Plan::default())).await?;
    let required = required_plugins(&template);
    found.extend(check_required(required, &target::installed(catalog.as_ref()), Needed::All));
    show_of(&source, &args.template, &found, args.json, &Redactor::new());
    if found.has_errors() {
        return Ok(Exit::Failed);
    }
    if !args.json {
        match required.len() {
            0 => outln!("The template requires no plugins."),
            n => outln!("{n} required plugin{}: all there.", if n == 1 { "" } else { "s" }),
        }
    }
    Ok(Exit::Done)
}
