//! `fornax hcl2_upgrade`: a JSON template as HCL2, in a file beside it. The file appears whole or not at all; one that
//! is there already is replaced, as Packer does, and the command says so.

use std::path::{Path, PathBuf};

use fornax_core::{Redactor, template};

use super::template::{conceal, json_only, options, read, show};
use crate::args::Hcl2UpgradeArgs;
use crate::error::{CliError, Exit};
use crate::whole_file;

pub fn run(args: &Hcl2UpgradeArgs) -> Result<Exit, CliError> {
    json_only(&args.path, "hcl2_upgrade")?;
    let source = read(&args.path)?;
    let redactor = Redactor::new();
    // What is said of the template shows its lines.
    conceal(&source, &args.template, &redactor);
    let target = match (&args.output_file, &source.path) {
        (Some(path), _) => path.clone(),
        (None, Some(_)) => PathBuf::from(format!("{}.pkr.hcl", args.path)),
        (None, None) => {
            return Err(CliError::failed(
                "a template on standard input has no name for the result; write -output-file=FILE, or - for standard output",
            ));
        }
    };
    let stdout = target == Path::new("-");
    if let (Some(template), false) = (&source.path, stdout)
        && is_same(template, &target)
    {
        return Err(CliError::failed(format!(
            "{} is the template itself; choose another -output-file",
            target.display()
        )));
    }
    // They change nothing, but a wrong one is told as everywhere.
    options(&source, &args.template)?;
    let (parsed, found) = template::parse(&source.files[0]);
    let Some(parsed) = parsed.filter(|_| !found.has_errors()) else {
        show(&found, args.json, &redactor);
        return Ok(Exit::Failed);
    };
    let upgrade = template::upgrade(&parsed, args.with_annotations);
    let mut all = found;
    all.extend(upgrade.findings);
    if stdout {
        out!("{}", upgrade.text);
        show(&all, false, &redactor);
        return Ok(Exit::Done);
    }
    let replaced = whole_file::write(&target, &upgrade.text)
        .map_err(|e| CliError::failed(format!("can't write {}: {e}", target.display())))?;
    show(&all, args.json, &redactor);
    if !args.json {
        outln!("{} {}", if replaced { "Replaced" } else { "Created" }, target.display());
        if !target.to_string_lossy().ends_with(".pkr.hcl") {
            errln!("Only files whose names end in .pkr.hcl are read as HCL2 templates.");
        }
    }
    Ok(Exit::Done)
}

fn is_same(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}
