//! `fornax build`: from the template to artifacts and a report.

use std::fmt::Write as _;
use std::io::IsTerminal;
use std::sync::{Arc, Mutex, PoisonError};

use fornax_core::build::{RunSettings, prepare_build, run_all};
use fornax_core::event::{Event, EventSink};
use fornax_core::plugin::OnError;
use fornax_core::report::RunReport;
use fornax_core::secret::RedactingSink;
use fornax_core::template::hcl::{Needed, check_required};
use fornax_core::{Diagnostic, Diagnostics, Redactor};
use serde_json::{Map, Value};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::template::{HclNeeds, Loaded, Source, load, read, show_of};
use crate::args::{BuildArgs, OnErrorArg};
use crate::error::{CliError, Exit};
use crate::journal_file::JournalFile;
use crate::prompt::TerminalPrompt;
use crate::reporter::{
    JsonReporter, LineOptions, LineReporter, LiveReporter, MachineReporter, Out, Reporter,
};
use crate::{journal_file, logging, paths, target};

pub async fn run(args: BuildArgs) -> Result<Exit, CliError> {
    let redactor = Redactor::new();
    logging::start(&redactor);
    let source = read(&args.path)?;
    let data = target::data(Some(&args.plugins))?;
    let needs =
        HclNeeds { require_values: true, read_data: true, warn_undeclared: args.warn_on_undeclared_var };
    let Loaded { plan, mut found, sensitive, required } =
        load(&source, &args.template, &redactor, needs, &data).await?;
    let catalog = target::plugins(&args.plugins, plan.as_ref()).await?;
    found.extend(check_required(&required, &target::installed(catalog.as_ref()), Needed::IfUsed));
    // A template with mistakes is checked to the end, so that all are told at once.
    let Some(plan) = plan else {
        show_of(&source, &args.template, &found, args.json, &redactor);
        return Ok(Exit::Failed);
    };
    let reporter = reporter(&args);
    let say = |line: &str| reporter.text(&redactor.redact(&format!("{line}\n")));
    let parts = match target::for_build(&args, catalog, &plan, &redactor, &say).await {
        Ok(parts) => parts,
        Err(error) => {
            // What is wrong with the template is not lost over what is wrong with the machine.
            show_of(&source, &args.template, &found, args.json, &redactor);
            return Err(error.masked(&redactor));
        }
    };
    let mut builds = Vec::new();
    let mut without_builder = Diagnostics::new();
    let mut left_out = String::new();
    for build in &plan.builds {
        let context = parts.prepare_context(build, &redactor, args.force, args.debug);
        let (prepared, more) = prepare_build(build, &parts.factories, parts.catalog.as_ref(), &context).await;
        // A build whose builder is not there can't keep the others from being built: templates for several clouds name
        // builders that nobody has all of. Whatever is wrong in a build that could run stops them all.
        if parts.factories.iter().any(|f| f.type_name() == build.builder_type) {
            found.extend(more);
        } else {
            without_builder.extend(more);
            let _ = writeln!(left_out, "--> {}: there is no builder \"{}\"", build.name, build.builder_type);
        }
        builds.extend(prepared);
    }
    let softened = |f: Diagnostic| if builds.is_empty() { f } else { f.softened() };
    found.extend(without_builder.into_iter().map(softened).collect());
    show_of(&source, &args.template, &found, args.json, &redactor);
    if found.has_errors() {
        return Ok(Exit::Failed);
    }

    let cancel = CancellationToken::new();
    let abandon = CancellationToken::new();
    let journals = Arc::new(Mutex::new(Vec::new()));
    let settings = RunSettings {
        run_id: parts.run_id.clone(),
        template: args.path.clone(),
        template_digest: sha256(&source),
        invocation: invocation(&args, &source, &sensitive),
        sink: Arc::new(RedactingSink::new(redactor.clone(), reporter.clone() as Arc<dyn EventSink>)),
        open_journal: {
            let journals = journals.clone();
            Arc::new(move |build_id: &str| {
                let journal = Arc::new(JournalFile::create(&paths::state_dir(), build_id)?);
                let mut journals = journals.lock().unwrap_or_else(PoisonError::into_inner);
                journals.push((build_id.to_owned(), journal.clone()));
                Ok(journal as _)
            })
        },
        prompt: Arc::new(TerminalPrompt { reporter: reporter.clone() }),
        cancel: cancel.clone(),
        abandon: abandon.clone(),
        on_error: match args.on_error {
            OnErrorArg::Cleanup => OnError::Cleanup,
            OnErrorArg::Abort => OnError::Abort,
            OnErrorArg::Ask => OnError::Ask,
            OnErrorArg::RunCleanupProvisioner => OnError::RunCleanupProvisioner,
        },
        simulated: args.simulate,
        variables: plan.variables.clone(),
        parallel: (args.parallel_builds > 0).then_some(args.parallel_builds),
        remove_file: Arc::new(remove),
    };
    let watcher = tokio::spawn(watch_signals(settings.sink.clone(), cancel, abandon));
    let report = run_all(builds, settings).await;
    watcher.abort();
    reporter.close();
    let opened = journals.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let exit = finish(&args, &parts, &report, &reporter, &redactor, &opened).await?;
    if left_out.is_empty() {
        return Ok(exit);
    }
    // Said again at the end, where the exit code is asked about.
    reporter.text(&redactor.redact(&format!("\n==> Builds that were left out:\n{left_out}")));
    Ok(if exit == Exit::Done { Exit::Failed } else { exit })
}

