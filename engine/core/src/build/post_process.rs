//! Runs the sequences of post-processors. Each sequence starts from the builder's artifact; what becomes of an input
//! follows Packer's rules, with one difference: nothing is removed from a build in which a post-processor failed.

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
                Ok(Processed { artifact: Some(artifact), input }) => {
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
        remove(calls, artifact, &mut out);
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

/// Removes the files of an artifact that is not kept, but for those which a kept artifact names as well.
fn remove(calls: &Calls, artifact: &Artifact, out: &mut PostProcessed) {
    for file in &artifact.files {
        if out.artifacts.iter().any(|kept| kept.files.contains(file)) {
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
