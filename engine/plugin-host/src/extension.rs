//! Calls of an extension: each gets a fresh instance with what its configuration and the operator's grants allow, runs
//! under the step's time limit and cancellation in two levels, and leaves nothing behind on the machine.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use fornax_core::communicator::Communicator;
use fornax_core::diagnostic::Severity;
use fornax_core::plugin::{
    Artifact, Extension, ExtensionInfo, Finding, KeepPolicy, Outcome, PluginError, Prepared, Processed,
    StepContext,
};
use fornax_core::value::{Node, Part, Value};
use fornax_core::{Redactor, Secret};
use tokio_util::sync::CancellationToken;
use wasmtime::Store;

use crate::bindings::host::fornax::plugin::types;
use crate::bindings::post_processor::exports::fornax::plugin::post_processor as post;
use crate::clock::Clock;
use crate::config::{self, SealedConfig};
use crate::engine::{Runtime, Ticking};
use crate::host::{Inner, empty_wasi};
use crate::plugin::{Compiled, Plugin, new_store, trap_reason};
use crate::policy::{Effective, flag_for};
use crate::state::{Phase, State, StepShared};
use crate::stdio::GuestOutput;

/// For removing one temporary file from the machine.
const REMOVE: Duration = Duration::from_secs(10);
const JSON: usize = 4 * 1024 * 1024;

/// A provisioner or post-processor of a plugin.
pub struct WasmExtension {
    info: ExtensionInfo,
    rights: Effective,
    plugin: Arc<Plugin>,
    host: Arc<Inner>,
}

/// An instance that is about to be called.
struct Call<'a> {
    compiled: &'a Compiled,
    store: Store<State>,
    config: SealedConfig,
    shared: Arc<StepShared>,
    machine: Option<Arc<dyn Communicator>>,
    output: GuestOutput,
    clock: Clock,
    _ticking: Ticking,
}

impl WasmExtension {
    pub(crate) fn new(info: ExtensionInfo, rights: Effective, plugin: Arc<Plugin>, host: Arc<Inner>) -> Self {
        Self { info, rights, plugin, host }
    }

    /// Which file or built-in component it came from.
    pub(crate) fn origin(&self) -> &str {
        &self.plugin.origin
    }

    fn rejected(&self, reason: impl Into<String>) -> PluginError {
        PluginError::Rejected { plugin: self.info.plugin_name.clone(), reason: reason.into() }
    }

    /// Refuses an extension that can't work without a right that it does not have.
    fn check_rights(&self) -> Result<(), PluginError> {
        let required = self.info.capabilities.iter().filter(|c| c.required && !c.granted);
        for request in required {
            if let Some(told) = self.rights.denial(&request.capability) {
                return Err(PluginError::Denied {
                    reason: format!(
                        "the {} \"{}\" needs the right {}, which {told} takes away",
                        self.info.kind.as_str(),
                        self.info.name,
                        request.capability
                    ),
                    help: "leave the step out, or let the operator lift the denial".into(),
                });
            }
        }
        let missing: Vec<String> = self
            .info
            .capabilities
            .iter()
            .filter(|c| c.required && !c.granted)
            .map(|c| {
                let flag = flag_for(&self.info.plugin_name, &c.capability);
                format!(
                    "{} (it says: {})",
                    flag,
                    if c.reason.is_empty() { "no reason given" } else { &c.reason }
                )
            })
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(self.rejected(format!(
            "{} {:?} needs rights that were not granted; to grant them, add {}",
            self.info.kind.as_str(),
            self.info.name,
            missing.join(" and ")
        )))
    }

