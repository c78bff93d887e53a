//! The built-in provisioner `powershell`: runs PowerShell scripts on the machine that is being built, as the login user
//! or, by a scheduled task, as another one with highest privileges.
//!
//! Command lines, the environment and the texts are those of Packer's. What can be decided without a machine (rules,
//! quoting, the text of scripts) lies in modules that call no import, so that it is tested natively.

pub mod check;
pub mod config;
pub mod elevated;
mod provision;
pub mod schema;
pub mod text;

use fornax_plugin_sdk::prelude::*;

/// The provisioner.
pub struct PowerShell;

impl Provisioner for PowerShell {
    const NAME: &'static str = "powershell";
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

fornax_plugin_sdk::export_provisioners!("fornax/powershell": PowerShell);
