//! The built-in provisioner `windows-shell`: runs batch scripts on the machine that is being built.
//!
//! Command lines, the environment and the texts are those of Packer's. What can be decided without a machine (rules,
//! quoting, the text of scripts) lies in modules that call no import, so that it is tested natively.

pub mod check;
pub mod config;
pub mod env;
mod provision;
pub mod schema;

use fornax_plugin_sdk::prelude::*;

/// The provisioner.
pub struct WindowsShell;

impl Provisioner for WindowsShell {
    const NAME: &'static str = "windows-shell";
    type Config = config::Config;

    fn describe() -> Description {
        schema::describe()
    }

    fn prepare(check: &mut Check) -> Result<()> {
        check::check(check, &fornax_plugin_sdk::file_state);
        Ok(())
    }

    fn provision(config: config::Config, machine: Machine) -> Result<Outcome> {
        provision::provision(&config, &machine)
    }
}

fornax_plugin_sdk::export_provisioners!("fornax/windows-shell": WindowsShell);
