//! Runs prepared builds, each from its journal's header to its report, several at once.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::call::Calls;
use super::post_process::post_process;
use super::provision::Provisioning;
use super::{PreparedBuild, RunSettings};
use crate::builder::{BuildData, BuildError, BuildOutcome, Remains, RunContext};
use crate::event::{BuildEvents, Ending, Event, EventSink};
use crate::journal::{Header, Journal, JournalError};
use crate::plugin::Artifact;
use crate::report::{BuildReport, Inputs, PluginInput, ResourceReport, RunReport, StepReport};
use crate::value::Text;

/// Runs all builds, at most `settings.parallel` at once, started in the order given (which is the template's). One that
/// fails does not stop the others; those that have not started when the run is cancelled are left out.
pub async fn run_all(builds: Vec<PreparedBuild>, settings: RunSettings) -> RunReport {
    let started = Instant::now();
    let started_at = jiff::Timestamp::now().to_string();
    settings.sink.emit(Event::RunStarted {
        run_id: settings.run_id.clone(),
        engine_version: env!("CARGO_PKG_VERSION").to_owned(),
        template: settings.template.clone(),
        simulated: settings.simulated,
        builds: builds.iter().map(|build| build.name.clone()).collect(),
    });
    // Pauses for one person make sense only one after the other.
    let serial = builds.iter().any(|build| build.context.debug);
    let parallel = if serial { 1 } else { settings.parallel.unwrap_or(builds.len()) };
    let permits = Arc::new(Semaphore::new(parallel.clamp(1, Semaphore::MAX_PERMITS)));
    let mut running = Vec::new();
    for build in builds {
        let permit = tokio::select! {
            biased;
            () = settings.cancel.cancelled() => None,
            permit = permits.clone().acquire_owned() => permit.ok(),
        };
        let Some(permit) = permit else {
            running.push((build, None));
            continue;
        };
        let (copy, shared) = (build.clone(), settings.clone());
        let task = tokio::spawn(async move {
            let report = run_build(copy, &shared).await;
            drop(permit);
            report
        });
        running.push((build, Some(task)));
    }
    let mut reports = Vec::new();
    for (build, task) in running {
        reports.push(match task {
            None => not_run(&build, &settings, Ending::Cancelled, "cancelled before it started".to_owned()),
            Some(task) => task.await.unwrap_or_else(|error| {
                // The builder's panics are caught; this is one of the engine's own.
                let mut report =
                    not_run(&build, &settings, Ending::Failed, format!("the engine failed: {error}"));
                report.remains.push(Remains {
                    kind: "build".to_owned(),
                    id: build.context.build_id.clone(),
                    reason: "the engine failed; its journal says what is left".to_owned(),
                });
                report
            }),
        });
    }
    let ending = if reports.iter().all(|report| report.ending == Ending::Succeeded) {
        Ending::Succeeded
    } else if settings.cancel.is_cancelled() {
        Ending::Cancelled
    } else {
        Ending::Failed
    };
    let duration = started.elapsed();
    settings.sink.emit(Event::RunFinished { ending, duration });
    RunReport {
        run_id: settings.run_id.clone(),
        engine_version: env!("CARGO_PKG_VERSION").to_owned(),
        template: settings.template.clone(),
        simulated: settings.simulated,
        started: started_at,
        ending,
        duration,
        builds: reports,
    }
}

