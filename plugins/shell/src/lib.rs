//! The provisioner `shell`: runs scripts on the machine with the options, defaults and texts of Packer's. What can be
//! decided without a machine (rules, quoting, the text of scripts) lies in modules that call no import, so that it is
//! tested natively.

pub mod check;
pub mod config;
pub mod env;
pub mod env_file;
mod provision;
pub mod schema;
pub mod script;

use fornax_plugin_sdk::prelude::*;

/// The provisioner.
pub struct Shell;

impl Provisioner for Shell {
    const NAME: &'static str = "shell";
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

fornax_plugin_sdk::export_provisioners!("fornax/shell": Shell);
