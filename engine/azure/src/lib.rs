//! The azure-arm builder.

/// What the engine calls itself towards services.
pub(crate) const USER_AGENT: &str = concat!("fornax/", env!("CARGO_PKG_VERSION"));

mod arm;
mod client;
pub mod cloud;
pub mod error;
mod gate;
mod id;
mod lro;
mod random;
mod retry;
#[cfg(test)]
mod testing;
pub mod token;
pub mod transport;

pub use transport::{ReqwestTransport, Transport, TransportError};
