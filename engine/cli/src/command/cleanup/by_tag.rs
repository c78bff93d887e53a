//! `fornax cleanup --by-tag`: for builds whose journals are lost. What is found by its tags is written to a new journal
//! first, and then undone from it like anything else: if this process dies, too, `cleanup` goes on from there.
//!
//! A tag can't tell whether its build still runs, so three things are asked: the build's journal on this machine, its
//! process on this machine, and, where it ran elsewhere, the person, who has to name the build.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use fornax_azure::{AzureFactory, AzureSweep, AzureUndo, TaggedBuild};
use fornax_core::builder::Remains;
use fornax_core::event::{BuildEvents, Ending};
use fornax_core::journal::{Header, Journal, JournalError, Resource, Status, Undone};
use fornax_core::saga::{UndoSettings, undo_all};
use fornax_core::{Node, Redactor};
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use super::{items, sink};
use crate::args::{CleanupArgs, TemplateArgs};
use crate::command::template::{HclNeeds, Loaded, environment, load, read, show};
use crate::error::CliError;
use crate::journal_file::{self, JournalFile};
use crate::process::{self, Liveness};
use crate::target;

/// What a build was still creating when it died may appear after the first look, and lists lag behind.
const LOOKS: usize = 4;

/// One result a build, in the form of the other results of `cleanup`; `say` hears each of them at once.
pub async fn run(
    template: &str,
    args: &CleanupArgs,
    only_tell: bool,
    state_dir: &Path,
    redactor: &Redactor,
    say: &(dyn Fn(&Value) + Sync),
) -> Result<Vec<Value>, CliError> {
    let factory = target::azure(None);
    let mut results = Vec::new();
    for sweep in sweeps(&factory, template, args, redactor).await? {
        let found = sweep.find().await.map_err(|e| CliError::failed(redactor.redact(&e.message)))?;
        for build in found.iter().filter(|b| args.build.as_ref().is_none_or(|id| *id == b.build_id)) {
            let one = One { build, sweep: &sweep, template, args, state_dir, redactor };
            let result = one.result(only_tell).await;
            say(&result);
            results.push(result);
        }
    }
    match &args.build {
        Some(id) if results.is_empty() => {
            Err(CliError::failed(format!("no resource carries the tag {}={id}", fornax_azure::BUILD_TAG)))
        }
        _ => Ok(results),
    }
}

/// One search for each account that the template's builders use; that of the environment where there is no template.
async fn sweeps(
    factory: &AzureFactory,
    template: &str,
    args: &CleanupArgs,
    redactor: &Redactor,
) -> Result<Vec<AzureSweep>, CliError> {
    let env = |name: &str| environment()(name);
    let sweep = |config: Option<&Node>| {
        factory
            .sweep(config, &env, redactor.clone())
            .map_err(|e| CliError::failed(redactor.redact(&e.to_string())))
    };
    if template.is_empty() {
        return Ok(vec![sweep(None)?]);
    }
    let source = read(template)?;
    let arguments = TemplateArgs {
        vars: args.vars.clone(),
        var_files: args.var_files.clone(),
        ..TemplateArgs::default()
    };
    let needs = HclNeeds::LOOK;
    let data = target::data(None)?;
    let Loaded { plan, found, .. } = load(&source, &arguments, redactor, needs, &data).await?;
    let Some(plan) = plan else {
        show(&found, false, redactor);
        return Err(CliError::failed(format!("{template} can't be read, so its credentials are not known")));
    };
    let mut seen = HashSet::new();
    let mut sweeps = Vec::new();
    for build in plan.builds.iter().filter(|b| b.builder_type == "azure-arm") {
        let sweep = sweep(Some(&build.config.resolve(None, &[]).0))?;
        if seen.insert(Value::Object(sweep.target()).to_string()) {
            sweeps.push(sweep);
        }
    }
    if sweeps.is_empty() {
        return Err(CliError::failed(format!(
            "{template} has no azure-arm builder, so it has no credentials"
        )));
    }
    Ok(sweeps)
}

/// One build that was found.
struct One<'a> {
    build: &'a TaggedBuild,
    sweep: &'a AzureSweep,
    template: &'a str,
    args: &'a CleanupArgs,
    state_dir: &'a Path,
    redactor: &'a Redactor,
}

