//! The provisioner and the post-processor `shell-local`: run scripts on the machine that runs the build, with the
//! options, defaults and texts of Packer's. They run in the folder and with the environment in which the engine was
//! started, and need no machine. What can be decided without the host (rules, command lines, the text of scripts) lies
//! in modules that call no import, so that it is tested natively.

pub mod check;
pub mod command;
pub mod config;
mod imports;
mod run;
pub mod schema;

use fornax_plugin_sdk::artifacts::Artifact;
use fornax_plugin_sdk::prelude::*;

/// The provisioner.
pub struct Provision;

/// The post-processor.
pub struct PostProcess;

impl Provisioner for Provision {
    const NAME: &'static str = "shell-local";
    type Config = config::Config;

    fn describe() -> Description {
        schema::describe()
    }

    fn prepare(check: &mut Check) -> Result<()> {
        check::check(check, config::Os::of_host(), &fornax_plugin_sdk::file_state);
        Ok(())
    }

    fn step(config: config::Config) -> Result<Outcome> {
        run::run(&config)?;
        Ok(Outcome::changed())
    }
}

impl PostProcessor for PostProcess {
    const NAME: &'static str = "shell-local";
    type Config = config::Config;

    fn describe() -> Description {
        schema::describe()
    }

    fn prepare(check: &mut Check) -> Result<()> {
        check::check(check, config::Os::of_host(), &fornax_plugin_sdk::file_state);
        Ok(())
    }

    fn process(config: config::Config, _: Artifact) -> Result<Processed> {
        run::run(&config)?;
        Ok(Processed { artifact: None, input: KeepPolicy::ForceKeep })
    }
}

fornax_plugin_sdk::export_plugin!("fornax/shell-local": provisioners [Provision], post_processors [PostProcess]);
