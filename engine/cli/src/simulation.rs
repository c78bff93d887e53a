//! Makes simulators of what the command line says. With `target.rs` the only place that knows the simulator.

use std::path::Path;
use std::sync::Arc;

use fornax_simulator::catalogue::Catalogue;
use fornax_simulator::machine::MachineBackend;
use fornax_simulator::machine::jail::{Jail, JailConfig};
use fornax_simulator::machine::record::{Record, RecordConfig};
use fornax_simulator::{Config, Credentials, FaultScript, Latency, Seed};

use crate::args::{LatencyArg, MachineArg, SimulationArgs};
use crate::error::CliError;
use crate::paths;

fn read(path: &Path, what: &str) -> Result<String, CliError> {
    std::fs::read_to_string(path)
        .map_err(|e| CliError::failed(format!("can't read the {what} {}: {e}", path.display())))
}

/// The configuration of a simulator. `say` gets a line for each choice that the user should know of.
pub async fn config(
    args: &SimulationArgs,
    seed: Option<Seed>,
    any: bool,
    say: &dyn Fn(&str),
) -> Result<Config, CliError> {
    let failed = |e: fornax_simulator::Error| CliError::failed(e.to_string());
    let seed = match (&args.seed, seed) {
        (Some(path), _) => Seed::parse(&read(path, "seed")?).map_err(failed)?,
        (None, Some(seed)) => seed,
        (None, None) => Seed::default(),
    };
    let faults = match &args.faults {
        Some(path) => FaultScript::parse(&read(path, "fault script")?).map_err(failed)?,
        None => FaultScript::default(),
    };
    let latency = match args.latency {
        LatencyArg::Instant => Latency::Instant,
        LatencyArg::Azure => Latency::Azure,
    };
    Ok(Config {
        latency,
        faults,
        seed,
        backend: backend(args, say).await?,
        credentials: Credentials::generate(),
        accept_any_credentials: any,
        endpoint: "https://management.simulator.invalid".into(),
        ssh_port: 22,
    })
}

async fn backend(args: &SimulationArgs, say: &dyn Fn(&str)) -> Result<Arc<dyn MachineBackend>, CliError> {
    if args.machine == MachineArg::Record {
        return record();
    }
    match (jail(args).await, args.machine) {
        (Ok(jail), _) => Ok(jail),
        (Err(error), MachineArg::Jail) => Err(error),
        (Err(error), _) => {
            say(&format!(
                "Simulated: machines only record commands here and execute nothing: {}",
                error.message
            ));
            record()
        }
    }
}

fn record() -> Result<Arc<dyn MachineBackend>, CliError> {
    Ok(Record::new(RecordConfig::default()).map_err(|e| CliError::failed(e.to_string()))?)
}

async fn jail(args: &SimulationArgs) -> Result<Arc<dyn MachineBackend>, CliError> {
    let failed = |e: &dyn std::fmt::Display| CliError::failed(e.to_string());
    let mut config = JailConfig::new(paths::cache_dir());
    if let Some(path) = &args.catalogue {
        config.catalogue = Catalogue::load(path).map_err(|e| failed(&e))?;
    }
    // On standard error: standard output carries the line of JSON of `simulator serve`.
    config.progress = Arc::new(|line| errln!("{line}"));
    let jail = Jail::new(config).map_err(|e| failed(&e))?;
    jail.probe().await.map_err(|e| failed(&e))?;
    Ok(jail)
}