/// Removes a file of an artifact that is not kept, or a folder that a post-processor published.
fn remove(path: &std::path::Path) -> std::io::Result<()> {
    if path.symlink_metadata()?.is_dir() {
        return std::fs::remove_dir_all(path);
    }
    std::fs::remove_file(path)
}

/// What stands when all builds have ended: the summary, the report, the journals of which something remains.
async fn finish(
    args: &BuildArgs,
    parts: &target::Parts,
    report: &RunReport,
    reporter: &Arc<dyn Reporter>,
    redactor: &Redactor,
    journals: &[(String, Arc<JournalFile>)],
) -> Result<Exit, CliError> {
    reporter.text(&redactor.redact(&report.summary()));
    let mut value = serde_json::to_value(report).map_err(|e| CliError::failed(e.to_string()))?;
    redactor.redact_json(&mut value);
    if let Some(path) = &args.report {
        let text = serde_json::to_string_pretty(&value).map_err(|e| CliError::failed(e.to_string()))?;
        std::fs::write(path, text + "\n")
            .map_err(|e| CliError::failed(format!("can't write the report {}: {e}", path.display())))?;
    }
    for (build_id, journal) in journals {
        let remains = report.builds.iter().any(|build| build.build_id == *build_id && build.may_remain());
        if !remains {
            use fornax_core::journal::JournalStore as _;
            // A journal that stays although nothing remains costs a look of `cleanup`, nothing more.
            let _ = journal_file::remove(std::path::Path::new(&journal.location()));
        }
    }
    parts.shutdown().await;
    let mut exit =
        if report.ending == fornax_core::event::Ending::Succeeded { Exit::Done } else { Exit::Failed };
    for build in report.builds.iter().filter(|build| build.may_remain()) {
        exit = Exit::Remains;
        for remains in &build.remains {
            errln!(
                "{}",
                redactor.redact(&format!("{} {} may remain: {}", remains.kind, remains.id, remains.reason))
            );
        }
        errln!("  journal: {}", build.journal.as_deref().unwrap_or("none could be written"));
        errln!("  remove it with: fornax cleanup --build {}", build.build_id);
    }
    Ok(exit)
}

fn reporter(args: &BuildArgs) -> Arc<dyn Reporter> {
    let out = Out::new(std::io::stdout());
    if args.json {
        return Arc::new(JsonReporter::new(out));
    }
    if args.machine_readable {
        return Arc::new(MachineReporter::new(out));
    }
    let terminal = std::io::stdout().is_terminal();
    let set = |name: &str| std::env::var_os(name).is_some_and(|v| !v.is_empty());
    let plain = set("NO_COLOR") || set("PACKER_NO_COLOR");
    let color = args.color.unwrap_or(terminal) && !plain;
    let lines = LineReporter::new(out.clone(), LineOptions { color, timestamps: args.timestamp_ui });
    if terminal { Arc::new(LiveReporter::new(out, lines)) } else { Arc::new(lines) }
}

/// First signal: stop and undo. Second: stop undoing too.
async fn watch_signals(sink: Arc<dyn EventSink>, cancel: CancellationToken, abandon: CancellationToken) {
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return;
    };
    let signals = [
        (cancel, "Cancelling build; once more stops at once, without cleaning up"),
        (abandon, "Stopping at once; what remains is told below"),
    ];
    for (token, what) in signals {
        let name = tokio::select! {
            _ = interrupt.recv() => "interrupt",
            _ = terminate.recv() => "terminated",
        };
        token.cancel();
        let message = format!("{what} (received {name})");
        sink.emit(Event::Error { build: None, message });
    }
}

/// How to find the credentials again after a crash; no sensitive value gets in.
fn invocation(args: &BuildArgs, source: &Source, sensitive: &[String]) -> Map<String, Value> {
    let sensitive = |name: &str| sensitive.iter().any(|n| n == name.trim());
    let vars: Vec<&String> =
        args.template.vars.iter().filter(|v| !sensitive(v.split('=').next().unwrap_or_default())).collect();
    let current = std::env::current_dir().unwrap_or_default();
    let files: Vec<String> =
        args.template.var_files.iter().map(|f| current.join(f).display().to_string()).collect();
    let mut out = Map::new();
    out.insert("template".into(), source.path.as_ref().map(|p| p.display().to_string()).into());
    out.insert("working_dir".into(), current.display().to_string().into());
    out.insert("vars".into(), vars.into_iter().cloned().collect::<Vec<_>>().into());
    out.insert("var_files".into(), files.into());
    out
}

/// Of the text of one file, or of all files of a folder, one after the other.
fn sha256(source: &Source) -> String {
    use sha2::Digest as _;
    let mut digest = sha2::Sha256::new();
    source.files.iter().for_each(|file| digest.update(file.text().as_bytes()));
    digest.finalize().iter().map(|b| format!("{b:02x}")).collect()
}