    /// Makes the instance's store.
    async fn call(
        &self,
        config: &Node,
        phase: Phase,
        step: Option<StepContext>,
        machine: Option<Arc<dyn Communicator>>,
        artifact: Option<Artifact>,
    ) -> Result<Call<'_>, PluginError> {
        self.check_rights()?;
        let compiled = self.plugin.compiled(&self.host).await.map_err(|e| self.rejected(e))?;
        let runtime = self.host.runtime().map_err(|e| self.rejected(e))?;
        let limits = &self.host.config.limits;
        let mut state = self.host.bare_state(&self.info.plugin_name, phase, limits.memory);
        state.rights = self.rights.clone();
        let clock = match &step {
            Some(step) => {
                state.redactor = step.redactor.clone();
                state.working_dir.clone_from(&step.working_dir);
                Clock::new(step.cancel.clone(), step.timeout, limits.grace)
            }
            None => {
                register_secrets(config, &state.redactor);
                Clock::new(CancellationToken::new(), Some(limits.prepare_time), Duration::ZERO)
            }
        };
        state.output = GuestOutput::new(&state.plugin_name, &state.redactor);
        let work = match step.is_some() && self.plugin.wants_files() {
            true => Some(
                state
                    .shared
                    .folder()
                    .map_err(|e| self.rejected(format!("the step's folder can't be made: {e}")))?,
            ),
            false => None,
        };
        state.wasi = empty_wasi(&state.output, work.as_deref().map(|f| f.work()));
        state.cancel = clock.inner.clone();
        state.deadline = clock.deadline;
        let working_dir = state.working_dir.clone();
        let sealed =
            config::seal(config, &self.info.schema, &mut state.sealer, &state.redactor, &working_dir);
        state.host_paths.clone_from(&sealed.host_paths);
        state.host_outputs.clone_from(&sealed.host_outputs);
        state.host_globs.clone_from(&sealed.host_globs);
        state.named_templates.clone_from(&sealed.named_templates);
        state.step = step;
        state.machine.clone_from(&machine);
        state.artifact = artifact;
        let (shared, output) = (Arc::clone(&state.shared), state.output.clone());
        let fuel = if phase == Phase::Prepare { limits.prepare_fuel } else { u64::MAX };
        let store = new_store(&runtime, state, fuel).map_err(|e| self.rejected(format!("{e:#}")))?;
        Ok(Call {
            compiled,
            store,
            config: sealed,
            shared,
            machine,
            output,
            clock,
            _ticking: Runtime::ticking(&runtime),
        })
    }

    /// Runs a call of the guest under the clock.
    async fn drive<T>(
        &self,
        function: &str,
        clock: &Clock,
        output: &GuestOutput,
        guest: impl Future<Output = wasmtime::Result<T>>,
    ) -> Result<T, PluginError> {
        tokio::select! {
            biased;
            done = guest => done.map_err(|error| PluginError::Trapped {
                plugin: self.info.plugin_name.clone(),
                digest: self.info.plugin_digest.clone(),
                function: function.to_owned(),
                reason: trap_reason(&error, &output.last_words()),
            }),
            () = clock.run_out() => Err(clock.verdict()),
        }
    }

    /// An error that the guest returned.
    fn failed(error: types::Error, state: &State, clock: &Clock) -> PluginError {
        // Whatever a guest says after it was told to stop, that is why it failed.
        let stopped = clock.inner.is_cancelled();
        if stopped {
            return clock.verdict();
        }
        PluginError::Failed {
            message: state.presentable(&error.message),
            causes: error.causes.iter().map(|c| state.presentable(c)).collect(),
            retryable: error.retryable,
        }
    }

    fn prepared(&self, found: types::Prepared, state: &State) -> Result<Prepared, PluginError> {
        let findings = found
            .diagnostics
            .iter()
            .map(|d| Finding {
                severity: match d.severity {
                    types::Severity::Error => Severity::Error,
                    types::Severity::Warning => Severity::Warning,
                    types::Severity::Note => Severity::Note,
                },
                path: d.path.clone(),
                summary: state.presentable(&d.summary),
                // By the WIT a detail says what to do about it.
                help: state.presentable(&d.detail),
                code: d.code.clone(),
            })
            .collect();
        let normalized = match &found.normalized {
            Some(text) => Some(state.sealer.mask_json(self.object(text, "prepare")?, &state.redactor)),
            None => None,
        };
        Ok(Prepared { findings, normalized, reads: found.reads })
    }

    fn object(&self, text: &str, function: &str) -> Result<serde_json::Value, PluginError> {
        let value =
            if text.len() > JSON { None } else { serde_json::from_str::<serde_json::Value>(text).ok() };
        value.filter(serde_json::Value::is_object).ok_or_else(|| {
            self.rejected(format!("{function} returned something else than a JSON object of at most 4 MiB"))
        })
    }

    /// The configuration that the guest works with: checked once more, because values that were unknown before are
    /// known now, and with its defaults filled in.
    fn settled(&self, found: types::Prepared, call: &Call<'_>) -> Result<String, PluginError> {
        let state = call.store.data();
        let errors: Vec<String> = found
            .diagnostics
            .iter()
            .filter(|d| d.severity == types::Severity::Error)
            .map(|d| {
                if d.path.is_empty() {
                    state.presentable(&d.summary)
                } else {
                    format!("{}: {}", d.path, state.presentable(&d.summary))
                }
            })
            .collect();
        if let Some((first, rest)) = errors.split_first() {
            return Err(PluginError::Failed {
                message: first.clone(),
                causes: rest.to_vec(),
                retryable: false,
            });
        }
        match found.normalized {
            Some(text) => self.object(&text, "prepare").map(|_| text),
            None => Ok(call.config.json.to_string()),
        }
    }

    /// Gives back what the step left behind.
    async fn clean_up(
        &self,
        shared: &StepShared,
        machine: Option<&Arc<dyn Communicator>>,
        context: &StepContext,
    ) {
        let paths = std::mem::take(&mut *shared.machine_paths.lock().unwrap_or_else(PoisonError::into_inner));
        let Some(machine) = machine else { return };
        for path in paths {
            let removed = tokio::time::timeout(REMOVE, machine.remove_file(&path)).await;
            match removed {
                Ok(Ok(()) | Err(fornax_core::communicator::CommunicatorError::NotFound { .. })) => {}
                Ok(Err(error)) => {
                    let error = context.redactor.redact(&error.to_string());
                    tracing::warn!(%path, %error, "a temporary file remains on the machine");
                }
                Err(_) => {
                    tracing::warn!(%path, "a temporary file remains on the machine: it could not be removed in time")
                }
            }
        }
    }

    async fn run_provisioner(&self, call: &mut Call<'_>) -> Result<Outcome, PluginError> {
        let pre =
            call.compiled.provisioner.as_ref().ok_or_else(|| self.rejected("it exports no provisioner"))?;
        let (clock, output) = (call.clock.clone(), call.output.clone());
        let guest =
            self.drive("instantiation", &clock, &output, pre.instantiate_async(&mut call.store)).await?;
        let exports = guest.fornax_plugin_provisioner();
        let (config, context) = (call.config.json.to_string(), context_of(&call.config, false));
        call.store.data_mut().phase = Phase::Prepare;
        let work = exports.call_prepare(&mut call.store, &self.info.name, &config, &context);
        let prepared = self
            .drive("prepare", &clock, &output, work)
            .await?
            .map_err(|e| Self::failed(e, call.store.data(), &clock))?;
        let config = self.settled(prepared, call)?;
        call.store.data_mut().phase = Phase::Provision;
        let work = exports.call_provision(&mut call.store, &self.info.name, &config);
        let found = self
            .drive("provision", &clock, &output, work)
            .await?
            .map_err(|e| Self::failed(e, call.store.data(), &clock))?;
        let state = call.store.data();
        let outputs = state.sealer.mask_json(self.object(&found.outputs, "provision")?, &state.redactor);
        let serde_json::Value::Object(outputs) = outputs else {
            return Err(self.rejected("its outputs are no object"));
        };
        Ok(Outcome { outputs, changed: found.changed })
    }

    async fn run_post_processor(
        &self,
        call: &mut Call<'_>,
        input: &Artifact,
    ) -> Result<Processed, PluginError> {
        let pre = call
            .compiled
            .post_processor
            .as_ref()
            .ok_or_else(|| self.rejected("it exports no post-processor"))?;
        let (clock, output) = (call.clock.clone(), call.output.clone());
        let guest =
            self.drive("instantiation", &clock, &output, pre.instantiate_async(&mut call.store)).await?;
        let exports = guest.fornax_plugin_post_processor();
        let (config, context) = (call.config.json.to_string(), context_of(&call.config, false));
        call.store.data_mut().phase = Phase::Prepare;
        let work = exports.call_prepare(&mut call.store, &self.info.name, &config, &context);
        let prepared = self
            .drive("prepare", &clock, &output, work)
            .await?
            .map_err(|e| Self::failed(e, call.store.data(), &clock))?;
        let config = self.settled(prepared, call)?;
        call.store.data_mut().phase = Phase::Process;
        let work = exports.call_process(&mut call.store, &self.info.name, &config);
        let found = self
            .drive("process", &clock, &output, work)
            .await?
            .map_err(|e| Self::failed(e, call.store.data(), &clock))?;
        let (artifact, made) = match found.artifact {
            Some(artifact) => {
                let (artifact, made) = self.artifact(artifact, call, input)?;
                (Some(artifact), made)
            }
            None => (None, Vec::new()),
        };
        let input = match found.input {
            post::KeepPolicy::Keep => KeepPolicy::Keep,
            post::KeepPolicy::Discard => KeepPolicy::Discard,
            post::KeepPolicy::ForceKeep => KeepPolicy::ForceKeep,
        };
        Ok(Processed { artifact, input, made })
    }

    /// The artifact, and those of its files that the step made.
    fn artifact(
        &self,
        found: post::NewArtifact,
        call: &Call<'_>,
        input: &Artifact,
    ) -> Result<(Artifact, Vec<PathBuf>), PluginError> {
        let state = call.store.data();
        let mut files: Vec<PathBuf> = Vec::new();
        let mut made: Vec<PathBuf> = Vec::new();
        for file in &found.files {
            files.push(match file {
                post::NewFile::Input(index) => {
                    input.files.get(*index as usize).cloned().ok_or_else(|| {
                        self.rejected(format!(
                            "process refers to file {index} of the artifact, which has {}",
                            input.files.len()
                        ))
                    })?
                }
                post::NewFile::Published(path) => {
                    let published = call.shared.published.lock().unwrap_or_else(PoisonError::into_inner);
                    if !published.contains(&PathBuf::from(path)) {
                        return Err(
                            self.rejected(format!("process refers to {path:?}, which it did not publish"))
                        );
                    }
                    made.push(PathBuf::from(path));
                    PathBuf::from(path)
                }
                post::NewFile::Existing(path) => {
                    if !state.names(path) {
                        let reason =
                            format!("process refers to {path:?}, which the configuration does not name");
                        return Err(self.rejected(reason));
                    }
                    PathBuf::from(path)
                }
                post::NewFile::Workspace(path) => {
                    let folder = call.shared.folder().map_err(|e| self.rejected(e.to_string()))?;
                    let place = folder.resolve(path).map_err(|e| self.rejected(e.to_string()))?;
                    if !place.exists() {
                        return Err(self
                            .rejected(format!("process refers to {path:?}, which is not in its workspace")));
                    }
                    let mut kept = self.host.kept.lock().unwrap_or_else(PoisonError::into_inner);
                    if !kept.iter().any(|k| Arc::ptr_eq(k, &folder)) {
                        kept.push(Arc::clone(&folder));
                    }
                    made.push(place.clone());
                    place
                }
            });
        }
        let metadata = state.sealer.mask_json(self.object(&found.metadata, "process")?, &state.redactor);
        let serde_json::Value::Object(metadata) = metadata else {
            return Err(self.rejected("the metadata is no object"));
        };
        let artifact = Artifact {
            builder_id: state.presentable(&found.kind),
            id: state.presentable(&found.id),
            text: state.presentable(&found.description),
            files,
            metadata,
            simulated: input.simulated || state.step.as_ref().is_some_and(|s| s.simulated),
        };
        Ok((artifact, made))
    }
}

