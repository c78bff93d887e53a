//! The `jail` machine: a real Debian user land with a real SSH server, in Linux namespaces.
//!
//! A machine is an overlay over a cached root file system, in user, mount, process, host name and IPC namespaces of its
//! own (and a network namespace where asked for). Its users are nobody on the host. No port is opened: each connection
//! is a socket pair with an `sshd -i` at its other end. What it cannot show: a kernel, a boot, running services.
//!
//! Nothing survives the simulator's process, however it ends: processes hang on a life line (see `wire`), mounts on the
//! namespaces of those processes, and files lie in a run folder that the next process sweeps.
//!
//! A program that uses jails has to start with [`child_main_if_requested`].

mod base;
mod bootstrap;
mod child;
mod extras;
mod folder;
mod guest;
mod helper;
mod ids;
mod init;
mod instance;
mod layer;
mod mounts;
mod provenance;
mod tool;
mod uplink;
mod wire;

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use uuid::Uuid;

use super::record::{Record, RecordConfig, describe};
use super::{Base, Machine, MachineBackend, MachineError, MachineSpec};
use crate::catalogue::Catalogue;
use base::{Bases, Prepared};
use folder::RunFolder;
use helper::Helper;
pub use helper::Progress;
use ids::IdMap;
use instance::JailMachine;
use wire::Order;

/// What every jail lacks, for whoever reads a status or a provenance.
const SERVICES: &str = "services are enabled but not started";
const PROBE: Duration = Duration::from_secs(20);

/// Runs as a helper process where the program was started as one; otherwise none. The first thing in `main`.
pub fn child_main_if_requested() -> Option<ExitCode> {
    child::main_if_requested()
}

/// How a machine reaches the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Network {
    /// A network of its own with a way out where `pasta` is installed and works, otherwise the host's.
    #[default]
    Auto,
    /// It shares the host's interfaces: package mirrors can be reached, and so can services on the host's loopback; it
    /// cannot listen on ports below 1024.
    Host,
    /// A loopback interface of its own and no route out.
    Isolated,
}

/// How jails are made.
#[derive(Clone)]
pub struct JailConfig {
    /// Root file systems stay here; some hundred megabytes each.
    pub cache_dir: PathBuf,
    /// Disks of machines and captured images, as long as the process lives. On a file system that an overlay can
    /// write to: not an overlay itself.
    pub run_dir: PathBuf,
    pub catalogue: Catalogue,
    pub network: Network,
    /// Told what takes long: building and unpacking a root file system.
    pub progress: Progress,
    /// A program that starts with [`child_main_if_requested`]; by default the current one.
    pub program: PathBuf,
}

impl JailConfig {
    /// The usual settings, with cache and run folder in one folder.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        let folder = folder.into();
        Self {
            cache_dir: folder.join("bases"),
            run_dir: folder.join("machines"),
            catalogue: Catalogue::default(),
            network: Network::default(),
            progress: Arc::new(|_| {}),
            // Also right when the file was replaced or removed meanwhile.
            program: PathBuf::from("/proc/self/exe"),
        }
    }

    /// `$FORNAX_CACHE_DIR`, or `fornax` in the user's cache folder.
    pub fn default_folder() -> PathBuf {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        set("FORNAX_CACHE_DIR").unwrap_or_else(|| {
            let cache = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
            cache.unwrap_or_else(std::env::temp_dir).join("fornax")
        })
    }
}

impl Default for JailConfig {
    fn default() -> Self {
        Self::new(Self::default_folder())
    }
}

/// Makes machines in jails.
pub struct Jail {
    bases: Bases,
    catalogue: Catalogue,
    shared: Arc<Shared>,
}

/// What machines and the backend share.
struct Shared {
    helper: Helper,
    run: RunFolder,
    network: Network,
    images: Mutex<HashMap<String, Image>>,
}

impl Shared {
    fn images(&self) -> MutexGuard<'_, HashMap<String, Image>> {
        self.images.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A captured image: its own layer above those that it was made from.
#[derive(Clone)]
struct Image {
    base: Arc<Prepared>,
    layers: Vec<Arc<Layer>>,
    name: String,
}

/// A sealed layer. It lies on disk as long as an image or a machine needs it.
#[derive(Debug)]
struct Layer {
    folder: PathBuf,
}

impl Layer {
    fn content(&self) -> PathBuf {
        self.folder.join("layer")
    }

    fn tarball(&self) -> PathBuf {
        self.folder.join("layer.tar.zst")
    }

    fn name(&self) -> String {
        self.folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}

/// Gives up the use of layers, and removes those that nobody uses any more.
async fn release(helper: &Helper, layers: Vec<Arc<Layer>>) -> Result<(), MachineError> {
    for layer in layers.into_iter().filter_map(Arc::into_inner) {
        folder::remove(helper, &layer.folder).await?;
    }
    Ok(())
}

impl Jail {
    /// Takes a run folder and removes those of dead processes. Fails where the ids of a jail cannot be had.
    pub fn new(config: JailConfig) -> Result<Arc<Self>, MachineError> {
        let helper = Helper { program: config.program, ids: IdMap::detect()? };
        let run = RunFolder::create(&config.run_dir, &helper)?;
        let bases = Bases { folder: config.cache_dir, helper: helper.clone(), progress: config.progress };
        let shared = Arc::new(Shared { helper, run, network: config.network, images: Mutex::default() });
        Ok(Arc::new(Self { bases, catalogue: config.catalogue, shared }))
    }

