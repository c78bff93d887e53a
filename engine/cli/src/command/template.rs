//! What the commands that read a template share: reading the template and its variables, and showing findings.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use fornax_core::builder::ReadEnv;
use fornax_core::plan::Plan;
use fornax_core::template::hcl::{self, HclTemplate, RequiredPlugin};
use fornax_core::template::{self, PlanOptions};
use fornax_core::{Diagnostic, Diagnostics, Redactor, Severity, SourceFile};

use super::salvage;
use crate::args::TemplateArgs;
use crate::error::CliError;
use crate::host::TemplateHost;

/// A template or a variable file larger than this is a mistake; some files, such as `/dev/zero`, never end.
const MAX_TEMPLATE: u64 = 16 << 20;
/// So many findings are shown to people; programs get all.
const MAX_SHOWN: usize = 100;

/// The language of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    Json,
    Hcl,
}

/// The template's text and where it lies.
pub struct Source {
    /// One file, or those of a folder in the order in which they are read.
    pub files: Vec<Arc<SourceFile>>,
    pub language: Language,
    /// The folder of the template, absolute.
    pub dir: PathBuf,
    /// The folder as it was named.
    pub shown_dir: PathBuf,
    /// Absolute path; none for standard input.
    pub path: Option<PathBuf>,
    /// `*.auto.pkrvars.hcl` and `.json` of a folder.
    pub auto_files: Vec<Arc<SourceFile>>,
    var_files: OnceLock<Vec<Arc<SourceFile>>>,
}

impl Source {
    fn new(files: Vec<Arc<SourceFile>>, language: Language, dir: PathBuf, shown_dir: PathBuf) -> Self {
        let (path, auto_files, var_files) = (None, Vec::new(), OnceLock::new());
        Self { files, language, dir, shown_dir, path, auto_files, var_files }
    }

    /// The variable files of the command line. Each is read once: a pipe gives its text once.
    fn var_files(&self, args: &TemplateArgs) -> Result<&[Arc<SourceFile>], CliError> {
        if let Some(files) = self.var_files.get() {
            return Ok(files);
        }
        let files = args.var_files.iter().map(|path| file(path)).collect::<Result<Vec<_>, _>>()?;
        Ok(self.var_files.get_or_init(|| files))
    }
}

pub fn read(path: &str) -> Result<Source, CliError> {
    let current =
        std::env::current_dir().map_err(|e| CliError::failed(format!("there is no current folder: {e}")))?;
    if path == "-" {
        return Ok(Source::new(vec![standard_input()?], Language::Json, current, PathBuf::from(".")));
    }
    let given = Path::new(path);
    let full = current.join(given);
    if given.is_dir() {
        return folder(given, full);
    }
    let language = if path.ends_with(".pkr.hcl") || path.ends_with(".pkr.json") {
        Language::Hcl
    } else {
        Language::Json
    };
    let dir = full.parent().map_or_else(|| current.clone(), Path::to_owned);
    let shown_dir = match given.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    let files = vec![file(given)?];
    Ok(Source { path: Some(full), ..Source::new(files, language, dir, shown_dir) })
}

/// All files of a folder that belong to its template; folders below it don't.
fn folder(given: &Path, full: PathBuf) -> Result<Source, CliError> {
    let shown = given.display();
    let failed = |e: std::io::Error| CliError::failed(format!("can't read the folder {shown}: {e}"));
    let mut names: Vec<String> = Vec::new();
    for entry in std::fs::read_dir(given).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.path().is_file() {
            names.extend(entry.file_name().into_string());
        }
    }
    names.sort();
    let with = |suffix: &'static str| names.iter().filter(move |n| n.ends_with(suffix));
    let open = |name: &String| {
        let path = if given == Path::new(".") { PathBuf::from(name) } else { given.join(name) };
        file(&path)
    };
    let files = with(".pkr.hcl").chain(with(".pkr.json")).map(open).collect::<Result<Vec<_>, _>>()?;
    if files.is_empty() {
        return Err(CliError::failed(format!(
            "there is no template in the folder {shown}: its files end in .pkr.hcl or .pkr.json"
        )));
    }
    let auto = with(".auto.pkrvars.hcl").chain(with(".auto.pkrvars.json"));
    let auto_files = auto.map(open).collect::<Result<_, _>>()?;
    let source = Source::new(files, Language::Hcl, full.clone(), given.to_owned());
    Ok(Source { path: Some(full), auto_files, ..source })
}

/// An HCL2 template with nothing in it, for a console without one.
pub fn empty() -> Result<Source, CliError> {
    let dir = std::env::current_dir().map_err(|e| CliError::failed(e.to_string()))?;
    Ok(Source::new(Vec::new(), Language::Hcl, dir, PathBuf::from(".")))
}

