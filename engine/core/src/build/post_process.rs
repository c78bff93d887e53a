//! Runs the sequences of post-processors. Each sequence starts from the builder's artifact; what becomes of an input
//! follows Packer's rules, with two differences: nothing is removed from a build in which a post-processor failed, and
//! never a file that the build only refers to.

use std::collections::HashSet;
use std::path::{Component, Path, PathBuf};

use tokio::time::Instant;

use super::PostProcessor;
use super::call::Calls;
use crate::builder::{BuildData, ProvisionError};
use crate::event::{Ending, Event};
use crate::plugin::{Artifact, KeepPolicy, Processed};

/// What came out.
pub(super) struct PostProcessed {
    /// The builder's artifact first, if it is kept; then those of the sequences, in order.
    pub artifacts: Vec<Artifact>,
    pub errors: Vec<String>,
    pub cancelled: bool,
}

pub(super) async fn post_process(calls: &Calls, original: Artifact, data: &BuildData) -> PostProcessed {
    let sequences = &calls.build.post_processors;
    let mut out = PostProcessed { artifacts: Vec::new(), errors: Vec::new(), cancelled: false };
    let mut keep_original = sequences.iter().all(Vec::is_empty);
    let mut discarded = Vec::new();
    let mut made: HashSet<PathBuf> = original.files.iter().map(|file| plain(file)).collect();
    for sequence in sequences {
        // None: still the builder's artifact.
        let mut prior: Option<Artifact> = None;
        for processor in sequence {
            if calls.settings.cancel.is_cancelled() {
                out.cancelled = true;
                break;
            }
            match step(calls, processor, prior.as_ref().unwrap_or(&original), data).await {
                Err(ProvisionError::Cancelled) => {
                    out.cancelled = true;
                    break;
                }
                Err(ProvisionError::Failed(error)) => {
                    out.errors.push(format!("Post-processor failed: {error}"));
                    break;
                }
                // The input is handed on as it is.
                Ok(Processed { artifact: None, .. }) => keep_original |= prior.is_none(),
                Ok(Processed { artifact: Some(artifact), input, made: files }) => {
                    made.extend(files.iter().map(|file| plain(file)));
                    let keep = keeps_input(calls, processor, input);
                    match prior.replace(artifact) {
                        None => keep_original |= keep,
                        Some(input) if keep => out.artifacts.push(input),
                        Some(input) => discarded.push(input),
                    }
                }
            }
        }
        out.artifacts.extend(prior);
    }
    if !out.errors.is_empty() || out.cancelled {
        let mut all = vec![original];
        all.append(&mut discarded);
        all.append(&mut out.artifacts);
        out.artifacts = all;
        return out;
    }
    if keep_original {
        out.artifacts.insert(0, original);
    } else {
        discarded.push(original);
    }
    for artifact in &discarded {
        remove(calls, artifact, &mut made, &mut out);
    }
    out
}

/// The user's word, but where the result would be useless without its input.
fn keeps_input(calls: &Calls, processor: &PostProcessor, policy: KeepPolicy) -> bool {
    match (processor.plan.keep_input_artifact, policy) {
        (Some(false), KeepPolicy::ForceKeep) => {
            calls.events.warning(format!(
                "the post-processor \"{}\" needs its input; keep_input_artifact = false is ignored",
                processor.plan.name
            ));
            true
        }
        (Some(keep), _) => keep,
        (None, policy) => policy != KeepPolicy::Discard,
    }
}

/// A path without `.` and doubled slashes, for comparing.
fn plain(path: &Path) -> PathBuf {
    path.components().filter(|part| *part != Component::CurDir).collect()
}

/// Removes the files of an artifact that is not kept, but for those which a kept artifact names as well, and those which
/// the build did not make.
fn remove(calls: &Calls, artifact: &Artifact, made: &mut HashSet<PathBuf>, out: &mut PostProcessed) {
    let kept: HashSet<PathBuf> =
        out.artifacts.iter().flat_map(|kept| &kept.files).map(|file| plain(file)).collect();
    for file in &artifact.files {
        let name = plain(file);
        if kept.contains(&name) || !made.remove(&name) {
            continue;
        }
        match (calls.settings.remove_file)(file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                out.errors.push(format!("can't remove {}, which is not kept: {error}", file.display()));
            }
            _ => {}
        }
    }
}

async fn step(
    calls: &Calls,
    PostProcessor { plan, extension }: &PostProcessor,
    input: &Artifact,
    data: &BuildData,
) -> Result<Processed, ProvisionError> {
    let events = &calls.events;
    let (build, step) = (events.build().to_owned(), plan.name.clone());
    events.say(if plan.name == plan.type_name {
        format!("Running post-processor: {}", plan.type_name)
    } else {
        format!("Running post-processor: {} (type {})", plan.name, plan.type_name)
    });
    events.emit(Event::StepStarted { build: build.clone(), step: step.clone() });
    let started = Instant::now();
    let result = async {
        let config = calls.config(extension.info(), plan.config.as_ref(), data)?;
        let named = calls.with_events(&format!("{build} ({})", plan.type_name));
        let context = named.context(&plan.name, 1, plan.config.as_ref(), data, None);
        let cancel = context.cancel.clone();
        calls.bounded(extension.process(&config, context, input), &cancel, None).await
    }
    .await;
    let ending = match &result {
        Ok(_) => Ending::Succeeded,
        Err(ProvisionError::Failed(error)) => {
            events.error(format!("Post-processor failed: {error}"));
            Ending::Failed
        }
        Err(ProvisionError::Cancelled) => Ending::Cancelled,
    };
    events.emit(Event::StepFinished { build, step, ending, duration: started.elapsed() });
    result
}
