//! `fornax cleanup`: removes what builds left behind whose process died or was told not to wait.

use std::path::Path;
use std::sync::Arc;

use fornax_core::builder::Remains;
use fornax_core::event::{BuildEvents, Ending, Event, EventSink};
use fornax_core::journal::{Header, Journal, JournalState, ReplayError, Resource, undo_plan};
use fornax_core::plan::BuildPlan;
use fornax_core::saga::{UndoSettings, undo_all};
use fornax_core::secret::RedactingSink;
use fornax_core::{Node, Redactor};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::template::{HclNeeds, environment, load, read};
use crate::args::{CleanupArgs, TemplateArgs};
use crate::error::{CliError, Exit};
use crate::journal_file::{self, Found, JournalFile};
use crate::reporter::{LineOptions, LineReporter, Out};
use crate::{logging, paths, target};

mod by_tag;

/// Says nothing: the result is printed as a whole.
struct Quiet;

impl EventSink for Quiet {
    fn emit(&self, _event: Event) {}
}

pub async fn run(args: CleanupArgs) -> Result<Exit, CliError> {
    let redactor = Redactor::new();
    logging::start(&redactor);
    let state_dir = paths::state_dir();
    // Without a choice it only tells, so that nobody removes something by looking.
    let only_tell = args.dry_run || !(args.all || args.build.is_some());
    // Each build is told when it is done: the next one may take its time.
    let say = |result: &Value| {
        if !args.json {
            tell(result, &redactor);
        }
    };
    if let Some(template) = &args.by_tag {
        let results = by_tag::run(template, &args, only_tell, &state_dir, &redactor, &say).await?;
        let all =
            if template.is_empty() { "--by-tag --all".into() } else { format!("--by-tag {template} --all") };
        let nothing = "Nothing to clean up: no resource carries the tags of a build.";
        return report(&results, &args, only_tell, nothing, &all, &redactor);
    }
    let found = journal_file::list(&state_dir)
        .map_err(|e| CliError::failed(format!("can't read {}: {e}", state_dir.display())))?;
    let chosen: Vec<&Found> = match &args.build {
        Some(id) => {
            let one: Vec<&Found> = found.iter().filter(|f| f.build_id == *id).collect();
            if one.is_empty() {
                return Err(CliError::failed(format!(
                    "there is no journal of a build {id} in {}",
                    state_dir.display()
                )));
            }
            one
        }
        None => found.iter().collect(),
    };
    let mut results = Vec::new();
    for journal in chosen {
        let result = one(journal, &args, only_tell, &redactor).await;
        say(&result);
        results.push(result);
    }
    let nothing = format!(
        "Nothing to clean up: {} has no journal of a build that did not end cleanly.",
        state_dir.display()
    );
    report(&results, &args, only_tell, &nothing, "--all", &redactor)
}

/// The end of the output: a summary, or everything as JSON. `all` are the arguments that would remove everything.
fn report(
    results: &[Value],
    args: &CleanupArgs,
    only_tell: bool,
    nothing: &str,
    all: &str,
    redactor: &Redactor,
) -> Result<Exit, CliError> {
    let remains = |result: &Value| result["remains"].as_array().is_some_and(|r| !r.is_empty());
    if args.json {
        let text = serde_json::to_string_pretty(&json!({ "builds": results }))
            .map_err(|e| CliError::failed(e.to_string()))?;
        outln!("{}", redactor.redact(&text));
    } else if results.is_empty() {
        outln!("{nothing}");
    } else if only_tell && !args.dry_run {
        outln!("Nothing was removed. Remove all of it with: fornax cleanup {all}");
    }
    Ok(if !only_tell && results.iter().any(remains) { Exit::Remains } else { Exit::Done })
}

/// Resources as results show them.
fn items<'a>(resources: impl IntoIterator<Item = &'a Resource>) -> Vec<Value> {
    resources.into_iter().map(|r| json!({ "kind": r.kind, "id": r.id })).collect()
}

/// Where the events of undoing go.
fn sink(json: bool, redactor: &Redactor) -> Arc<dyn EventSink> {
    if json {
        return Arc::new(Quiet);
    }
    let lines = LineReporter::new(Out::new(std::io::stdout()), LineOptions::default());
    Arc::new(RedactingSink::new(redactor.clone(), Arc::new(lines)))
}

fn tell(result: &Value, redactor: &Redactor) {
    let began = result["began"].as_str().map(|time| format!("begun {time}"));
    let name = result["build_name"].as_str().map(str::to_owned).or(began);
    let mut text = format!(
        "Build {} ({})",
        result["build_id"].as_str().unwrap_or_default(),
        name.as_deref().unwrap_or("?")
    );
    if let Some(note) = result["note"].as_str() {
        text.push_str(&format!(": {note}"));
    }
    for (key, label) in [
        ("found", "found"),
        ("removed", "removed"),
        ("kept", "left alone, perhaps a good image:"),
        ("remains", "REMAINS"),
    ] {
        for item in result[key].as_array().into_iter().flatten() {
            let reason = item["reason"].as_str().map(|r| format!(": {r}")).unwrap_or_default();
            text.push_str(&format!(
                "\n  {label} {} {}{reason}",
                item["kind"].as_str().unwrap_or_default(),
                item["id"].as_str().unwrap_or_default()
            ));
        }
    }
    outln!("{}", redactor.redact(&text));
}

