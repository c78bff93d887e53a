//! `fornax schema`: a JSON Schema of whole templates with the options of all types that are loaded, for editors.

use fornax_core::schema::document::{KnownType, hcl_template, json_template};

use super::docs::pages;
use crate::args::SchemaArgs;
use crate::error::{CliError, Exit};

pub async fn run(args: &SchemaArgs) -> Result<Exit, CliError> {
    let types: Vec<KnownType> = pages(&args.plugins)
        .await?
        .into_iter()
        .map(|page| KnownType {
            kind: page.kind,
            name: page.name,
            summary: page.summary,
            schema: page.schema,
        })
        .collect();
    let schema = if args.hcl_json { hcl_template(&types) } else { json_template(&types) };
    outln!("{schema:#}");
    Ok(Exit::Done)
}
