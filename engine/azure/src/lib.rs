//! The azure-arm builder: makes a managed image in Azure out of a marketplace image or another managed image.
//!
//! ```text
//! template → config → builder ─ preflight ─ network ─ machine ─ provision ─ capture ─ artifact
//!                        │            └──────────┴────────┴──────────────────┘
//!                        │                 lro (operations) ─ arm (one call) ─ transport
//!                        └ undo: by the journal of this process or of one that died, or by the build's tag
//! ```
//!
//! Resources are made by direct calls, without a template deployment, so that what is independent is made at the same
//! time and each failure is the service's own word on one resource. `client` is the only file that names the SDK.

/// What the engine calls itself towards services.
pub(crate) const USER_AGENT: &str = concat!("fornax/", env!("CARGO_PKG_VERSION"));

mod arm;
mod artifact;
mod builder;
mod capture;
mod client;
pub mod cloud;
pub mod config;
pub mod error;
mod gate;
mod id;
mod lro;
mod machine;
mod names;
mod network;
mod preflight;
mod random;
mod retry;
mod run;
mod sweep;
mod target;
#[cfg(test)]
mod testing;
pub mod token;
pub mod transport;
mod undo;
mod waiting;

pub use builder::{AzureFactory, AzureSettings};
pub use config::{Config, Presupposition};
pub use lro::{BUILD_TAG, PROCESS_TAG};
pub use sweep::{AzureSweep, TaggedBuild};
pub use target::Target;
pub use transport::{ReqwestTransport, Transport, TransportError};
pub use undo::{AzureUndo, UndoSetupError};
