//! The built-in provisioner `windows-restart`: restarts the machine that is being built and waits until it can be used
//! again.
//!
//! Commands, exit codes and texts are those of Packer's. The order of commands and waits lies in a module that asks a
//! trait for both, so that it is tested natively, with a clock of its own.

pub mod check;
pub mod config;
mod provision;
pub mod restart;
pub mod schema;

use fornax_plugin_sdk::prelude::*;

/// The provisioner.
pub struct WindowsRestart;

impl Provisioner for WindowsRestart {
    const NAME: &'static str = "windows-restart";
    type Config = config::Config;

    fn describe() -> Description {
        schema::describe()
    }

    fn prepare(check: &mut Check) -> Result<()> {
        check::check(check);
        Ok(())
    }

    fn provision(config: config::Config, machine: Machine) -> Result<Outcome> {
        provision::provision(&config, &machine)
    }
}

fornax_plugin_sdk::export_provisioners!("fornax/windows-restart": WindowsRestart);
