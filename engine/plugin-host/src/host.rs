//! The plugin host: loads built-in components and those of plugin folders, and offers what they provide as a catalogue.

use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use fornax_core::Redactor;
use fornax_core::plugin::{CapabilityRequest, Extension, ExtensionInfo, ExtensionKind, PluginCatalog};
use tokio_util::sync::CancellationToken;
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder};

use crate::cache::Cache;
use crate::descriptor::Descriptor;
use crate::engine::{Limiter, Runtime};
use crate::extension::WasmExtension;
use crate::http::HttpClient;
use crate::locks::OutputLocks;
use crate::plugin::{Plugin, Source};
use crate::policy::{Effective, PluginId, Policy};
use crate::rate::RateLimit;
use crate::seal::Sealer;
use crate::state::{Phase, State, StepShared};
use crate::stdio::GuestOutput;
use crate::workspace::StepDir;

/// A larger component is refused.
const COMPONENT: u64 = 64 * 1024 * 1024;

/// Bounds for guests.
#[derive(Clone, Debug)]
pub struct Limits {
    /// All memories of an instance together, in bytes.
    pub memory: usize,
    /// The same while a plugin describes itself.
    pub describe_memory: usize,
    /// Units of computation for describing itself.
    pub describe_fuel: u64,
    /// Units of computation for checking a configuration.
    pub prepare_fuel: u64,
    /// Time for checking a configuration.
    pub prepare_time: Duration,
    /// How long a guest may clean up after it was cancelled.
    pub grace: Duration,
    /// Handles that an instance holds at a time.
    pub handles: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: 256 * 1024 * 1024,
            describe_memory: 64 * 1024 * 1024,
            describe_fuel: 50_000_000,
            prepare_fuel: 2_000_000_000,
            prepare_time: Duration::from_secs(60),
            grace: Duration::from_secs(30),
            handles: 10_000,
        }
    }
}

/// How the host is set up.
#[derive(Clone, Default)]
pub struct HostConfig {
    /// The user's cache folder; compiled plugins lie in `plugins` below it. None: nothing is cached.
    pub cache_dir: Option<PathBuf>,
    pub policy: Policy,
    pub limits: Limits,
    /// The folder in which the engine was started.
    pub working_dir: PathBuf,
    /// Without a client, `http` is unsupported.
    pub http: Option<Arc<dyn HttpClient>>,
}

/// A plugin that was not loaded.
#[derive(Clone, Debug, thiserror::Error)]
#[error("plugin {path}: {reason}")]
pub struct LoadProblem {
    /// The file or folder, or `built-in NAME`.
    pub path: String,
    pub reason: String,
}

/// What extensions share.
pub struct Inner {
    pub config: HostConfig,
    pub cache: Cache,
    pub locks: Arc<OutputLocks>,
    /// Folders whose files became part of artifacts; they live as long as the host.
    pub kept: Mutex<Vec<Arc<StepDir>>>,
    runtime: OnceLock<Result<Arc<Runtime>, String>>,
}

impl Inner {
    /// The engine, made when it is first needed.
    pub fn runtime(&self) -> Result<Arc<Runtime>, String> {
        self.runtime
            .get_or_init(|| {
                Runtime::new()
                    .map(Arc::new)
                    .map_err(|e| format!("the WebAssembly engine can't be set up: {e:#}"))
            })
            .clone()
    }

    /// The state of an instance without step, machine and rights.
    pub fn bare_state(&self, plugin: &str, phase: Phase, memory: usize) -> State {
        let plugin_name: Arc<str> = plugin.into();
        let redactor = Redactor::new();
        let output = GuestOutput::new(&plugin_name, &redactor);
        let mut table = wasmtime::component::ResourceTable::new();
        table.set_max_capacity(self.config.limits.handles);
        State {
            wasi: empty_wasi(&output, None),
            table,
            limiter: Limiter::new(memory),
            phase,
            plugin_name,
            rights: Effective::default(),
            step: None,
            redactor,
            sealer: Sealer::default(),
            cancel: CancellationToken::new(),
            deadline: None,
            machine: None,
            artifact: None,
            working_dir: self.config.working_dir.clone(),
            host_paths: Vec::new(),
            host_outputs: Vec::new(),
            host_globs: Vec::new(),
            named_templates: Vec::new(),
            shared: Arc::new(StepShared::default()),
            http: self.config.http.clone(),
            locks: Arc::clone(&self.locks),
            messages: RateLimit::new(5_000, 1_000),
            progress: RateLimit::new(20, 10),
            processes: 0,
            output,
        }
    }
}

