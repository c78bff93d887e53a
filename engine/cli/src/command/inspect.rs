//! `fornax inspect`: what a template consists of.

use fornax_core::{Diagnostic, Diagnostics, Redactor, Severity, template};

use super::template::{HclNeeds, Language, Source, conceal, read, settle_hcl, show, show_of};
use crate::args::InspectArgs;
use crate::error::{CliError, Exit};
use crate::reporter::machine_line;
use crate::target;

pub async fn run(args: &InspectArgs) -> Result<Exit, CliError> {
    let redactor = Redactor::new();
    let source = read(&args.path)?;
    if source.language == Language::Hcl {
        return inspect_hcl(args, &source, &redactor).await;
    }
    let (parsed, found) = template::parse(&source.files[0]);
    // The default of a sensitive variable may stand within another text.
    conceal(&source, &args.template, &redactor);
    show(&found, args.json, &redactor);
    let Some(parsed) = parsed.filter(|_| !found.has_errors()) else { return Ok(Exit::Failed) };
    let inspection = template::inspect(&parsed);
    if args.machine_readable {
        for (kind, data) in inspection.machine_lines() {
            let data: Vec<_> = data.iter().map(|d| redactor.redact(d)).collect();
            outln!("{}", machine_line(kind, &data));
        }
    } else {
        out!("{}", redactor.redact(&inspection.text()));
    }
    Ok(Exit::Done)
}

async fn inspect_hcl(args: &InspectArgs, source: &Source, redactor: &Redactor) -> Result<Exit, CliError> {
    let (parsed, mut found) = template::hcl::parse(&source.files);
    let needs = HclNeeds::LOOK;
    let data = target::data(Some(&args.plugins))?;
    let (settled, more, _) = settle_hcl(&parsed, source, &args.template, needs, &data).await?;
    settled.secrets.iter().for_each(|secret| {
        redactor.register(secret);
    });
    // A template can be looked at where its files and clouds are not: what can't be evaluated is shown as unknown.
    found.extend(more.into_iter().map(Diagnostic::softened).collect());
    let (text, more) = template::hcl::inspect(&parsed, &settled);
    found.extend(more);
    let found: Diagnostics = found.into_iter().filter(|d| d.severity != Severity::Note).collect();
    show_of(source, &args.template, &found, args.json, redactor);
    if found.has_errors() {
        return Ok(Exit::Failed);
    }
    if args.machine_readable {
        outln!("{}", machine_line("ui", &["say", &redactor.redact(text.trim_end())]));
    } else {
        out!("{}", redactor.redact(&text));
    }
    Ok(Exit::Done)
}
