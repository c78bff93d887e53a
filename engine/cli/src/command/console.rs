//! `fornax console`: evaluates expressions with the values of a template; at a terminal with line editing and history,
//! else line by line from standard input, of which the last result is printed, as Packer does.

use std::io::{BufRead, IsTerminal};

use fornax_core::hcl::parse::parse_expression;
use fornax_core::hcl::print::print;
use fornax_core::hcl::{Allow, Scope, evaluate};
use fornax_core::interpolate::{self, BuildFacts};
use fornax_core::template::hcl::Settled;
use fornax_core::{Diagnostic, Diagnostics, Redactor, SourceFile, Text, template};
use indexmap::IndexMap;

use super::template::{
    HclNeeds, Language, Source, conceal, empty, for_people, options, read, settle_hcl, show,
};
use crate::args::ConsoleArgs;
use crate::error::{CliError, Exit};
use crate::{logging, paths, target};

const HELP: &str = "Type an expression to see its value, for instance:
  var.name, local.name, upper(\"text\"), [for x in var.list : length(x)]
In a JSON template: {{ user `name` | upper }}
Commands: variables (all variables and locals), help, exit (or Ctrl-D)";
/// A line that is longer is no expression.
const MAX_LINE: u64 = 4 << 20;
/// Names that the last lines of a session are kept under.
const HISTORY: &str = "console_history";

/// What lines are evaluated with.
enum Session {
    Hcl(Box<Settled>, String),
    Json { variables: IndexMap<String, Text>, dirs: (String, String) },
}

pub async fn run(args: ConsoleArgs) -> Result<Exit, CliError> {
    let redactor = Redactor::new();
    logging::start(&redactor);
    let source = match &args.path {
        Some(path) => Some(read(path)?),
        None if args.template.config_type.as_deref() == Some("hcl2") => Some(empty()?),
        None => None,
    };
    if let Some(source) = &source {
        // Findings show lines of the template.
        conceal(source, &args.template, &redactor);
    }
    let (session, found) = match source {
        Some(source) if source.language == Language::Hcl => hcl(&source, &args).await?,
        source => json(source.as_ref(), &args)?,
    };
    show(&found, args.json, &redactor);
    let Some(session) = session.filter(|_| !found.has_errors()) else { return Ok(Exit::Failed) };
    if let Session::Hcl(settled, _) = &session {
        settled.secrets.iter().for_each(|secret| {
            redactor.register(secret);
        });
    }
    if std::io::stdin().is_terminal() {
        interactive(&session, &redactor)
    } else {
        piped(&session, &redactor, args.json)
    }
}

async fn hcl(source: &Source, args: &ConsoleArgs) -> Result<(Option<Session>, Diagnostics), CliError> {
    let (parsed, mut found) = template::hcl::parse(&source.files);
    let needs = HclNeeds { read_data: false, ..HclNeeds::LOOK };
    let data = target::data(None)?;
    let (settled, more, _) = settle_hcl(&parsed, source, &args.template, needs, &data).await?;
    found.extend(more);
    let listing = template::hcl::list_values(&parsed, &settled);
    Ok((Some(Session::Hcl(Box::new(settled), listing)), found))
}

fn json(source: Option<&Source>, args: &ConsoleArgs) -> Result<(Option<Session>, Diagnostics), CliError> {
    let current = std::env::current_dir().map_err(|e| CliError::failed(e.to_string()))?.display().to_string();
    let Some(source) = source else {
        let session = Session::Json { variables: IndexMap::new(), dirs: (current.clone(), current) };
        return Ok((Some(session), Diagnostics::new()));
    };
    let (parsed, mut found) = template::parse(&source.files[0]);
    let Some(parsed) = parsed else { return Ok((None, found)) };
    let (plan, more) = template::plan(&parsed, &options(source, &args.template)?);
    found.extend(more);
    let dirs = (source.dir.display().to_string(), current);
    Ok((Some(Session::Json { variables: plan.variables, dirs }), found))
}

/// What a line gives: a text to print, or findings.
fn answer(session: &Session, line: &str) -> Result<String, Diagnostics> {
    match (session, line.trim()) {
        (_, "") => Ok(String::new()),
        (_, "help") => Ok(HELP.to_owned()),
        (Session::Hcl(_, listing), "variables") => Ok(listing.trim_end().to_owned()),
        (Session::Json { variables, .. }, "variables") => {
            let lines: Vec<String> =
                variables.iter().map(|(name, value)| format!("{name}: {:?}", value.masked())).collect();
            Ok(lines.join("\n"))
        }
        (Session::Hcl(settled, _), line) => {
            let file = SourceFile::new("<console-input>", line);
            let (expr, found) = parse_expression(&file);
            if found.has_errors() {
                return Err(found);
            }
            let names = settled.console_names();
            let (value, found) = evaluate(&expr, &Scope::new(&names), Allow::ALL, settled.host().as_ref());
            if found.has_errors() { Err(found) } else { Ok(print(&value)) }
        }
        (Session::Json { variables, dirs }, line) => {
            let none = IndexMap::new();
            let scope = interpolate::Scope {
                user: &|name| variables.get(name).cloned(),
                strict_user: false,
                env: None,
                build: BuildFacts::None,
                build_name: None,
                build_type: None,
                template_dir: &dirs.0,
                working_dir: &dirs.1,
                start_time: jiff::Timestamp::now(),
                dot: None,
            };
            let later = interpolate::Scope { dot: Some(&none), ..scope };
            // What is left over is what a component renders again while the build runs.
            let rendered = interpolate::render(line, &scope).and_then(|text| match text.expose() {
                again if again.contains("{{") && !text.is_sensitive() => interpolate::render(&again, &later),
                _ => Ok(text),
            });
            rendered.map(|text| text.masked()).map_err(|problem| {
                let file = SourceFile::new("<console-input>", line);
                let at = problem.at().min(line.len());
                let end = line[at..].find("}}").map_or(line.len(), |end| at + end + 2);
                Diagnostic::error("template/interpolation", format!("this can't be rendered: {problem}"))
                    .at(&fornax_core::Span::new(&file, at..end))
                    .into()
            })
        }
    }
}

fn piped(session: &Session, redactor: &Redactor, json: bool) -> Result<Exit, CliError> {
    let mut exit = Exit::Done;
    let mut last = String::new();
    let failed = |e: std::io::Error| CliError::failed(format!("can't read from standard input: {e}"));
    let mut input = std::io::Read::take(std::io::stdin().lock(), MAX_LINE);
    loop {
        let mut line = String::new();
        if input.read_line(&mut line).map_err(failed)? == 0 {
            break;
        }
        // The limit is for one line.
        input.set_limit(MAX_LINE);
        let line = line.trim_end_matches(['\n', '\r']);
        if line.trim() == "exit" {
            break;
        }
        match answer(session, line) {
            Ok(text) => last = text,
            Err(found) => {
                // Not `show`: no template is wrong.
                match json {
                    true => show(&found, json, redactor),
                    false => for_people(&found).for_each(|f| errln!("{}", f.render_masked(redactor))),
                }
                exit = Exit::Failed;
            }
        }
    }
    if exit == Exit::Done {
        outln!("{}", redactor.redact(&last));
    }
    Ok(exit)
}

fn interactive(session: &Session, redactor: &Redactor) -> Result<Exit, CliError> {
    let failed =
        |e: rustyline::error::ReadlineError| CliError::failed(format!("the terminal can't be used: {e}"));
    let mut editor = rustyline::DefaultEditor::new().map_err(failed)?;
    let history = paths::state_dir().join(HISTORY);
    // Without an old history one begins.
    let _ = editor.load_history(&history);
    outln!("{HELP}");
    loop {
        match editor.readline("> ") {
            Ok(line) => {
                let line = line.trim();
                if line == "exit" {
                    break;
                }
                let _ = editor.add_history_entry(line);
                match answer(session, line) {
                    Ok(text) if text.is_empty() => {}
                    Ok(text) => outln!("{}", redactor.redact(&text)),
                    Err(found) => {
                        for_people(&found).for_each(|finding| out!("{}", finding.render_masked(redactor)));
                    }
                }
            }
            Err(rustyline::error::ReadlineError::Interrupted) => {}
            Err(rustyline::error::ReadlineError::Eof) => break,
            Err(error) => return Err(failed(error)),
        }
    }
    // A history that can't be written is no reason to fail.
    let _ = std::fs::create_dir_all(paths::state_dir());
    let _ = editor.save_history(&history);
    Ok(Exit::Done)
}