/// WASI without environment, arguments, files and network; `/work` where the guest has a file system API.
pub fn empty_wasi(output: &GuestOutput, work: Option<&Path>) -> WasiCtx {
    let mut builder = WasiCtxBuilder::new();
    builder.allow_tcp(false).allow_udp(false).allow_ip_name_lookup(false);
    builder.stdout(output.clone()).stderr(output.clone());
    if let Some(work) = work
        && let Err(error) = builder.preopened_dir(work, "/work", wasmtime_wasi::FsPerms::ReadWrite)
    {
        tracing::warn!(%error, "a plugin runs without /work");
    }
    builder.build()
}

struct Loaded {
    extensions: HashMap<(ExtensionKind, String), Arc<WasmExtension>>,
    order: Vec<Arc<WasmExtension>>,
    /// Plugin names and where they came from.
    plugins: HashMap<String, String>,
}

/// Loads plugins and hands out what they offer.
pub struct PluginHost {
    inner: Arc<Inner>,
    loaded: Mutex<Loaded>,
}

impl PluginHost {
    /// Touches no plugin and starts no engine.
    pub fn new(config: HostConfig) -> Self {
        let cache = Cache::new(config.cache_dir.as_deref());
        Self {
            inner: Arc::new(Inner {
                config,
                cache,
                locks: Arc::default(),
                kept: Mutex::default(),
                runtime: OnceLock::new(),
            }),
            loaded: Mutex::new(Loaded {
                extensions: HashMap::new(),
                order: Vec::new(),
                plugins: HashMap::new(),
            }),
        }
    }

    /// Loads components that are part of the binary, all at the same time.
    pub async fn load_builtin(&self, components: &[(&str, &'static [u8])]) -> Vec<LoadProblem> {
        let sources = components
            .iter()
            .map(|(name, bytes)| (format!("built-in {name}"), Ok(Source::BuiltIn(bytes))))
            .collect();
        self.load(sources).await
    }

    /// Loads all plugins of a folder: `NAME/plugin.wasm` and `*.wasm`.
    pub async fn load_dir(&self, dir: &Path) -> Vec<LoadProblem> {
        match candidates(dir) {
            Ok(paths) if paths.is_empty() => vec![LoadProblem {
                path: dir.display().to_string(),
                reason: "there is no plugin in this folder (NAME/plugin.wasm or NAME.wasm)".into(),
            }],
            Ok(paths) => {
                let root = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
                let sources = paths
                    .into_iter()
                    .map(|path| (path.display().to_string(), read_component(&root, &path).map(Source::Read)))
                    .collect();
                self.load(sources).await
            }
            Err(error) => vec![LoadProblem {
                path: dir.display().to_string(),
                reason: format!("the plugin folder can't be read: {error}"),
            }],
        }
    }

    async fn load(&self, sources: Vec<(String, Result<Source, String>)>) -> Vec<LoadProblem> {
        let work = sources.into_iter().map(|(origin, source)| async {
            let result = match source {
                Ok(source) => Plugin::load(&self.inner, origin.clone(), source).await,
                Err(reason) => Err(reason),
            };
            (origin, result)
        });
        let results = futures::future::join_all(work).await;
        let mut problems = Vec::new();
        for (path, result) in results {
            let reason = match result {
                Ok((plugin, descriptor)) => self.add(plugin, descriptor).err(),
                Err(reason) => Some(reason),
            };
            problems.extend(reason.map(|reason| LoadProblem { path, reason }));
        }
        problems
    }

    /// Names must be unique, those of plugins because rights are granted by them.
    fn add(&self, plugin: Arc<Plugin>, descriptor: Descriptor) -> Result<(), String> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(other) = loaded.plugins.get(&descriptor.name) {
            return Err(format!("another plugin is named {:?} as well: {other}", descriptor.name));
        }
        for extension in &descriptor.extensions {
            if let Some(other) = loaded.extensions.get(&(extension.kind, extension.name.clone())) {
                return Err(format!(
                    "the {} {:?} is offered by another plugin as well: {}",
                    extension.kind.as_str(),
                    extension.name,
                    other.origin()
                ));
            }
        }
        loaded.plugins.insert(descriptor.name.clone(), plugin.origin.clone());
        for extension in descriptor.extensions {
            let requests: Vec<_> = extension.capabilities.iter().map(|r| r.capability.clone()).collect();
            let id = PluginId { name: &descriptor.name, digest: &plugin.digest, built_in: plugin.built_in };
            let rights = self.inner.config.policy.effective(id, &requests);
            let info = ExtensionInfo {
                kind: extension.kind,
                name: extension.name.clone(),
                summary: extension.summary,
                docs: extension.docs,
                schema: extension.schema,
                examples: extension.examples,
                capabilities: extension
                    .capabilities
                    .into_iter()
                    .map(|r| CapabilityRequest {
                        granted: rights.covers(&r.capability),
                        capability: r.capability,
                        required: r.required,
                        reason: r.reason,
                    })
                    .collect(),
                plugin_name: descriptor.name.clone(),
                plugin_version: descriptor.version.clone(),
                plugin_digest: plugin.digest.clone(),
                origin: if plugin.built_in { "built-in".into() } else { plugin.origin.clone() },
            };
            let extension_name = extension.name;
            let made =
                Arc::new(WasmExtension::new(info, rights, Arc::clone(&plugin), Arc::clone(&self.inner)));
            loaded.extensions.insert((extension.kind, extension_name), Arc::clone(&made));
            loaded.order.push(made);
        }
        Ok(())
    }

    /// What was loaded so far.
    pub fn catalog(&self) -> Arc<dyn PluginCatalog> {
        let loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::new(Catalog { extensions: loaded.extensions.clone(), order: loaded.order.clone() })
    }
}

struct Catalog {
    extensions: HashMap<(ExtensionKind, String), Arc<WasmExtension>>,
    order: Vec<Arc<WasmExtension>>,
}

impl PluginCatalog for Catalog {
    fn find(&self, kind: ExtensionKind, name: &str) -> Option<Arc<dyn Extension>> {
        self.extensions.get(&(kind, name.to_owned())).map(|e| Arc::clone(e) as Arc<dyn Extension>)
    }

