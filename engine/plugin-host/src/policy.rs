//! What the operator grants. A right is in force for an extension when its descriptor asks for it and the operator
//! granted it to the plugin, by name and, if wanted, by digest. Third parties get nothing by default; components that
//! are part of the binary get what they ask for of the rights that users take for granted in them. A denial outweighs
//! every grant, theirs included.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use fornax_core::plugin::Capability;
use serde::Deserialize;

pub use rights::Effective;

mod rights;

/// Why a grant can't be understood.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    #[error(
        "{flag:?} is no grant: {reason}; write NAME=network:HOST[,HOST], NAME=host-exec:PROGRAM, NAME=host-files-read:PATH, NAME=secrets-reveal or NAME=machine-raw-access (NAME@SHA256=… binds it to one binary)"
    )]
    Flag { flag: String, reason: String },
    #[error(
        "{flag:?} is no denial: {reason}; write network, host-exec, host-files-read, secrets-reveal, machine-raw-access or all, for one plugin NAME=network, for a part of it NAME=host-exec:PROGRAM"
    )]
    Denial { flag: String, reason: String },
    #[error("the grants in {path} can't be read: {reason}")]
    File { path: PathBuf, reason: String },
}

#[derive(Clone, Debug, PartialEq)]
struct Grant {
    plugin: String,
    digest: Option<String>,
    capability: Capability,
}

impl Grant {
    fn is_for(&self, plugin: &PluginId) -> bool {
        (self.plugin == plugin.name || self.plugin == "*")
            && self.digest.as_deref().is_none_or(|d| d.eq_ignore_ascii_case(plugin.digest))
    }
}

/// A right that was taken away, and where.
#[derive(Clone, Debug, PartialEq)]
struct Denial {
    what: Grant,
    /// As the operator wrote it: `--deny host-exec`.
    told: Arc<str>,
}

impl Denial {
    /// A name without the part before the `/` is enough to take something away.
    fn is_for(&self, plugin: &PluginId) -> bool {
        let short = plugin.name.rsplit('/').next().unwrap_or_default();
        self.what.is_for(plugin) || self.what.is_for(&PluginId { name: short, ..*plugin })
    }
}

/// Which plugin asks.
#[derive(Clone, Copy, Debug)]
pub struct PluginId<'a> {
    pub name: &'a str,
    /// SHA-256 of the component.
    pub digest: &'a str,
    /// It is part of the binary. Never decided by its name.
    pub built_in: bool,
}