/// Runs one build to its end. The report is masked.
pub async fn run_build(build: PreparedBuild, settings: &RunSettings) -> BuildReport {
    let started = Instant::now();
    let steps = Arc::new(Steps { inner: settings.sink.clone(), finished: Mutex::default() });
    let events = BuildEvents::new(steps.clone(), &build.name);
    events.emit(Event::BuildStarted {
        build: build.name.clone(),
        builder_type: build.builder_type.clone(),
        build_id: build.context.build_id.clone(),
    });
    let mut report = not_run(&build, settings, Ending::Failed, String::new());
    report.error = None;
    let result = match open_journal(&build, settings, &events) {
        Ok(journal) => Box::pin(run_in(&build, settings, &events, &journal, &mut report)).await,
        Err(error) => Err(BuildError::Failed(error)),
    };
    report.ending = match &result {
        Ok(()) => Ending::Succeeded,
        Err(BuildError::Failed(error)) => {
            report.error = Some(error.clone());
            Ending::Failed
        }
        Err(BuildError::Cancelled) => {
            report.error = Some("Build was cancelled.".to_owned());
            Ending::Cancelled
        }
    };
    report.duration = started.elapsed();
    report.steps = std::mem::take(&mut *steps.finished.lock().unwrap_or_else(PoisonError::into_inner));
    report.mask(&build.context.redactor);
    for (index, artifact) in report.artifacts.iter().enumerate() {
        events.emit(Event::Artifact {
            build: build.name.clone(),
            index,
            builder_id: artifact.builder_id.clone(),
            id: artifact.id.clone(),
            text: artifact.text.clone(),
            files: artifact.files.iter().map(|file| file.display().to_string()).collect(),
            simulated: artifact.simulated,
        });
    }
    events.emit(Event::BuildFinished {
        build: build.name.clone(),
        ending: report.ending,
        duration: report.duration,
        error: report.error.clone(),
    });
    report
}

fn open_journal(
    build: &PreparedBuild,
    settings: &RunSettings,
    events: &BuildEvents,
) -> Result<Journal, String> {
    let context = &build.context;
    let store = (settings.open_journal)(&context.build_id).map_err(|error| {
        format!("can't open a journal for the build: {error}; without one nothing is created")
    })?;
    let header = Header {
        format: crate::journal::FORMAT,
        build_id: context.build_id.clone(),
        run_id: settings.run_id.clone(),
        build_name: build.name.clone(),
        builder_type: build.builder_type.clone(),
        engine_version: env!("CARGO_PKG_VERSION").to_owned(),
        plan_digest: settings.template_digest.clone(),
        simulated: settings.simulated,
        target: build.builder.target(),
        invocation: settings.invocation.clone(),
    };
    Journal::create(store, header, events.clone(), context.redactor.clone())
        .map_err(|error: JournalError| format!("{error}; without a journal nothing is created"))
}

async fn run_in(
    build: &PreparedBuild,
    settings: &RunSettings,
    events: &BuildEvents,
    journal: &Journal,
    report: &mut BuildReport,
) -> Result<(), BuildError> {
    let calls = Calls { build: build.clone(), settings: settings.clone(), events: events.clone() };
    let provision = Arc::new(Provisioning::new(calls));
    let context = RunContext {
        events: events.clone(),
        journal: journal.clone(),
        provision: provision.clone(),
        prompt: settings.prompt.clone(),
        cancel: settings.cancel.clone(),
        abandon: settings.abandon.clone(),
        on_error: settings.on_error,
        debug: build.context.debug,
        force: build.context.force,
        redactor: build.context.redactor.clone(),
        simulated: settings.simulated,
    };
    let outcome = AssertUnwindSafe(build.builder.run(context)).catch_unwind().await.unwrap_or_else(|panic| {
        let what = panic
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "no message".to_owned());
        let error = format!("the builder {} failed in an unforeseen way: {what}", build.builder_type);
        BuildOutcome { result: Err(BuildError::Failed(error)), remains: Vec::new() }
    });
    let data = provision.data();
    report.inputs.source = source_facts(&data);
    report.journal = Some(journal.location());
    report.remains = outcome.remains;
    settle(journal, report, events);
    let artifact = outcome.result?;
    match artifact {
        Some(artifact) if settings.cancel.is_cancelled() => {
            report.artifacts.push(artifact);
            Err(BuildError::Cancelled)
        }
        Some(artifact) => finish(&provision.calls, artifact, &data, report).await,
        None => Ok(()),
    }
}

