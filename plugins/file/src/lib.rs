//! The provisioner `file`: uploads files, directories and content, and downloads, with the rules of Packer's (which are
//! those of rsync for trailing slashes). What can be decided without a machine lies in modules that call no import.

pub mod check;
mod copy;
pub mod paths;
mod schema;

use fornax_plugin_sdk::prelude::*;

/// The configuration of a step.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    pub source: Option<String>,
    pub sources: Option<Vec<String>>,
    pub content: Option<String>,
    pub destination: String,
    pub direction: Option<String>,
    pub generated: Option<bool>,
}

impl Config {
    /// All sources, in the order of Packer: `sources` before `source`.
    pub fn all_sources(&self) -> Vec<&str> {
        let one = self.source.as_deref().filter(|source| !source.is_empty());
        self.sources.iter().flatten().map(String::as_str).chain(one).collect()
    }

    /// The content, where that is what is uploaded.
    pub fn content(&self) -> Option<&str> {
        self.content.as_deref().filter(|content| !content.is_empty())
    }

    /// Whether files come from the machine.
    pub fn is_download(&self) -> bool {
        self.direction.as_deref() == Some("download")
    }
}

/// The provisioner.
pub struct File;

impl Provisioner for File {
    const NAME: &'static str = "file";
    type Config = Config;

    fn describe() -> Description {
        schema::describe()
    }

    fn prepare(check: &mut Check) -> Result<()> {
        check::check(check, &fornax_plugin_sdk::file_state);
        Ok(())
    }

    fn provision(config: Config, machine: Machine) -> Result<Outcome> {
        if config.is_download() {
            copy::download_all(&config, &machine)?;
            return Ok(Outcome::unchanged());
        }
        copy::upload(&config, &machine)?;
        Ok(Outcome::changed())
    }
}

fornax_plugin_sdk::export_provisioners!("fornax/file": File);