impl One<'_> {
    async fn result(&self, only_tell: bool) -> Value {
        let build = self.build;
        let result = |note: Option<&str>, removed: &[Value], remains: &[Remains]| {
            json!({ "build_id": build.build_id, "build_name": null, "began": began(&build.build_id), "note": note,
                    "found": items(build.levels.iter().flatten()), "kept": items(&build.products),
                    "removed": removed, "remains": remains })
        };
        if let Some(note) = self.hands_off() {
            return result(Some(&note), &[], &[]);
        }
        if only_tell || build.levels.is_empty() {
            let note = build.levels.is_empty().then_some("nothing is left but what it made for its user");
            return result(note, &[], &[]);
        }
        match self.undo().await {
            Ok((removed, remains)) => result(None, &removed, &remains),
            Err(reason) => {
                let remains = build.levels.iter().flatten().map(|r| Remains {
                    kind: r.kind.clone(),
                    id: r.id.clone(),
                    reason: reason.clone(),
                });
                result(None, &[], &remains.collect::<Vec<_>>())
            }
        }
    }

    /// Why this build is not this command's to undo.
    fn hands_off(&self) -> Option<String> {
        let id = &self.build.build_id;
        let journal = journal_file::list(self.state_dir).ok()?.into_iter().find(|f| f.build_id == *id);
        if let Some(journal) = journal {
            return Some(match JournalFile::resume(&journal.path) {
                Ok(None) => "still running, left alone".into(),
                _ => format!("its journal is here and knows more: fornax cleanup --build {id}"),
            });
        }
        match self.build.process.as_deref().map_or(Liveness::Unknown, process::liveness) {
            Liveness::Runs => Some("still running, left alone".into()),
            Liveness::Gone => None,
            Liveness::Unknown if self.args.build.is_some() => None,
            Liveness::Unknown => Some(format!(
                "it did not run on this machine since the last start, so nobody here knows whether it still runs; if it \
                 doesn't, say so with --build {id}"
            )),
        }
    }

    async fn undo(&self) -> Result<(Vec<Value>, Vec<Remains>), String> {
        let id = &self.build.build_id;
        let events = BuildEvents::new(sink(self.args.json, self.redactor), id);
        let undo = self.sweep.undo(id, Some(events.clone()));
        // What is left of the lost journal's folder; one with something in it is not removed, and then refused below.
        let _ = std::fs::remove_dir(self.state_dir.join("builds").join(id));
        let store = JournalFile::create(self.state_dir, id)
            .map_err(|e| format!("can't write a journal in {}: {e}", self.state_dir.display()))?;
        let store = Arc::new(store);
        let journal = Journal::create(store.clone(), self.header(), events, self.redactor.clone())
            .map_err(|e| e.to_string())?;
        let mut levels = self.build.levels.clone();
        let mut remains = Vec::new();
        for _ in 0..LOOKS {
            write(&journal, &levels).map_err(|e| e.to_string())?;
            remains = undo_all(
                &journal,
                Ending::Failed,
                &undo,
                &UndoSettings::default(),
                &CancellationToken::new(),
            )
            .await;
            levels = again(&undo, &journal).await?;
            if levels.is_empty() {
                break;
            }
        }
        if let Some(late) = levels.into_iter().flatten().next() {
            let reason = "new resources of the build keep appearing; is it really dead?".to_owned();
            remains.push(Remains { kind: late.kind, id: late.id, reason });
        }
        let state = journal.state();
        let gone = |status: &Status| matches!(status, Status::Undone(Undone::Deleted | Undone::Absent));
        let removed = items(state.entries().iter().filter(|e| gone(&e.status)).map(|e| &e.resource));
        if remains.is_empty() && journal.close().is_ok() {
            use fornax_core::journal::JournalStore as _;
            let _ = journal_file::remove(Path::new(&store.location()));
        }
        Ok((removed, remains))
    }

    fn header(&self) -> Header {
        let current = std::env::current_dir().unwrap_or_default();
        let text = |path: &Path| current.join(path).display().to_string();
        let mut invocation = Map::new();
        if !self.template.is_empty() {
            invocation.insert("template".into(), text(Path::new(self.template)).into());
        }
        let files: Vec<String> = self.args.var_files.iter().map(|f| text(f)).collect();
        invocation.insert("var_files".into(), files.into());
        invocation.insert("working_dir".into(), current.display().to_string().into());
        Header {
            build_id: self.build.build_id.clone(),
            builder_type: "azure-arm".into(),
            engine_version: env!("CARGO_PKG_VERSION").into(),
            target: self.sweep.target(),
            invocation,
            ..Header::default()
        }
    }
}

/// Writes what was found as a build would have created it, so that undoing it backwards is the right order.
fn write(journal: &Journal, levels: &[Vec<Resource>]) -> Result<(), JournalError> {
    for level in levels.iter().rev() {
        let tickets: Result<Vec<_>, _> = level.iter().map(|r| journal.begin(r.clone())).collect();
        for ticket in tickets? {
            ticket.done()?;
        }
    }
    Ok(())
}

/// What is there now and was not seen before.
async fn again(undo: &AzureUndo, journal: &Journal) -> Result<Vec<Vec<Resource>>, String> {
    let mut levels = undo.find_by_tag().await.map_err(|e| e.message)?.levels;
    let state = journal.state();
    let seen: HashSet<String> = state.entries().iter().map(|e| e.resource.id.to_lowercase()).collect();
    for level in &mut levels {
        level.retain(|resource| !seen.contains(&resource.id.to_lowercase()));
    }
    levels.retain(|level| !level.is_empty());
    Ok(levels)
}

/// The ids of builds are UUIDs whose order is that of time.
fn began(build_id: &str) -> Option<String> {
    let (seconds, _) = uuid::Uuid::parse_str(build_id).ok()?.get_timestamp()?.to_unix();
    Some(jiff::Timestamp::from_second(i64::try_from(seconds).ok()?).ok()?.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_id_says_when_the_build_began() {
        let now = jiff::Timestamp::now();
        let began: jiff::Timestamp = began(&fornax_core::ids::time_ordered_uuid()).unwrap().parse().unwrap();
        assert!((now.as_second() - began.as_second()).abs() < 60, "{began}");
        for other in ["", "b1", "00000000-0000-4000-8000-000000000000"] {
            assert_eq!(super::began(other), None, "{other}");
        }
    }
}