/// The text on standard input.
pub fn standard_input() -> Result<Arc<SourceFile>, CliError> {
    text("<stdin>", limited("standard input", std::io::stdin())?)
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
    let opened = File::open(path).and_then(|file| Ok((file.metadata()?.is_dir(), file)));
    let (is_folder, file) = opened.map_err(|e| CliError::failed(format!("can't read {name}: {e}")))?;
    if is_folder {
        return Err(CliError::failed(format!("{name} is a folder; name a file in it")));
    }
    text(&name, limited(&name, file)?)
}

/// What can be read up to the limit: the size that a file tells is not that of a pipe or a device.
fn limited(name: &str, from: impl Read) -> Result<Vec<u8>, CliError> {
    let mut bytes = Vec::new();
    from.take(MAX_TEMPLATE + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| CliError::failed(format!("can't read {name}: {e}")))?;
    if bytes.len() as u64 > MAX_TEMPLATE {
        return Err(CliError::failed(format!(
            "{name} has more than {} MiB, the limit for templates and variable files; is it the right file?",
            MAX_TEMPLATE >> 20
        )));
    }
    Ok(bytes)
}

fn text(name: &str, bytes: Vec<u8>) -> Result<Arc<SourceFile>, CliError> {
    String::from_utf8(bytes).map(|text| SourceFile::new(name, text)).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let (before, rest) = error.as_bytes().split_at(at);
        // What stands before the first wrong byte is text, so it has a last position as every text has.
        let place = SourceFile::new(name, String::from_utf8_lossy(before)).position(at);
        CliError::failed(format!(
            "{name}:{}:{}: the file is not UTF-8 text: here is the byte {:#04x}; save it as UTF-8",
            place.line,
            place.column,
            rest.first().copied().unwrap_or_default()
        ))
    })
}

fn vars(args: &TemplateArgs) -> Result<Vec<(String, String)>, CliError> {
    let mut vars = Vec::new();
    for (number, var) in (1..).zip(&args.vars) {
        // What was written may be a secret in a wrong form, so it is not shown.
        let (name, value) = var.split_once('=').ok_or_else(|| {
            CliError::failed(format!(
                "the value of -var number {number} has no \"=\"; write -var 'name=value'"
            ))
        })?;
        vars.push((name.trim().to_owned(), value.to_owned()));
    }
    Ok(vars)
}