/// Compares what the builder says that remains with what the journal says: the journal is right.
fn settle(journal: &Journal, report: &mut BuildReport, events: &BuildEvents) {
    let state = journal.state();
    let told: Vec<u64> = state
        .open_entries()
        .filter(|entry| report.remains.iter().any(|r| r.id.eq_ignore_ascii_case(&entry.resource.id)))
        .flat_map(|entry| state.covered_by(entry.number).into_iter().chain([entry.number]))
        .collect();
    for entry in state.open_entries() {
        if !told.contains(&entry.number) {
            let resource = &entry.resource;
            let (kind, id) = (resource.kind.clone(), resource.id.clone());
            let reason = "the builder did not undo it".to_owned();
            events.emit(Event::ResourceRemains {
                build: events.build().to_owned(),
                kind: kind.clone(),
                id: id.clone(),
                error: reason.clone(),
            });
            report.remains.push(Remains { kind, id, reason });
        }
    }
    // Builders that create nothing don't end their journals themselves.
    if !state.is_closed()
        && state.open_entries().next().is_none()
        && let Err(error) = journal.close()
    {
        events.warning(error.to_string());
    }
    report.resources = state.entries().iter().map(ResourceReport::from).collect();
}

async fn finish(
    calls: &Calls,
    artifact: Artifact,
    data: &BuildData,
    report: &mut BuildReport,
) -> Result<(), BuildError> {
    let processed = post_process(calls, artifact, data).await;
    report.artifacts = processed.artifacts;
    match processed.errors.len() {
        _ if processed.cancelled => Err(BuildError::Cancelled),
        0 => Ok(()),
        count => {
            let list: Vec<String> = processed.errors.iter().map(|error| format!("* {error}")).collect();
            Err(BuildError::Failed(format!("{count} error(s) occurred:\n\n{}", list.join("\n"))))
        }
    }
}

/// What the build started from, as far as its builder tells.
fn source_facts(data: &BuildData) -> serde_json::Map<String, serde_json::Value> {
    data.iter()
        .filter(|(key, _)| key.starts_with("Source"))
        .map(|(key, value)| (key.clone(), Text::masked(value).into()))
        .collect()
}

fn not_run(build: &PreparedBuild, settings: &RunSettings, ending: Ending, error: String) -> BuildReport {
    let extensions = build
        .provisioners
        .iter()
        .chain(&build.error_cleanup)
        .map(|provisioner| &provisioner.extension)
        .chain(build.post_processors.iter().flatten().map(|processor| &processor.extension));
    let mut plugins: Vec<PluginInput> = Vec::new();
    for plugin in extensions.map(|extension| PluginInput::from(extension.info())) {
        if !plugins.contains(&plugin) {
            plugins.push(plugin);
        }
    }
    BuildReport {
        name: build.name.clone(),
        build_id: build.context.build_id.clone(),
        builder_type: build.builder_type.clone(),
        simulated: settings.simulated,
        started: jiff::Timestamp::now().to_string(),
        ending,
        error: Some(error),
        duration: std::time::Duration::ZERO,
        steps: Vec::new(),
        artifacts: Vec::new(),
        resources: Vec::new(),
        remains: Vec::new(),
        journal: None,
        inputs: Inputs {
            template_digest: settings.template_digest.clone(),
            plugins,
            source: serde_json::Map::new(),
        },
    }
}

/// Passes events on and remembers the steps for the report.
struct Steps {
    inner: Arc<dyn EventSink>,
    finished: Mutex<Vec<StepReport>>,
}

impl EventSink for Steps {
    fn emit(&self, event: Event) {
        if let Event::StepFinished { step, ending, duration, .. } = &event {
            let step = StepReport { name: step.clone(), ending: *ending, duration: *duration };
            self.finished.lock().unwrap_or_else(PoisonError::into_inner).push(step);
        }
        self.inner.emit(event);
    }
}
