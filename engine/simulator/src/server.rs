//! The network face: HTTPS on loopback for foreign clients, and a TCP port per simulated public address for SSH.
//!
//! `serve` makes a certificate authority and a leaf for this run, writes the authority's certificate to a file, binds,
//! and returns what a client needs to know; it prints nothing. Everything ends when the shutdown token fires: open
//! connections are finished, machines deleted. The keys exist in memory only.

mod connection;
mod inventory;
mod tls;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, Error};
use crate::{Simulator, ssh};

pub use inventory::{INVENTORY_PATH, fetch_inventory};

/// How to listen.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// A loopback address; port 0 chooses a free one.
    pub listen: SocketAddr,
    /// Where the authority's certificate (PEM) is written.
    pub ca_out: PathBuf,
    /// The port of SSH on every simulated public address; 0 chooses one for all.
    pub ssh_port: u16,
}

/// What a client needs to know; one line of JSON on the command line. `Debug` hides the secret, JSON shows it: telling
/// it is the purpose.
#[derive(Clone, Serialize)]
pub struct Ready {
    pub endpoint: String,
    pub metadata_host: String,
    pub ca_file: String,
    pub tenant_id: String,
    pub subscription_id: String,
    pub client_id: String,
    pub client_secret: String,
    pub ssh_port: u16,
}

impl fmt::Debug for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ready")
            .field("endpoint", &self.endpoint)
            .field("ca_file", &self.ca_file)
            .field("ssh_port", &self.ssh_port)
            .finish_non_exhaustive()
    }
}

/// A server at work.
pub struct Running {
    pub ready: Ready,
    pub simulator: Arc<Simulator>,
    task: JoinHandle<()>,
}

impl Running {
    /// Waits until the shutdown token has fired and everything has ended.
    pub async fn finished(self) {
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the simulator's server ended badly");
        }
    }
}

/// Starts the server; `config.endpoint` and `config.ssh_port` are replaced by what was bound.
pub async fn serve(
    mut config: Config,
    options: ServeOptions,
    shutdown: CancellationToken,
) -> Result<Running, Error> {
    if !options.listen.ip().is_loopback() {
        return Err(Error::NotLoopback(options.listen.to_string()));
    }
    let listen_error = |source| Error::Listen { address: options.listen.to_string(), source };
    let listener = TcpListener::bind(options.listen).await.map_err(listen_error)?;
    let address = listener.local_addr().map_err(listen_error)?;
    config.endpoint = format!("https://{address}");
    config.ssh_port = match options.ssh_port {
        0 => ssh::free_port().await.map_err(listen_error)?,
        port => port,
    };

    let tls = tls::make(address.ip())?;
    tokio::fs::write(&options.ca_out, &tls.ca_pem)
        .await
        .map_err(|source| Error::CaFile { path: options.ca_out.display().to_string(), source })?;

    let ready = Ready {
        endpoint: config.endpoint.clone(),
        metadata_host: config.endpoint.clone(),
        ca_file: options.ca_out.display().to_string(),
        tenant_id: config.credentials.tenant_id.clone(),
        subscription_id: config.credentials.subscription_id.clone(),
        client_id: config.credentials.client_id.clone(),
        client_secret: config.credentials.client_secret.clone(),
        ssh_port: config.ssh_port,
    };
    let simulator = Simulator::new(config)?;
    simulator.expose_ssh();
    let task = tokio::spawn(connection::accept_all(listener, tls.acceptor, simulator.clone(), shutdown));
    Ok(Running { ready, simulator, task })
}