/// What the command line adds to a JSON template.
pub fn options(source: &Source, args: &TemplateArgs) -> Result<PlanOptions, CliError> {
    let var_files = source.var_files(args)?.to_vec();
    let working_dir = std::env::current_dir().map_err(|e| CliError::failed(e.to_string()))?;
    Ok(PlanOptions {
        vars: vars(args)?,
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

/// What a command wants of an HCL2 template beyond its blocks.
#[derive(Clone, Copy, Debug)]
pub struct HclNeeds {
    pub require_values: bool,
    pub read_data: bool,
    pub warn_undeclared: bool,
}

impl HclNeeds {
    /// For who looks at a template without building it.
    pub const LOOK: Self = Self { require_values: false, read_data: true, warn_undeclared: false };
}

/// The values of an HCL2 template.
pub async fn settle_hcl(
    template: &HclTemplate,
    source: &Source,
    args: &TemplateArgs,
    needs: HclNeeds,
    data: &dyn hcl::DataSources,
) -> Result<(hcl::Settled, Diagnostics, hcl::HclPlanOptions), CliError> {
    let working_dir = std::env::current_dir().map_err(|e| CliError::failed(e.to_string()))?;
    let start_time = jiff::Timestamp::now();
    let host = TemplateHost { base_dir: source.dir.clone(), working_dir: working_dir.clone(), start_time };
    let undeclared = if needs.warn_undeclared { hcl::Undeclared::Warn } else { hcl::Undeclared::Ignore };
    let options = hcl::SettleOptions {
        inputs: hcl::VariableInputs {
            auto_files: source.auto_files.clone(),
            files: source.var_files(args)?.to_vec(),
            vars: vars(args)?,
            undeclared,
        },
        host: Arc::new(host),
        template_dir: source.shown_dir.clone(),
        require_values: needs.require_values,
        read_data: needs.read_data,
    };
    let (settled, found) = hcl::settle(template, &options, data).await;
    let plan_options = hcl::HclPlanOptions {
        only: args.only.clone(),
        except: args.except.clone(),
        template_dir: source.dir.clone(),
        working_dir,
        start_time,
    };
    Ok((settled, found, plan_options))
}

/// A template that was read and planned.
pub struct Loaded {
    /// None where it has mistakes that leave nothing to plan.
    pub plan: Option<Plan>,
    pub found: Diagnostics,
    /// Names of sensitive variables.
    pub sensitive: Vec<String>,
    /// Plugins that the template says it needs.
    pub required: Vec<RequiredPlugin>,
}

/// Parses and plans; secrets are known to the redactor before anything is shown.
pub async fn load(
    source: &Source,
    args: &TemplateArgs,
    redactor: &Redactor,
    needs: HclNeeds,
    data: &dyn hcl::DataSources,
) -> Result<Loaded, CliError> {
    if source.language == Language::Json {
        let (template, mut found) = template::parse(&source.files[0]);
        let Some(template) = template else {
            return Ok(Loaded { plan: None, found, sensitive: Vec::new(), required: Vec::new() });
        };
        let (plan, more) = template::plan(&template, &options(source, args)?);
        register(&plan.secrets, redactor);
        found.extend(more);
        let sensitive = template.sensitive.iter().map(|(name, _)| name.clone()).collect();
        return Ok(Loaded { plan: Some(plan), found, sensitive, required: Vec::new() });
    }
    let (template, mut found) = hcl::parse(&source.files);
    let syntax_holds = !found.has_errors();
    let (settled, more, options) = settle_hcl(&template, source, args, needs, data).await?;
    register(&settled.secrets, redactor);
    found.extend(more);
    let sensitive = template.variables.iter().filter(|v| v.sensitive).map(|v| v.name.clone()).collect();
    let required = hcl::required_plugins(&template).to_vec();
    // What depends on a broken variable or local is not known, and the rest can be checked all the same. Where the
    // syntax is broken, whole arguments are missing: what that seems to break would be noise.
    let mut plan = None;
    if syntax_holds {
        let (made, more) = hcl::plan(&template, &settled, &options);
        register(&made.secrets, redactor);
        found.extend(more);
        plan = Some(made);
    }
    Ok(Loaded { plan, found, sensitive, required })
}

fn register(secrets: &[fornax_core::Secret], redactor: &Redactor) {
    secrets.iter().for_each(|secret| {
        redactor.register(secret);
    });
}

/// Findings without those that only repeat others.
pub fn for_people(found: &Diagnostics) -> impl Iterator<Item = &Diagnostic> {
    found.iter().filter(|finding| !finding.is_echo)
}

/// Prints findings as text, the first ones where there are many.
pub fn show_people(found: &Diagnostics, redactor: &Redactor) {
    // Nobody is left to be told that standard error is closed.
    let mut out = std::io::stderr().lock();
    let mut findings = for_people(found);
    for finding in findings.by_ref().take(MAX_SHOWN) {
        let _ = writeln!(out, "{}", finding.render_masked(redactor));
    }
    match findings.count() {
        0 => {}
        more => {
            let _ = writeln!(out, "... and {more} more findings; mend these first");
        }
    }
}

/// Prints the findings of a template, also of one that is so broken that its secrets are not known as such.
pub fn show_of(source: &Source, args: &TemplateArgs, found: &Diagnostics, json: bool, redactor: &Redactor) {
    if !found.is_empty() {
        conceal(source, args, redactor);
    }
    show(found, json, redactor);
}

/// Makes known what the texts themselves say is secret, where nothing else says it.
pub fn conceal(source: &Source, args: &TemplateArgs, redactor: &Redactor) {
    // One that can't be read is told where it is needed.
    let var_files = source.var_files(args).unwrap_or_default();
    let var_texts = var_files.iter().chain(&source.auto_files).map(|f| f.text());
    match (source.language, source.files.as_slice()) {
        (Language::Json, [template]) => salvage::register(template.text(), var_texts, &args.vars, redactor),
        (_, files) => {
            salvage::register_hcl(files.iter().map(|f| f.text()), var_texts, &args.vars, redactor);
        }
    }
}

/// Prints findings: JSON objects on standard output, or text on standard error.
pub fn show(found: &Diagnostics, json: bool, redactor: &Redactor) {
    let found = found.clone().sorted();
    if json {
        for finding in found.iter() {
            let mut value = finding.to_json();
            for key in ["summary", "detail", "help", "file"] {
                redactor.redact_json(&mut value[key]);
            }
            // Only the texts: a line's number is no secret, whatever its digits are.
            for place in value["related"].as_array_mut().into_iter().flatten() {
                redactor.redact_json(&mut place["file"]);
                redactor.redact_json(&mut place["message"]);
            }
            outln!("{value}");
        }
    } else {
        show_people(&found, redactor);
    }
    if !json && found.has_errors() {
        let count = |s| found.iter().filter(|d: &&Diagnostic| d.severity == s && !d.is_echo).count();
        let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
        let plural = |n: usize, word: &str| format!("{n} {word}{}", if n == 1 { "" } else { "s" });
        err!("{}", plural(errors, "error"));
        if warnings > 0 {
            err!(", {}", plural(warnings, "warning"));
        }
        errln!(" in the template; nothing was created");
    }
}
