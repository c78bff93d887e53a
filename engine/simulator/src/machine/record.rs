//! The `record` machine: an SSH server that records what it is told and executes nothing.
//!
//! It runs everywhere, needs no privilege and takes no time, so it carries tests, fault scripts and dry runs. Commands
//! are kept with the size and digest of what was sent to them, uploads land in a memory file system, and both go into
//! the provenance of a captured image. It never pretends: the login banner, [`Machine::status`] and the provenance all
//! say that nothing was executed. Everything it keeps is capped by [`Limits`], and what was cut is counted.

mod channel;
mod config;
mod files;
mod log;
mod plan;
mod scp;
mod server;
mod sftp;
mod shell;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use async_trait::async_trait;
use russh::keys::ssh_key::private::{Ed25519Keypair, KeypairData};
use russh::keys::{PrivateKey, PublicKey};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Base, Captured, Machine, MachineBackend, MachineError, MachineSpec, Stream};
pub use config::{Limits, RecordConfig, ScriptRule};
use files::FileSystem;
use log::CommandLog;
pub use log::{CommandRecord, StdinRecord};

/// Bytes in flight between the two ends of a connection.
const PIPE: usize = 256 * 1024;

/// Makes machines that record commands instead of executing them.
pub struct Record {
    rules: Arc<config::Rules>,
    config: RecordConfig,
    images: Arc<Mutex<HashMap<String, FileSystem>>>,
}

impl Record {
    /// A backend with these rules and limits. Fails where a rule's pattern is no regular expression.
    pub fn new(config: RecordConfig) -> Result<Arc<Self>, MachineError> {
        let rules = Arc::new(config::Rules::compile(&config.rules)?);
        Ok(Arc::new(Self { rules, config, images: Arc::default() }))
    }
}