/// The operator's grants and denials.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Policy {
    grants: Vec<Grant>,
    denials: Vec<Denial>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyFile {
    #[serde(default)]
    grants: Vec<FileEntry>,
    #[serde(default)]
    denials: Vec<FileEntry>,
    /// As `--deny` takes them.
    #[serde(default)]
    deny: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct FileEntry {
    plugin: String,
    digest: Option<String>,
    #[serde(default)]
    network: Vec<String>,
    #[serde(default)]
    host_exec: Vec<String>,
    #[serde(default)]
    host_files_read: Vec<String>,
    #[serde(default)]
    secrets_reveal: bool,
    #[serde(default)]
    machine_raw_access: bool,
}

impl Policy {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one `NAME=CAPABILITY[:VALUE,…]` of the command line.
    pub fn grant(&mut self, flag: &str) -> Result<(), PolicyError> {
        let error = |reason: String| PolicyError::Flag { flag: flag.to_owned(), reason };
        let (plugin, capability) = flag.split_once('=').ok_or_else(|| error("there is no `=`".to_owned()))?;
        let (plugin, digest) = parse_plugin(plugin).map_err(error)?;
        let (kind, values) = capability.split_once(':').unwrap_or((capability, ""));
        let capability = parse_capability(kind, values).map_err(error)?;
        self.grants.push(Grant { plugin, digest, capability });
        Ok(())
    }

    /// Takes a right away: `CAPABILITY`, for one plugin `NAME=CAPABILITY`, for a part of it `…:VALUE,…`. Without a
    /// value all of the kind is denied, and `all` stands for every kind.
    pub fn deny(&mut self, flag: &str) -> Result<(), PolicyError> {
        self.add_denial(flag, format!("--deny {flag}").into())
    }

    fn add_denial(&mut self, flag: &str, told: Arc<str>) -> Result<(), PolicyError> {
        let error = |reason: String| PolicyError::Denial { flag: flag.to_owned(), reason };
        let (plugin, capability) = flag.split_once('=').unwrap_or(("*", flag));
        let (plugin, digest) = parse_plugin(plugin).map_err(error)?;
        let (kind, values) = match capability.split_once(':') {
            Some(parts) => parts,
            None if KINDS_WITH_VALUES.contains(&capability) => (capability, "*"),
            None => (capability, ""),
        };
        let capabilities = match (kind, values) {
            ("all", "") => all(),
            ("all", _) => return Err(error("all takes no value".to_owned())),
            _ => vec![parse_capability(kind, values).map_err(error)?],
        };
        self.denials.extend(capabilities.into_iter().map(|capability| Denial {
            what: Grant { plugin: plugin.clone(), digest: digest.clone(), capability },
            told: told.clone(),
        }));
        Ok(())
    }

    /// Adds a JSON file: `{"grants": [{"plugin": "acme/x", "digest": "…", "network": ["example.org"]}], "deny":
    /// ["host-exec"]}`. `denials` has the form of `grants`.
    pub fn add_file(&mut self, path: &Path) -> Result<(), PolicyError> {
        let error = |reason: String| PolicyError::File { path: path.to_owned(), reason };
        let text = std::fs::read_to_string(path).map_err(|e| error(e.to_string()))?;
        let file: PolicyFile = serde_json::from_str(&text).map_err(|e| error(e.to_string()))?;
        for entry in file.grants {
            self.grants.extend(entry.into_grants());
        }
        for entry in file.denials {
            let told: Arc<str> = format!("the denial for {:?} in {}", entry.plugin, path.display()).into();
            let denials = entry.into_grants().into_iter();
            self.denials.extend(denials.map(|what| Denial { what, told: told.clone() }));
        }
        for flag in file.deny {
            let told = format!("\"deny\": [{flag:?}] in {}", path.display());
            self.add_denial(&flag, told.into()).map_err(|e| error(e.to_string()))?;
        }
        Ok(())
    }

    /// What of `requests` is in force for a plugin.
    pub fn effective(&self, plugin: PluginId, requests: &[Capability]) -> Effective {
        let granted = self.grants.iter().filter(|g| g.is_for(&plugin)).map(|g| g.capability.clone());
        let by_default = requests.iter().filter(|r| plugin.built_in && is_taken_for_granted(r)).cloned();
        Effective {
            requested: requests.to_vec(),
            granted: granted.chain(by_default).collect(),
            denied: self
                .denials
                .iter()
                .filter(|d| d.is_for(&plugin))
                .map(|d| (d.what.capability.clone(), d.told.clone()))
                .collect(),
        }
    }

    /// The names in denials that none of these plugins has.
    pub fn denied_strangers(&self, plugins: &[&str]) -> Vec<String> {
        let known = |denial: &Denial| {
            let anybody = PluginId {
                name: "",
                digest: denial.what.digest.as_deref().unwrap_or_default(),
                built_in: false,
            };
            plugins.iter().any(|name| denial.is_for(&PluginId { name, ..anybody }))
        };
        let mut names: Vec<String> =
            self.denials.iter().filter(|d| !known(d)).map(|d| d.what.plugin.clone()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

/// What users expect of a built-in component without having granted it. Nobody expects to see secrets in the clear.
fn is_taken_for_granted(capability: &Capability) -> bool {
    matches!(capability, Capability::Network(_) | Capability::HostExec(_) | Capability::HostFilesRead(_))
}

const KINDS_WITH_VALUES: [&str; 3] = ["network", "host-exec", "host-files-read"];

fn all() -> Vec<Capability> {
    let any = || vec!["*".to_owned()];
    vec![
        Capability::Network(any()),
        Capability::HostExec(any()),
        Capability::HostFilesRead(any()),
        Capability::SecretsReveal,
        Capability::MachineRawAccess,
    ]
}

impl FileEntry {
    fn into_grants(self) -> Vec<Grant> {
        let lists = [
            (!self.network.is_empty()).then_some(Capability::Network(self.network)),
            (!self.host_exec.is_empty()).then_some(Capability::HostExec(self.host_exec)),
            (!self.host_files_read.is_empty()).then_some(Capability::HostFilesRead(self.host_files_read)),
            self.secrets_reveal.then_some(Capability::SecretsReveal),
            self.machine_raw_access.then_some(Capability::MachineRawAccess),
        ];
        lists
            .into_iter()
            .flatten()
            .map(|capability| Grant { plugin: self.plugin.clone(), digest: self.digest.clone(), capability })
            .collect()
    }
}

/// `NAME` or `NAME@DIGEST`. The error is a part of a sentence.
fn parse_plugin(text: &str) -> Result<(String, Option<String>), String> {
    let (plugin, digest) = match text.split_once('@') {
        Some((plugin, digest)) => (plugin, Some(digest.trim_start_matches("sha256:").to_owned())),
        None => (text, None),
    };
    if plugin.is_empty() {
        return Err("the plugin has no name".to_owned());
    }
    if digest.as_ref().is_some_and(|d| d.len() != 64 || !d.bytes().all(|b| b.is_ascii_hexdigit())) {
        return Err("a digest has 64 hexadecimal digits".to_owned());
    }
    Ok((plugin.to_owned(), digest))
}

/// A kind and its values, separated by commas. The error is a part of a sentence.
fn parse_capability(kind: &str, values: &str) -> Result<Capability, String> {
    let list: Vec<String> =
        values.split(',').map(str::trim).filter(|v| !v.is_empty()).map(String::from).collect();
    match (kind, list.is_empty()) {
        ("network", false) => Ok(Capability::Network(list)),
        ("host-exec", false) => Ok(Capability::HostExec(list)),
        ("host-files-read", false) => Ok(Capability::HostFilesRead(list)),
        ("network" | "host-exec" | "host-files-read", true) => {
            Err(format!("{kind} needs at least one value after `:`"))
        }
        ("secrets-reveal", true) => Ok(Capability::SecretsReveal),
        ("machine-raw-access", true) => Ok(Capability::MachineRawAccess),
        ("secrets-reveal" | "machine-raw-access", false) => Err(format!("{kind} takes no value")),
        _ => Err(format!("there is no capability {kind:?}")),
    }
}

/// The flag that would grant a request.
pub fn flag_for(plugin: &str, capability: &Capability) -> String {
    let (kind, values) = match capability {
        Capability::Network(l) => ("network", Some(l)),
        Capability::HostFilesRead(l) => ("host-files-read", Some(l)),
        Capability::HostExec(l) => ("host-exec", Some(l)),
        Capability::SecretsReveal => ("secrets-reveal", None),
        Capability::MachineRawAccess => ("machine-raw-access", None),
    };
    match values {
        Some(values) => format!("--grant {plugin}={kind}:{}", values.join(",")),
        None => format!("--grant {plugin}={kind}"),
    }
}

#[cfg(test)]
mod tests;