fn context_of(config: &SealedConfig, offline: bool) -> types::ValidateContext {
    types::ValidateContext { unknown: config.unknown.clone(), sealed: config.sealed.clone(), offline }
}

/// Without a running build nobody else told the redactor.
fn register_secrets(node: &Node, redactor: &Redactor) {
    match &node.value {
        Value::String(text) => {
            for part in text.parts() {
                if let Part::Secret(secret) = part
                    && !secret.expose().is_empty()
                {
                    redactor.register(&Secret::new(secret.expose()));
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|n| register_secrets(n, redactor)),
        Value::Object(members) => members.iter().for_each(|m| register_secrets(&m.value, redactor)),
        _ => {}
    }
}

#[async_trait]
impl Extension for WasmExtension {
    fn info(&self) -> &ExtensionInfo {
        &self.info
    }

    async fn prepare(&self, config: &Node) -> Result<Prepared, PluginError> {
        let mut call = self.call(config, Phase::Prepare, None, None, None).await?;
        let (clock, output) = (call.clock.clone(), call.output.clone());
        let (json, context) = (call.config.json.to_string(), context_of(&call.config, true));
        let name = &self.info.name;
        let (compiled, store) = (call.compiled, &mut call.store);
        let guest = async {
            match (self.info.kind, &compiled.provisioner, &compiled.post_processor) {
                (fornax_core::plugin::ExtensionKind::Provisioner, Some(pre), _) => {
                    let guest = pre.instantiate_async(&mut *store).await?;
                    guest.fornax_plugin_provisioner().call_prepare(&mut *store, name, &json, &context).await
                }
                (fornax_core::plugin::ExtensionKind::PostProcessor, _, Some(pre)) => {
                    let guest = pre.instantiate_async(&mut *store).await?;
                    guest
                        .fornax_plugin_post_processor()
                        .call_prepare(&mut *store, name, &json, &context)
                        .await
                }
                _ => wasmtime::bail!("it does not export what it describes"),
            }
        };
        let found = self.drive("prepare", &clock, &output, guest).await?;
        let state = call.store.data();
        match found {
            Ok(found) => self.prepared(found, state),
            Err(error) => Err(Self::failed(error, state, &clock)),
        }
    }

    async fn provision(
        &self,
        config: &Node,
        context: StepContext,
        machine: Option<Arc<dyn Communicator>>,
    ) -> Result<Outcome, PluginError> {
        let mut call = self.call(config, Phase::Provision, Some(context.clone()), machine, None).await?;
        let result = self.run_provisioner(&mut call).await;
        let Call { store, shared, machine, .. } = call;
        store.data().report_dropped(store.data().messages.dropped());
        // Ends what still runs before its files are removed.
        drop(store);
        self.clean_up(&shared, machine.as_ref(), &context).await;
        result
    }

    async fn process(
        &self,
        config: &Node,
        context: StepContext,
        input: &Artifact,
    ) -> Result<Processed, PluginError> {
        let mut call = self.call(config, Phase::Process, Some(context), None, Some(input.clone())).await?;
        let result = self.run_post_processor(&mut call, input).await;
        let state = call.store.data();
        state.report_dropped(state.messages.dropped());
        result
    }
}
