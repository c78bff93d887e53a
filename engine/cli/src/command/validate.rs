//! `fornax validate`: every check that needs no cloud and no machine.

use fornax_core::Redactor;
use fornax_core::build::prepare_build;
use fornax_core::template::hcl::{Needed, check_required};

use super::template::{HclNeeds, Language, Loaded, load, read, show_of};
use crate::args::ValidateArgs;
use crate::error::{CliError, Exit};
use crate::{logging, target};

pub async fn run(args: ValidateArgs) -> Result<Exit, CliError> {
    let redactor = Redactor::new();
    logging::start(&redactor);
    let source = read(&args.path)?;
    if args.syntax_only {
        let found = match source.language {
            Language::Json => fornax_core::template::parse(&source.files[0]).1,
            Language::Hcl => fornax_core::template::hcl::parse(&source.files).1,
        };
        show_of(&source, &args.template, &found, args.json, &redactor);
        if found.has_errors() {
            return Ok(Exit::Failed);
        }
        if !args.json {
            outln!("Syntax-only check passed. Everything looks okay.");
        }
        return Ok(Exit::Done);
    }
    let needs = HclNeeds {
        require_values: true,
        read_data: args.evaluate_datasources,
        warn_undeclared: !args.no_warn_undeclared_var,
    };
    let data = target::data(Some(&args.plugins))?;
    let Loaded { plan, mut found, required, .. } =
        load(&source, &args.template, &redactor, needs, &data).await?;
    let parts = target::offline(&args.plugins, plan.as_ref()).await?;
    // Whoever asks about some builds asks for what those need, otherwise for all that the template wants.
    let chooses = args.template.only.iter().chain(&args.template.except).any(|name| !name.is_empty());
    let needed = if chooses { Needed::IfUsed } else { Needed::All };
    found.extend(check_required(&required, &target::installed(parts.catalog.as_ref()), needed));
    for build in plan.iter().flat_map(|plan| &plan.builds) {
        let context = parts.prepare_context(build, &redactor, false, false);
        found.extend(prepare_build(build, &parts.factories, parts.catalog.as_ref(), &context).await.1);
    }
    show_of(&source, &args.template, &found, args.json, &redactor);
    if found.has_errors() {
        return Ok(Exit::Failed);
    }
    if !args.json {
        outln!("The configuration is valid.");
    }
    Ok(Exit::Done)
}
