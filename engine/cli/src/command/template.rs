//! What `build`, `validate` and `inspect` share: reading the template and its variables, and showing findings.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fornax_core::builder::ReadEnv;
use fornax_core::plan::Plan;
use fornax_core::template::{self, PlanOptions, Template};
use fornax_core::{Diagnostic, Diagnostics, Redactor, Severity, SourceFile};

use super::salvage;
use crate::args::TemplateArgs;
use crate::error::CliError;

/// A template larger than this is a mistake.
const MAX_TEMPLATE: u64 = 16 << 20;

/// The template's text and where it lies.
pub struct Source {
    pub file: Arc<SourceFile>,
    /// The folder of the template, absolute.
    pub dir: PathBuf,
    /// Absolute path; none for standard input.
    pub path: Option<PathBuf>,
}

pub fn read(path: &str) -> Result<Source, CliError> {
    let current =
        std::env::current_dir().map_err(|e| CliError::failed(format!("there is no current folder: {e}")))?;
    if path == "-" {
        let mut bytes = Vec::new();
        std::io::stdin()
            .take(MAX_TEMPLATE + 1)
            .read_to_end(&mut bytes)
            .map_err(|e| CliError::failed(format!("can't read the template from standard input: {e}")))?;
        if bytes.len() as u64 > MAX_TEMPLATE {
            return Err(CliError::failed(format!(
                "the template on standard input has more than {MAX_TEMPLATE} bytes"
            )));
        }
        return Ok(Source { file: text("<stdin>", bytes)?, dir: current, path: None });
    }
    if path.ends_with(".pkr.hcl") || path.ends_with(".pkr.json") || Path::new(path).is_dir() {
        return Err(CliError::failed(format!(
            "{path} is an HCL2 template; this version reads JSON templates only. Convert it, or use the JSON form"
        )));
    }
    let full = current.join(path);
    let dir = full.parent().map_or_else(|| current.clone(), Path::to_owned);
    Ok(Source { file: file(Path::new(path))?, dir, path: Some(full) })
}

/// Refuses what is not a JSON template, for the commands that work with those alone.
pub fn json_only(path: &str, command: &str) -> Result<(), CliError> {
    if path.ends_with(".pkr.hcl") || path.ends_with(".pkr.json") || Path::new(path).is_dir() {
        return Err(CliError::failed(format!(
            "{path} is an HCL2 template; {command} works with JSON templates only"
        )));
    }
    Ok(())
}

pub fn file(path: &Path) -> Result<Arc<SourceFile>, CliError> {
    let name = path.display().to_string();
    let size =
        std::fs::metadata(path).map_err(|e| CliError::failed(format!("can't read {name}: {e}")))?.len();
    if size > MAX_TEMPLATE {
        return Err(CliError::failed(format!("{name} has {size} bytes; the limit is {MAX_TEMPLATE}")));
    }
    let bytes = std::fs::read(path).map_err(|e| CliError::failed(format!("can't read {name}: {e}")))?;
    text(&name, bytes)
}

fn text(name: &str, bytes: Vec<u8>) -> Result<Arc<SourceFile>, CliError> {
    String::from_utf8(bytes).map(|text| SourceFile::new(name, text)).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..at].iter().filter(|b| **b == b'\n').count() + 1;
        CliError::failed(format!("{name}:{line}: the file is not UTF-8 text (byte {at}); save it as UTF-8"))
    })
}

/// What the command line adds to the template.
pub fn options(source: &Source, args: &TemplateArgs) -> Result<PlanOptions, CliError> {
    let mut vars = Vec::new();
    for (number, var) in (1..).zip(&args.vars) {
        // What was written may be a secret in a wrong form, so it is not shown.
        let (name, value) = var.split_once('=').ok_or_else(|| {
            CliError::failed(format!(
                "the value of -var number {number} has no \"=\"; write -var 'name=value'"
            ))
        })?;
        vars.push((name.to_owned(), value.to_owned()));
    }
    let var_files = args.var_files.iter().map(|p| file(p)).collect::<Result<_, _>>()?;
    let working_dir = std::env::current_dir().map_err(|e| CliError::failed(e.to_string()))?;
    Ok(PlanOptions {
        vars,
        var_files,
        only: args.only.clone(),
        except: args.except.clone(),
        env: environment(),
        template_dir: source.dir.clone(),
        working_dir,
        start_time: jiff::Timestamp::now(),
    })
}

/// The real environment; the core only sees this function.
pub fn environment() -> ReadEnv {
    Arc::new(|name| std::env::var(name).ok())
}

/// Parses and plans; secrets are known to the redactor before anything is shown.
pub fn load(
    source: &Source,
    args: &TemplateArgs,
    redactor: &Redactor,
) -> Result<(Option<(Template, Plan)>, Diagnostics), CliError> {
    let (template, mut found) = template::parse(&source.file);
    let Some(template) = template else { return Ok((None, found)) };
    let (plan, more) = template::plan(&template, &options(source, args)?);
    for secret in &plan.secrets {
        redactor.register(secret);
    }
    found.extend(more);
    Ok((Some((template, plan)), found))
}

/// Prints the findings of a template, also of one that is so broken that its secrets are not known as such.
pub fn show_of(source: &Source, args: &TemplateArgs, found: &Diagnostics, json: bool, redactor: &Redactor) {
    if found.has_errors() {
        conceal(source, args, redactor);
    }
    show(found, json, redactor);
}

/// Makes known what the texts themselves say is secret, where nothing else says it.
pub fn conceal(source: &Source, args: &TemplateArgs, redactor: &Redactor) {
    let var_files: Vec<_> = args.var_files.iter().filter_map(|path| file(path).ok()).collect();
    salvage::register(source.file.text(), var_files.iter().map(|f| f.text()), &args.vars, redactor);
}

/// Prints findings: JSON objects on standard output, or text on standard error.
pub fn show(found: &Diagnostics, json: bool, redactor: &Redactor) {
    let found = found.clone().sorted();
    for finding in found.iter() {
        if json {
            let mut value = finding.to_json();
            for key in ["summary", "detail", "help", "file"] {
                redactor.redact_json(&mut value[key]);
            }
            println!("{value}");
        } else {
            eprintln!("{}", finding.render_masked(redactor));
        }
    }
    if !json && found.has_errors() {
        let count = |s| found.iter().filter(|d: &&Diagnostic| d.severity == s).count();
        let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
        let plural = |n: usize, word: &str| format!("{n} {word}{}", if n == 1 { "" } else { "s" });
        eprint!("{}", plural(errors, "error"));
        if warnings > 0 {
            eprint!(", {}", plural(warnings, "warning"));
        }
        eprintln!(" in the template; nothing was created");
    }
}
