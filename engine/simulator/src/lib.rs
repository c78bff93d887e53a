//! A local Azure: Entra tokens, Resource Manager, and machines behind it. It shares no type with the client, so a
//! wrong field name cannot cancel out.
//!
//! [`Simulator`] has two faces on one state: [`Simulator::handle`] and [`Simulator::connect_ssh`] work in process,
//! [`server::serve`] puts the same over HTTPS and TCP on loopback. State lives in memory; what exists is told by
//! [`Simulator::inventory`].

pub(crate) mod arm;
pub mod catalogue;
mod config;
pub mod fault;
pub mod machine;
pub mod seed;
pub mod server;
mod ssh;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use config::{Config, Credentials, Error, Latency};
pub use fault::FaultScript;
pub use seed::Seed;

use arm::clock::Clock;
use arm::state::State;
use machine::{MachineBackend, Stream};

/// The caller is to close the connection without an answer: a fault asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the connection was cut by the fault script")]
pub struct ConnectionCut;

/// How long [`Simulator::shutdown`] waits for operations and machines to end.
const SHUTDOWN: Duration = Duration::from_secs(30);

/// One simulated cloud.
pub struct Simulator {
    me: Weak<Simulator>,
    latency: Latency,
    backend: Arc<dyn MachineBackend>,
    credentials: Credentials,
    accept_any: bool,
    endpoint: String,
    ssh_port: u16,
    clock: Clock,
    token_key: [u8; 32],
    faults: Mutex<fault::Faults>,
    state: Mutex<State>,
    listeners: ssh::Listeners,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Simulator {
    /// Plants the seed. Must be called inside a tokio runtime if operations shall run (they are tasks).
    pub fn new(config: Config) -> Result<Arc<Simulator>, Error> {
        config.seed.check()?;
        let mut token_key = [0; 32];
        let mut network = [0; 2];
        getrandom::fill(&mut token_key)
            .and_then(|()| getrandom::fill(&mut network))
            .map_err(|e| Error::Certificate(format!("the system has no random numbers: {e}")))?;
        let clock = Clock::start();
        let mut state = State::new(config.seed, network);
        if !config.accept_any_credentials {
            state.ensure_subscription(&config.credentials.subscription_id, clock.now());
        }
        Ok(Arc::new_cyclic(|me| Simulator {
            me: me.clone(),
            latency: config.latency,
            backend: config.backend,
            credentials: config.credentials,
            accept_any: config.accept_any_credentials,
            endpoint: config.endpoint.trim_end_matches('/').to_owned(),
            ssh_port: config.ssh_port,
            clock,
            token_key,
            faults: Mutex::new(fault::Faults::new(config.faults)),
            state: Mutex::new(state),
            listeners: ssh::Listeners::default(),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        }))
    }

    /// Answers one request. Whatever the request is, there is an answer, unless a fault cuts the connection.
    pub async fn handle(&self, request: Request<Bytes>) -> Result<Response<Bytes>, ConnectionCut> {
        arm::dispatch::handle(self, request).await
    }

    /// Dials a simulated address as TCP would, and gives the byte stream of the machine's SSH server. Private
    /// addresses can be dialled too: the caller counts as being inside the virtual network.
    pub async fn connect_ssh(&self, host: &str, port: u16) -> io::Result<Box<dyn Stream>> {
        ssh::connect(self, host, port).await
    }

    /// What exists: an object a resource with `id`, `type`, `location`, `tags`, `createdBy`; images also `provenance`.
    pub fn inventory(&self) -> Vec<serde_json::Value> {
        self.state().inventory()
    }

    /// Who may come in.
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// Base of the URLs where a request names no host.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Ends all operations and deletes all machines. The simulator answers no more afterwards.
    pub async fn shutdown(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.listeners.close_all();
        if tokio::time::timeout(SHUTDOWN, self.tasks.wait()).await.is_err() {
            tracing::warn!("operations of the simulator did not end in time");
        }
        let machines = self.state().take_machines();
        let deletions = machines.into_iter().map(|(id, machine)| async move {
            match tokio::time::timeout(SHUTDOWN, machine.delete()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(%id, %error, "machine not deleted"),
                Err(_) => tracing::warn!(%id, "deleting the machine took too long"),
            }
        });
        futures::future::join_all(deletions).await;
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        // A panic while the lock was held is a bug that was reported; the data is still the best there is.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn faults(&self) -> MutexGuard<'_, fault::Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts machines with a public address on TCP from now on.
    pub(crate) fn expose_ssh(&self) {
        self.listeners.enable();
    }
}
