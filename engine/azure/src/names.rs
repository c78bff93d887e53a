//! The names of a build's resources, drawn when the build is prepared: the journal knows them before anything exists.

use crate::config::{Config, Place};
use crate::random;

/// One set of names. All of a build share a suffix.
#[derive(Clone, Debug)]
pub struct Names {
    pub group: String,
    pub machine: String,
    pub nic: String,
    pub os_disk: String,
    pub data_disk: String,
    pub public_ip: String,
    pub network: String,
    pub subnet: String,
    pub security_group: String,
    pub key_vault: String,
    pub deployment: String,
}

impl Names {
    /// As Packer draws them: `pkr`, the kind, ten characters; with a prefix of the user's: that prefix, the kind, five.
    pub fn draw(config: &Config) -> Self {
        let (prefix, suffix) = match &config.name_prefix {
            Some(prefix) => (prefix.as_str(), random::suffix(5)),
            None => ("pkr", random::suffix(10)),
        };
        let name = |kind: &str| format!("{prefix}{kind}{suffix}");
        let group = match &config.place {
            Place::Temporary { group: Some(group), .. } | Place::Existing { group } => group.clone(),
            Place::Temporary { group: None, .. } => format!("{prefix}-Resource-Group-{suffix}"),
        };
        let chosen = |name: &Option<String>, kind: &str| {
            name.clone().unwrap_or_else(|| self::name(prefix, kind, &suffix))
        };
        Self {
            group,
            machine: chosen(&config.temp_compute_name, "vm"),
            nic: chosen(&config.temp_nic_name, "ni"),
            os_disk: chosen(&config.temp_os_disk_name, "os"),
            data_disk: name("dd"),
            public_ip: name("ip"),
            network: name("vn"),
            subnet: name("sn"),
            security_group: name("sg"),
            key_vault: name("kv"),
            deployment: name("dp"),
        }
    }
}

fn name(prefix: &str, kind: &str, suffix: &str) -> String {
    format!("{prefix}{kind}{suffix}")
}
