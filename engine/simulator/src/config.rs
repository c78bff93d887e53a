//! What a simulator is made of: latency profile, credentials, seed, faults and the machines behind it.
//!
//! These types are the whole public configuration; the command line and the tests fill them in and hand them to
//! [`crate::Simulator::new`]. The client secret never appears in `Debug` output.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::fault::FaultScript;
use crate::machine::MachineBackend;
use crate::seed::Seed;

/// How long operations take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Latency {
    /// Every operation is finished at its first poll (`Retry-After: 0`); nothing sleeps.
    #[default]
    Instant,
    /// Typical durations of Azure, ten times as fast: a build takes 10 to 20 seconds.
    Azure,
}

impl FromStr for Latency {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "instant" => Ok(Latency::Instant),
            "azure" => Ok(Latency::Azure),
            other => Err(format!("unknown latency profile '{other}', expected 'instant' or 'azure'")),
        }
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Latency::Instant => "instant",
            Latency::Azure => "azure",
        })
    }
}

/// The one service principal, tenant and subscription that the simulated cloud knows.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    pub tenant_id: String,
    pub subscription_id: String,
    pub client_id: String,
    pub client_secret: String,
}

impl Credentials {
    /// Fresh random ids and a secret that looks like one of Entra's.
    pub fn generate() -> Credentials {
        let id = || uuid::Uuid::new_v4().to_string();
        Credentials {
            tenant_id: id(),
            subscription_id: id(),
            client_id: id(),
            client_secret: format!("sim8Q~{}", uuid::Uuid::new_v4().simple()),
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("tenant_id", &self.tenant_id)
            .field("subscription_id", &self.subscription_id)
            .field("client_id", &self.client_id)
            .field("client_secret", &"<hidden>")
            .finish()
    }
}

/// Everything a simulator needs to start.
pub struct Config {
    pub latency: Latency,
    pub faults: FaultScript,
    pub seed: Seed,
    pub backend: Arc<dyn MachineBackend>,
    pub credentials: Credentials,
    /// Take any tenant, subscription, client id and secret: what `--simulate` needs, because a template brings its
    /// own. The seed is then planted into each subscription at its first use.
    pub accept_any_credentials: bool,
    /// Base of operation URLs where a request names no host, for example `https://127.0.0.1:8443`.
    pub endpoint: String,
    /// The port on which a machine's SSH answers at its public address. Port 22 always works in process.
    pub ssh_port: u16,
}

/// Why a simulator cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the seed is not valid: {0}")]
    Seed(String),
    #[error("the fault script is not valid: {0}")]
    Faults(String),
    #[error("cannot listen on {address}: {source}; choose another address with --listen")]
    Listen {
        address: String,
        #[source]
        source: std::io::Error,
    },
    #[error("the simulator listens on loopback only, and {0} is not a loopback address; use 127.0.0.1:PORT")]
    NotLoopback(String),
    #[error("cannot write the CA certificate to {path}: {source}")]
    CaFile {
        path: String,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot make the TLS certificate: {0}")]
    Certificate(String),
    #[error("cannot read the inventory from {endpoint}: {reason}")]
    Inventory { endpoint: String, reason: String },
}
