//! What stands behind a simulated virtual machine.
//!
//! The Resource Manager side creates, stops, captures and deletes machines only through the two traits here. Backends:
//! `record` (commands are recorded, not executed) and `jail` (an own root file system in Linux namespaces).

pub mod jail;
pub mod record;

use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite};

/// A byte stream on which the machine's SSH server speaks.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Where a machine's disk comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Base {
    /// A platform image: publisher, offer, sku and exact version.
    Marketplace { publisher: String, offer: String, sku: String, version: String },
    /// An image that was seeded: the name of a base in the catalogue file, or none for the default base.
    Seeded { image_id: String, base: Option<String> },
    /// An image that this simulator captured; the handle is what [`Machine::capture`] returned.
    Captured { handle: String },
}

/// What a new machine is made of.
#[derive(Clone)]
pub struct MachineSpec {
    /// Full resource id of the virtual machine.
    pub id: String,
    pub computer_name: String,
    pub os_type: String,
    pub admin_username: String,
    /// Set only where password login is allowed.
    pub admin_password: Option<String>,
    /// Lines as in an authorized_keys file.
    pub ssh_public_keys: Vec<String>,
    pub custom_data: Option<Vec<u8>>,
    pub base: Base,
}

/// What a capture left behind.
#[derive(Clone, Debug)]
pub struct Captured {
    /// Names the captured image among those of this backend; goes into [`Base::Captured`].
    pub handle: String,
    /// What was recorded or written, for `inventory`: a JSON object.
    pub provenance: serde_json::Value,
}

/// Why a machine could not do what it was told.
#[derive(Debug, thiserror::Error)]
pub enum MachineError {
    #[error("the machine is not running")]
    NotRunning,
    #[error("this machine cannot run here: {reason}; {help}")]
    Unsupported { reason: String, help: String },
    #[error("{what}")]
    Io {
        what: String,
        #[source]
        source: io::Error,
    },
    #[error("{0}")]
    Failed(String),
}

/// Makes machines of one kind.
#[async_trait]
pub trait MachineBackend: Send + Sync {
    /// `record` or `jail`.
    fn name(&self) -> &'static str;
    /// Creates and boots a machine. Everything it needs on the host vanishes with [`Machine::delete`] or with the
    /// simulator's process.
    async fn create(&self, spec: MachineSpec) -> Result<Arc<dyn Machine>, MachineError>;
    /// Forgets a captured image and frees its place on disk. Unknown handles are no error.
    async fn delete_image(&self, handle: &str) -> Result<(), MachineError>;
}

/// One machine.
#[async_trait]
pub trait Machine: Send + Sync {
    /// A new connection to the machine's SSH server, as TCP port 22 would give it.
    async fn connect(&self) -> Result<Box<dyn Stream>, MachineError>;
    /// One line on what the machine is doing, for the instance view (`VM agent` status).
    fn status(&self) -> String;
    async fn start(&self) -> Result<(), MachineError>;
    /// Ends every process; the disk stays.
    async fn power_off(&self) -> Result<(), MachineError>;
    async fn restart(&self) -> Result<(), MachineError>;
    /// Seals the disk as an image. The machine must be powered off.
    async fn capture(&self, image_id: &str) -> Result<Captured, MachineError>;
    /// Ends the machine and removes its disk.
    async fn delete(&self) -> Result<(), MachineError>;
}