    /// Tries whether a machine can be made here, without building a root file system: namespaces, ids, overlay,
    /// process table for real; the default base by what it needs.
    pub async fn probe(&self) -> Result<(), MachineError> {
        let helper = &self.shared.helper;
        let scratch = self.shared.run.path().join(format!("probe-{}", Uuid::new_v4()));
        folder::create_owned(&scratch, &helper.ids)?;
        let result = helper.run(&Order::Probe { scratch: scratch.clone() }, None, None, PROBE).await;
        let removed = folder::remove(helper, &scratch).await;
        result.and(removed).map_err(|error| MachineError::Unsupported {
            reason: error.to_string(),
            help: "a jail needs Linux 5.11 or later with user namespaces (user.max_user_namespaces, \
                   kernel.apparmor_restrict_unprivileged_userns, or root), and a run folder that is no overlay itself"
                .to_owned(),
        })?;
        self.bases.check(&self.catalogue.default)
    }

    /// Removes all root file systems from the cache. Unlike a plain removal it also reaches files that belong to users
    /// of a jail; no machine must be running on them.
    pub async fn clear_cache(&self) -> Result<(), MachineError> {
        self.bases.clear().await
    }

    /// Builds and unpacks the default base where it is not in the cache yet, so that the first machine starts at once.
    pub async fn prepare(&self) -> Result<(), MachineError> {
        self.bases.prepare(&self.catalogue.default).await.map(drop)
    }
}

#[async_trait]
impl MachineBackend for Jail {
    fn name(&self) -> &'static str {
        "jail"
    }

    async fn create(&self, spec: MachineSpec) -> Result<Arc<dyn Machine>, MachineError> {
        check(&spec)?;
        let (base, layers, description) = match &spec.base {
            Base::Captured { handle } => {
                let image = self.shared.images().get(handle).cloned().ok_or_else(|| {
                    MachineError::Failed(format!(
                        "the captured image {handle} is not known to this simulator; it lives only as long as the \
                         process that captured it"
                    ))
                })?;
                (image.base, image.layers, image.name)
            }
            base => {
                let source =
                    self.catalogue.resolve(base).map_err(|error| MachineError::Failed(error.to_string()))?;
                (self.bases.prepare(source).await?, Vec::new(), describe(base))
            }
        };
        let machine = JailMachine::new(Arc::clone(&self.shared), spec, base, layers, description)?;
        if let Err(error) = machine.start().await {
            machine.delete().await?;
            return Err(error);
        }
        Ok(machine)
    }

    async fn delete_image(&self, handle: &str) -> Result<(), MachineError> {
        let Some(image) = self.shared.images().remove(handle) else { return Ok(()) };
        if let Some(own) = image.layers.first() {
            // A machine may still stand on the layer; the tarball has no other user.
            match std::fs::remove_file(own.tarball()) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(folder::io_error(&own.tarball())(error));
                }
                _ => {}
            }
        }
        release(&self.shared.helper, image.layers).await
    }
}

/// Names become parts of files of the machine, so they hold nothing that those files would read as something else.
fn check(spec: &MachineSpec) -> Result<(), MachineError> {
    let plain = |text: &str, more: &str| {
        text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
            && text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
    };
    if spec.os_type.eq_ignore_ascii_case("windows") {
        return Err(MachineError::Unsupported {
            reason: "a jail runs Linux only".to_owned(),
            help: "use the record machine for Windows images".to_owned(),
        });
    }
    if !plain(&spec.admin_username, "_.-") || spec.admin_username.len() > 32 {
        return Err(MachineError::Failed(format!("{:?} is no name for a Linux user", spec.admin_username)));
    }
    if !plain(&spec.computer_name, ".-") || spec.computer_name.len() > 64 {
        return Err(MachineError::Failed(format!("{:?} is no host name", spec.computer_name)));
    }
    Ok(())
}

/// The best machine that can be made here, and a line that says which it is and why it is no better one.
pub async fn auto(
    jail: JailConfig,
    record: RecordConfig,
) -> Result<(Arc<dyn MachineBackend>, String), MachineError> {
    let attempt = async {
        let jail = Jail::new(jail)?;
        jail.probe().await?;
        Ok::<_, MachineError>(jail)
    };
    match attempt.await {
        Ok(jail) => Ok((jail, format!("machines are jails: a real user land; {SERVICES}"))),
        Err(error) => {
            let line =
                format!("machines record commands and execute none, because no jail can be made: {error}");
            Ok((Record::new(record)?, line))
        }
    }
}