    fn list(&self) -> Vec<Arc<dyn Extension>> {
        self.order.iter().map(|e| Arc::clone(e) as Arc<dyn Extension>).collect()
    }
}

/// The files of a folder that are or look like plugins, sorted.
fn candidates(dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
        if path.is_dir() {
            for name in ["plugin.wasm", "plugin.cwasm"] {
                let inner = path.join(name);
                if inner.symlink_metadata().is_ok() {
                    paths.push(inner);
                }
            }
        } else if matches!(extension, "wasm" | "cwasm") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn read_component(root: &Path, path: &Path) -> Result<Vec<u8>, String> {
    if path.extension().is_some_and(|e| e == "cwasm") {
        return Err("it is native code; only .wasm components are loaded from a plugin folder".into());
    }
    let real = path.canonicalize().map_err(|e| format!("it can't be read: {e}"))?;
    if !real.starts_with(root) {
        return Err(format!("it is a symbolic link that leaves the plugin folder (to {})", real.display()));
    }
    let file = std::fs::File::open(&real).map_err(|e| format!("it can't be read: {e}"))?;
    let meta = file.metadata().map_err(|e| format!("it can't be read: {e}"))?;
    let too_large = || format!("it is larger than {} MiB", COMPONENT / 1024 / 1024);
    if !meta.is_file() {
        return Err("it is no regular file".into());
    }
    if meta.len() > COMPONENT {
        return Err(too_large());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(meta.len()).unwrap_or_default());
    file.take(COMPONENT + 1).read_to_end(&mut bytes).map_err(|e| format!("it can't be read: {e}"))?;
    if bytes.len() as u64 > COMPONENT {
        return Err(too_large());
    }
    Ok(bytes)
}

#[cfg(test)]
pub fn testing_inner(config: HostConfig) -> Inner {
    Inner {
        config,
        cache: Cache::new(None),
        locks: Arc::default(),
        kept: Mutex::default(),
        runtime: OnceLock::new(),
    }
}
