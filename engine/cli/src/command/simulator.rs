//! `fornax simulator serve` and `fornax simulator inventory`.

use std::path::Path;

use fornax_simulator::server::{self, ServeOptions};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::args::SimulatorCommand;
use crate::error::{CliError, Exit};
use crate::{logging, simulation};

pub async fn run(command: SimulatorCommand) -> Result<Exit, CliError> {
    match command {
        SimulatorCommand::Serve { listen, ca_out, ssh_port, simulation } => {
            logging::start(&fornax_core::Redactor::new());
            let config = simulation::config(&simulation, None, false, &|line| errln!("{line}")).await?;
            let shutdown = CancellationToken::new();
            let failed = |e: fornax_simulator::Error| CliError::failed(e.to_string());
            let mut terminate =
                signal(SignalKind::terminate()).map_err(|e| CliError::failed(e.to_string()))?;
            let running = server::serve(config, ServeOptions { listen, ca_out, ssh_port }, shutdown.clone())
                .await
                .map_err(failed)?;
            let ready = serde_json::to_string(&running.ready).map_err(|e| CliError::failed(e.to_string()))?;
            outln!("{ready}");
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
            shutdown.cancel();
            running.finished().await;
            Ok(Exit::Done)
        }
        SimulatorCommand::Inventory { endpoint, ca } => {
            let pem = read(&ca)?;
            let inventory = server::fetch_inventory(&endpoint, &pem)
                .await
                .map_err(|e| CliError::failed(e.to_string()))?;
            let text =
                serde_json::to_string_pretty(&inventory).map_err(|e| CliError::failed(e.to_string()))?;
            outln!("{text}");
            Ok(Exit::Done)
        }
    }
}

fn read(path: &Path) -> Result<String, CliError> {
    std::fs::read_to_string(path).map_err(|e| CliError::failed(format!("can't read {}: {e}", path.display())))
}