async fn one(found: &Found, args: &CleanupArgs, only_tell: bool, redactor: &Redactor) -> Value {
    let failed = |reason: String| {
        let remains =
            json!([{ "kind": "journal", "id": found.path.display().to_string(), "reason": reason }]);
        json!({ "build_id": found.build_id, "build_name": null, "found": [], "removed": [], "remains": remains })
    };
    // Locked before it is read: until then the build may go on.
    let store = match JournalFile::resume(&found.path) {
        Ok(store) => store,
        Err(error) => return failed(format!("can't be opened: {error}")),
    };
    let text = match journal_file::read(&found.path) {
        Ok(text) => text,
        Err(error) => return failed(format!("can't be read: {error}")),
    };
    let state = match JournalState::replay(&text) {
        Ok((state, _)) => state,
        // Died before the header was on disk, so before anything was created.
        Err(ReplayError::Empty) => JournalState::default(),
        Err(error) => return failed(error.to_string()),
    };
    let plan = undo_plan(&state, Ending::Failed);
    let open = items(plan.iter().flatten().map(|i| &i.resource));
    let name = state.header().map(|h| h.build_name.clone());
    let result = |note: Option<&str>, removed: &[Value], remains: &[Remains]| json!({ "build_id": found.build_id, "build_name": name, "note": note, "found": open, "removed": removed, "remains": remains });
    let Some(store) = store else { return result(Some("still running, left alone"), &[], &[]) };
    if only_tell {
        return result(None, &[], &[]);
    }
    let simulated = state.header().is_some_and(|h| h.simulated);
    let Some(header) = state.header().cloned().filter(|_| !open.is_empty() && !simulated) else {
        // A simulated cloud ended with the process that held it.
        let note =
            if simulated { "simulated: nothing outlives its process" } else { "nothing had been created" };
        return match journal_file::remove(&found.path) {
            Ok(()) => result(Some(note), &[], &[]),
            Err(error) => failed(format!("can't be removed: {error}")),
        };
    };
    match undo(&header, state, store, args, redactor).await {
        Ok((removed, remains)) => {
            if remains.is_empty() {
                let _ = journal_file::remove(&found.path);
            }
            result(None, &removed, &remains)
        }
        Err(reason) => failed(reason),
    }
}

async fn undo(
    header: &Header,
    state: JournalState,
    store: JournalFile,
    args: &CleanupArgs,
    redactor: &Redactor,
) -> Result<(Vec<Value>, Vec<Remains>), String> {
    let events = BuildEvents::new(sink(args.json, redactor), &header.build_name);
    let config = config_of(header, args, redactor).await;
    let factory = target::azure(None);
    let undo = factory
        .undo(header, config.as_ref(), &|name| environment()(name), redactor.clone(), Some(events.clone()))
        .map_err(|e| e.to_string())?;
    let journal = Journal::resume(Arc::new(store), state, events, redactor.clone());
    let before: Vec<(u64, Value)> = undo_plan(&journal.state(), Ending::Failed)
        .iter()
        .flatten()
        .map(|i| (i.entry, json!({ "kind": i.resource.kind, "id": i.resource.id })))
        .collect();
    let remains =
        undo_all(&journal, Ending::Failed, &undo, &UndoSettings::default(), &CancellationToken::new()).await;
    if remains.is_empty() {
        let _ = journal.close();
    }
    let removed = before
        .into_iter()
        .filter(|(_, item)| !remains.iter().any(|r| item["id"] == r.id.as_str()))
        .map(|(_, item)| item)
        .collect();
    Ok((removed, remains))
}

/// The builder's configuration, read again from the template that the build was started with. None where it can't be:
/// the environment may have the credentials all the same.
async fn config_of(header: &Header, args: &CleanupArgs, redactor: &Redactor) -> Option<Node> {
    let texts = |key: &str| -> Vec<String> {
        header
            .invocation
            .get(key)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|v| v.as_str().map(str::to_owned))
            .collect()
    };
    let template = header.invocation.get("template")?.as_str()?;
    let mut arguments = TemplateArgs { vars: texts("vars"), ..TemplateArgs::default() };
    arguments.vars.extend(args.vars.iter().cloned());
    arguments.var_files = texts("var_files")
        .iter()
        .map(|f| Path::new(f).to_owned())
        .chain(args.var_files.iter().cloned())
        .collect();
    let source = read(template).ok()?;
    let needs = HclNeeds::LOOK;
    let data = target::data(None).ok()?;
    let plan = load(&source, &arguments, redactor, needs, &data).await.ok()?.plan?;
    let build: &BuildPlan = plan.builds.iter().find(|b| b.name == header.build_name)?;
    Some(build.config.resolve(None, &[]).0)
}
