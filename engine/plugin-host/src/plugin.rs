//! One loaded plugin: its bytes until they are needed, its native code once a function of it is called, and the
//! description that was cached or asked for.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sha2::Digest;
use tokio::sync::OnceCell;
use wasmtime::component::Component;
use wasmtime::{Store, Trap};

use crate::bindings::post_processor::PostProcessorPluginPre;
use crate::bindings::provisioner::ProvisionerPluginPre;
use crate::descriptor::{Descriptor, Shape};
use crate::engine::Runtime;
use crate::host::Inner;
use crate::state::{Phase, State};

/// The bytes of a component.
pub enum Source {
    BuiltIn(&'static [u8]),
    Read(Vec<u8>),
}

impl Source {
    fn bytes(&self) -> &[u8] {
        match self {
            Source::BuiltIn(bytes) => bytes,
            Source::Read(bytes) => bytes,
        }
    }
}

/// Checks that bytes are a component before anything else is done with them.
pub fn check_header(bytes: &[u8]) -> Result<(), String> {
    match bytes.get(..8) {
        Some([0, b'a', b's', b'm', 0x0d, 0, 1, 0]) => Ok(()),
        Some([0, b'a', b's', b'm', 1, 0, 0, 0]) => {
            Err("it is a WebAssembly module, not a component; build it for wasm32-wasip2".into())
        }
        Some([0x7f, b'E', b'L', b'F', ..]) => {
            Err("it is native code, not a WebAssembly component; native code is never loaded from a plugin folder".into())
        }
        _ => Err("it is no WebAssembly component".into()),
    }
}

/// Lower-case hexadecimal SHA-256.
pub fn digest(bytes: &[u8]) -> String {
    sha2::Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// A component, compiled and linked.
pub struct Compiled {
    pub provisioner: Option<ProvisionerPluginPre<State>>,
    pub post_processor: Option<PostProcessorPluginPre<State>>,
}

/// A plugin.
pub struct Plugin {
    pub digest: String,
    /// `built-in NAME` or the path of the file.
    pub origin: String,
    /// Whether its bytes are part of the binary.
    pub built_in: bool,
    pub imports: Vec<String>,
    source: Mutex<Option<Arc<Source>>>,
    compiled: OnceCell<Compiled>,
}

impl Plugin {
    /// Takes a component in: from the cache if it was seen before, otherwise by compiling and asking it.
    pub async fn load(
        host: &Arc<Inner>,
        origin: String,
        source: Source,
    ) -> Result<(Arc<Self>, Descriptor), String> {
        check_header(source.bytes())?;
        let digest = digest(source.bytes());
        let built_in = matches!(source, Source::BuiltIn(_));
        if let Some(descriptor) =
            host.cache.descriptor(&digest).and_then(|json| serde_json::from_str::<Descriptor>(&json).ok())
        {
            let plugin = Self {
                digest,
                origin,
                built_in,
                imports: descriptor.imports.clone(),
                source: Mutex::new(Some(Arc::new(source))),
                compiled: OnceCell::new(),
            };
            return Ok((Arc::new(plugin), descriptor));
        }
        let runtime = host.runtime()?;
        let (compiled, shape) = compile(host, &runtime, &digest, Arc::new(source)).await?;
        let descriptor = describe(host, &runtime, &compiled, &digest, &shape).await?;
        if let Ok(json) = serde_json::to_string(&descriptor) {
            host.cache.store_descriptor(&digest, &json);
        }
        let plugin = Self {
            digest,
            origin,
            built_in,
            imports: descriptor.imports.clone(),
            source: Mutex::new(None),
            compiled: OnceCell::new_with(Some(compiled)),
        };
        Ok((Arc::new(plugin), descriptor))
    }

    /// The native code, loaded or made when it is first needed.
    pub async fn compiled(&self, host: &Arc<Inner>) -> Result<&Compiled, String> {
        self.compiled
            .get_or_try_init(|| async {
                let source = self.source.lock().unwrap_or_else(PoisonError::into_inner).clone();
                let source = source.ok_or("its bytes were given back already")?;
                let runtime = host.runtime()?;
                let (compiled, _) = compile(host, &runtime, &self.digest, source).await?;
                self.source.lock().unwrap_or_else(PoisonError::into_inner).take();
                Ok(compiled)
            })
            .await
    }

    /// Whether the guest uses a file system API.
    pub fn wants_files(&self) -> bool {
        self.imports.iter().any(|i| i.starts_with("wasi:filesystem/"))
    }
}

/// Loads the native code from the cache or compiles it, checks the imports and links it.
async fn compile(
    host: &Arc<Inner>,
    runtime: &Arc<Runtime>,
    digest: &str,
    source: Arc<Source>,
) -> Result<(Compiled, Shape), String> {
    let (host, runtime, digest) = (Arc::clone(host), Arc::clone(runtime), digest.to_owned());
    let work = tokio::task::spawn_blocking(move || {
        let component = component(&host, &runtime, &digest, &source)?;
        let shape = shape(&component, &runtime)?;
        link(&runtime, &component, &shape).map(|compiled| (compiled, shape))
    });
    work.await.map_err(|e| format!("its compilation failed: {e}"))?
}

fn component(host: &Inner, runtime: &Runtime, digest: &str, source: &Source) -> Result<Component, String> {
    let engine = engine_key(&runtime.engine);
    if let Some(path) = host.cache.code(digest, &engine) {
        // SAFETY: the file lies in the user's own cache folder, which nobody else can write to, and was put there by
        // this engine as the result of compiling the component with this digest.
        match unsafe { Component::deserialize_file(&runtime.engine, &path) } {
            Ok(component) => return Ok(component),
            Err(error) => {
                tracing::debug!(path = %path.display(), %error, "a cached plugin is compiled again")
            }
        }
    }
    let component = Component::new(&runtime.engine, source.bytes())
        .map_err(|e| format!("it is no valid WebAssembly component: {e:#}"))?;
    // Only what passes the check of its imports is worth keeping.
    shape(&component, runtime)?;
    match component.serialize() {
        Ok(code) => host.cache.store_code(digest, &engine, &code),
        Err(error) => tracing::warn!(%error, "the compiled plugin can't be cached"),
    }
    Ok(component)
}

fn engine_key(engine: &wasmtime::Engine) -> String {
    use std::hash::{Hash, Hasher};
    struct Hex(sha2::Sha256);
    impl Hasher for Hex {
        fn finish(&self) -> u64 {
            0
        }
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }
    }
    let mut hasher = Hex(sha2::Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher.0.finalize().iter().take(12).map(|b| format!("{b:02x}")).collect()
}

fn shape(component: &Component, runtime: &Runtime) -> Result<Shape, String> {
    let ty = component.component_type();
    let imports = ty.imports(&runtime.engine).map(|(name, _)| name.to_owned()).collect();
    let exports: Vec<String> = ty.exports(&runtime.engine).map(|(name, _)| name.to_owned()).collect();
    Shape::check(imports, &exports)
}

fn link(runtime: &Runtime, component: &Component, shape: &Shape) -> Result<Compiled, String> {
    let wrong = |e: wasmtime::Error| format!("it does not fit the plugin interface of this engine: {e:#}");
    let pre = runtime.linker.instantiate_pre(component).map_err(wrong)?;
    Ok(Compiled {
        provisioner: match shape.provisioner {
            true => Some(ProvisionerPluginPre::new(pre.clone()).map_err(wrong)?),
            false => None,
        },
        post_processor: match shape.post_processor {
            true => Some(PostProcessorPluginPre::new(pre).map_err(wrong)?),
            false => None,
        },
    })
}

/// Asks a plugin what it offers: without any right, with little fuel and memory.
async fn describe(
    host: &Arc<Inner>,
    runtime: &Runtime,
    compiled: &Compiled,
    digest: &str,
    shape: &Shape,
) -> Result<Descriptor, String> {
    let state = host.bare_state("(describing itself)", Phase::Describe, host.config.limits.describe_memory);
    let output = state.output.clone();
    let mut store =
        new_store(runtime, state, host.config.limits.describe_fuel).map_err(|e| format!("{e:#}"))?;
    let _ticking = runtime.ticking();
    let limit = Duration::from_secs(10);
    let call = async {
        if let Some(pre) = &compiled.provisioner {
            let guest = pre.instantiate_async(&mut store).await?;
            return guest.fornax_plugin_plugin().call_describe(&mut store).await;
        }
        let Some(pre) = &compiled.post_processor else {
            wasmtime::bail!("it exports neither a provisioner nor a post-processor");
        };
        let guest = pre.instantiate_async(&mut store).await?;
        guest.fornax_plugin_plugin().call_describe(&mut store).await.map(from_post_processor)
    };
    match tokio::time::timeout(limit, call).await {
        Ok(Ok(found)) => Descriptor::check(found, shape),
        Ok(Err(error)) => Err(format!(
            "it (SHA-256 {digest}) was stopped in describe: {}",
            trap_reason(&error, &output.last_words())
        )),
        Err(_) => Err(format!("it (SHA-256 {digest}) did not describe itself within {} s", limit.as_secs())),
    }
}

/// A store with the bounds that hold for every guest.
pub fn new_store(runtime: &Runtime, state: State, fuel: u64) -> wasmtime::Result<Store<State>> {
    let mut store = Store::new(&runtime.engine, state);
    store.limiter(|state| &mut state.limiter);
    store.set_fuel(fuel)?;
    store.set_epoch_deadline(1);
    store.epoch_deadline_async_yield_and_update(1);
    store.set_hostcall_fuel(64 * 1024 * 1024);
    Ok(store)
}

/// Why a guest was stopped, for people.
pub fn trap_reason(error: &wasmtime::Error, last_words: &str) -> String {
    let reason = match error.downcast_ref::<Trap>() {
        Some(Trap::OutOfFuel) => "it computed for too long".to_owned(),
        Some(Trap::UnreachableCodeReached) if !last_words.is_empty() => {
            return format!("it panicked: {last_words}");
        }
        Some(Trap::UnreachableCodeReached) => "it panicked without a message".to_owned(),
        Some(trap) => trap.to_string(),
        None => match error.downcast_ref::<wasmtime_wasi::I32Exit>() {
            Some(exit) => format!("it ended itself with exit status {}", exit.0),
            None => error.root_cause().to_string(),
        },
    };
    if last_words.is_empty() { reason } else { format!("{reason}; its last words: {last_words}") }
}

/// Both worlds export the same interface, for which the bindings generate two sets of types.
fn from_post_processor(
    found: crate::bindings::post_processor::exports::fornax::plugin::plugin::Descriptor,
) -> crate::bindings::provisioner::exports::fornax::plugin::plugin::Descriptor {
    use crate::bindings::post_processor::exports::fornax::plugin::plugin as from;
    use crate::bindings::provisioner::exports::fornax::plugin::plugin as to;
    to::Descriptor {
        name: found.name,
        version: found.version,
        summary: found.summary,
        license: found.license,
        homepage: found.homepage,
        extensions: found
            .extensions
            .into_iter()
            .map(|e| to::Extension {
                kind: match e.kind {
                    from::ExtensionKind::Provisioner => to::ExtensionKind::Provisioner,
                    from::ExtensionKind::PostProcessor => to::ExtensionKind::PostProcessor,
                },
                name: e.name,
                summary: e.summary,
                docs: e.docs,
                config_schema: e.config_schema,
                examples: e.examples,
                capabilities: e
                    .capabilities
                    .into_iter()
                    .map(|c| to::CapabilityRequest {
                        capability: match c.capability {
                            from::Capability::Network(v) => to::Capability::Network(v),
                            from::Capability::HostFilesRead(v) => to::Capability::HostFilesRead(v),
                            from::Capability::HostExec(v) => to::Capability::HostExec(v),
                            from::Capability::SecretsReveal => to::Capability::SecretsReveal,
                            from::Capability::MachineRawAccess => to::Capability::MachineRawAccess,
                        },
                        required: c.required,
                        reason: c.reason,
                    })
                    .collect(),
            })
            .collect(),
    }
}