#[async_trait]
impl MachineBackend for Record {
    fn name(&self) -> &'static str {
        "record"
    }

    async fn create(&self, spec: MachineSpec) -> Result<Arc<dyn Machine>, MachineError> {
        let files = match &spec.base {
            Base::Captured { handle } => lock(&self.images).get(handle).cloned().ok_or_else(|| {
                MachineError::Failed(format!(
                    "the captured image {handle} is not known to this simulator; it lives only as long as the process \
                     that captured it"
                ))
            })?,
            Base::Marketplace { .. } | Base::Seeded { .. } => FileSystem::new(self.config.limits),
        };
        let keys = spec
            .ssh_public_keys
            .iter()
            .filter(|line| !line.trim().is_empty())
            .map(|line| {
                PublicKey::from_openssh(line.trim()).map_err(|error| {
                    MachineError::Failed(format!(
                        "a public key of {} is not in OpenSSH's format: {error}",
                        spec.computer_name
                    ))
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        let disk = Disk { log: CommandLog::new(self.config.limits), files };
        let guest = Arc::new(Guest {
            user: spec.admin_username.clone(),
            hostname: spec.computer_name.clone(),
            password: spec.admin_password.clone(),
            keys,
            rules: Arc::clone(&self.rules),
            disk: Mutex::new(disk),
        });
        guest.disk().files.home(&guest.user);
        let machine = RecordMachine {
            server: Arc::new(server::settings(host_key()?)),
            power: Mutex::new(Some(Power { since: Instant::now(), off: CancellationToken::new() })),
            boot: self.config.boot(),
            images: Arc::clone(&self.images),
            base: describe(&spec.base),
            guest,
        };
        Ok(Arc::new(machine))
    }

    async fn delete_image(&self, handle: &str) -> Result<(), MachineError> {
        lock(&self.images).remove(handle);
        Ok(())
    }
}

/// What the connections of one machine share.
struct Guest {
    user: String,
    hostname: String,
    password: Option<String>,
    keys: Vec<PublicKey>,
    rules: Arc<config::Rules>,
    disk: Mutex<Disk>,
}

impl Guest {
    fn disk(&self) -> MutexGuard<'_, Disk> {
        lock(&self.disk)
    }
}

struct Disk {
    log: CommandLog,
    files: FileSystem,
}

struct Power {
    since: Instant,
    off: CancellationToken,
}

struct RecordMachine {
    guest: Arc<Guest>,
    server: Arc<russh::server::Config>,
    power: Mutex<Option<Power>>,
    boot: std::time::Duration,
    images: Arc<Mutex<HashMap<String, FileSystem>>>,
    base: String,
}

impl RecordMachine {
    fn booting(&self, power: &Power) -> bool {
        power.since.elapsed() < self.boot
    }
}

#[async_trait]
impl Machine for RecordMachine {
    async fn connect(&self) -> Result<Box<dyn Stream>, MachineError> {
        let off = match &*lock(&self.power) {
            Some(power) if !self.booting(power) => power.off.child_token(),
            _ => return Err(MachineError::NotRunning),
        };
        let (ours, theirs) = tokio::io::duplex(PIPE);
        server::serve(Arc::clone(&self.server), ours, Arc::clone(&self.guest), off);
        Ok(Box::new(theirs))
    }

    fn status(&self) -> String {
        match &*lock(&self.power) {
            None => "stopped".to_owned(),
            Some(power) if self.booting(power) => {
                "booting; this machine records commands and executes none".to_owned()
            }
            Some(_) => format!(
                "running; records commands and executes none ({} so far)",
                self.guest.disk().log.count()
            ),
        }
    }

    async fn start(&self) -> Result<(), MachineError> {
        lock(&self.power)
            .get_or_insert_with(|| Power { since: Instant::now(), off: CancellationToken::new() });
        Ok(())
    }

    async fn power_off(&self) -> Result<(), MachineError> {
        if let Some(power) = lock(&self.power).take() {
            power.off.cancel();
        }
        Ok(())
    }

    async fn restart(&self) -> Result<(), MachineError> {
        self.power_off().await?;
        self.start().await
    }

    async fn capture(&self, image_id: &str) -> Result<Captured, MachineError> {
        if lock(&self.power).is_some() {
            return Err(MachineError::Failed(
                "the machine is running; an image can only be captured from a machine that is powered off"
                    .to_owned(),
            ));
        }
        let disk = self.guest.disk();
        let handle = Uuid::new_v4().to_string();
        let provenance = json!({
            "machine": "record",
            "executed": false,
            "image": image_id,
            "base": self.base,
            "commands": disk.log.records(),
            "commands_dropped": disk.log.dropped(),
            "files": disk.files.listing(),
            "files_dropped": disk.files.dropped(),
        });
        lock(&self.images).insert(handle.clone(), disk.files.clone());
        Ok(Captured { handle, provenance })
    }

    async fn delete(&self) -> Result<(), MachineError> {
        self.power_off().await?;
        let mut disk = self.guest.disk();
        disk.log.clear();
        disk.files.clear();
        Ok(())
    }
}

impl Drop for RecordMachine {
    fn drop(&mut self) {
        if let Some(power) = lock(&self.power).take() {
            power.off.cancel();
        }
    }
}

/// A fresh ed25519 host key, as a machine makes one at its first boot.
fn host_key() -> Result<PrivateKey, MachineError> {
    let mut seed = [0_u8; 32];
    getrandom::fill(&mut seed)
        .map_err(|error| MachineError::Failed(format!("the system has no random numbers: {error}")))?;
    let pair = KeypairData::Ed25519(Ed25519Keypair::from_seed(&seed));
    PrivateKey::new(pair, "")
        .map_err(|error| MachineError::Failed(format!("no host key could be made: {error}")))
}

/// The source of a machine in one line.
pub(super) fn describe(base: &Base) -> String {
    match base {
        Base::Marketplace { publisher, offer, sku, version } => {
            format!("{publisher}:{offer}:{sku}:{version}")
        }
        Base::Seeded { image_id, base: None } => image_id.clone(),
        Base::Seeded { image_id, base: Some(base) } => format!("{image_id} ({base})"),
        Base::Captured { handle } => format!("captured image {handle}"),
    }
}

/// A poisoned lock only says that another task panicked; the data behind ours is consistent after every statement.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
