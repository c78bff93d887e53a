//! What the operator grants. A right is in force for an extension when its descriptor asks for it and the operator
//! granted it to the plugin, by name and, if wanted, by digest. Nothing is granted by default, and a denial outweighs
//! every grant.

use std::path::{Path, PathBuf};

use fornax_core::plugin::Capability;
use serde::Deserialize;

/// Why a grant can't be understood.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    #[error(
        "{flag:?} is no grant: {reason}; write NAME=network:HOST[,HOST], NAME=host-exec:PROGRAM, NAME=host-files-read:PATH, NAME=secrets-reveal or NAME=machine-raw-access (NAME@SHA256=… binds it to one binary)"
    )]
    Flag { flag: String, reason: String },
    #[error("the grants in {path} can't be read: {reason}")]
    File { path: PathBuf, reason: String },
}

#[derive(Clone, Debug, PartialEq)]
struct Grant {
    plugin: String,
    digest: Option<String>,
    capability: Capability,
}

/// The operator's grants and denials.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Policy {
    grants: Vec<Grant>,
    denials: Vec<Grant>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyFile {
    #[serde(default)]
    grants: Vec<FileEntry>,
    #[serde(default)]
    denials: Vec<FileEntry>,
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
        self.grants.push(parse(flag)?);
        Ok(())
    }

    /// Like [`Self::grant`], but takes the right away. Without a value all of the kind is denied.
    pub fn deny(&mut self, flag: &str) -> Result<(), PolicyError> {
        let full = match flag.split_once('=') {
            Some((_, "network" | "host-exec" | "host-files-read")) => format!("{flag}:*"),
            _ => flag.to_owned(),
        };
        self.denials.push(parse(&full)?);
        Ok(())
    }

    /// Adds the grants of a JSON file: `{"grants": [{"plugin": "acme/x", "digest": "…", "network": ["example.org"]}]}`.
    pub fn add_file(&mut self, path: &Path) -> Result<(), PolicyError> {
        let error = |reason: String| PolicyError::File { path: path.to_owned(), reason };
        let text = std::fs::read_to_string(path).map_err(|e| error(e.to_string()))?;
        let file: PolicyFile = serde_json::from_str(&text).map_err(|e| error(e.to_string()))?;
        for entry in file.grants {
            self.grants.extend(entry.into_grants());
        }
        for entry in file.denials {
            self.denials.extend(entry.into_grants());
        }
        Ok(())
    }

    /// What of `requests` is in force for a plugin.
    pub fn effective(&self, plugin: &str, digest: &str, requests: &[Capability]) -> Effective {
        let applies = |g: &&Grant| {
            (g.plugin == plugin || g.plugin == "*")
                && g.digest.as_deref().is_none_or(|d| d.eq_ignore_ascii_case(digest))
        };
        Effective {
            requested: requests.to_vec(),
            granted: self.grants.iter().filter(applies).map(|g| g.capability.clone()).collect(),
            denied: self.denials.iter().filter(applies).map(|g| g.capability.clone()).collect(),
        }
    }
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

fn parse(flag: &str) -> Result<Grant, PolicyError> {
    let error = |reason: &str| PolicyError::Flag { flag: flag.to_owned(), reason: reason.to_owned() };
    let (plugin, capability) = flag.split_once('=').ok_or_else(|| error("there is no `=`"))?;
    let (plugin, digest) = match plugin.split_once('@') {
        Some((plugin, digest)) => (plugin, Some(digest.trim_start_matches("sha256:").to_owned())),
        None => (plugin, None),
    };
    if plugin.is_empty() {
        return Err(error("the plugin has no name"));
    }
    if digest.as_ref().is_some_and(|d| d.len() != 64 || !d.bytes().all(|b| b.is_ascii_hexdigit())) {
        return Err(error("a digest has 64 hexadecimal digits"));
    }
    let (kind, values) = capability.split_once(':').unwrap_or((capability, ""));
    let list: Vec<String> =
        values.split(',').map(str::trim).filter(|v| !v.is_empty()).map(String::from).collect();
    let capability = match (kind, list.is_empty()) {
        ("network", false) => Capability::Network(list),
        ("host-exec", false) => Capability::HostExec(list),
        ("host-files-read", false) => Capability::HostFilesRead(list),
        ("network" | "host-exec" | "host-files-read", true) => {
            return Err(error(&format!("{kind} needs at least one value after `:`")));
        }
        ("secrets-reveal", true) => Capability::SecretsReveal,
        ("machine-raw-access", true) => Capability::MachineRawAccess,
        ("secrets-reveal" | "machine-raw-access", false) => {
            return Err(error(&format!("{kind} takes no value")));
        }
        _ => return Err(error(&format!("there is no capability {kind:?}"))),
    };
    Ok(Grant { plugin: plugin.to_owned(), digest, capability })
}

/// The rights of one extension: asked for, granted, not denied.
#[derive(Clone, Debug, Default)]
pub struct Effective {
    requested: Vec<Capability>,
    granted: Vec<Capability>,
    denied: Vec<Capability>,
}

impl Effective {
    fn each(&self, mut test: impl FnMut(&Capability) -> bool) -> bool {
        self.requested.iter().any(&mut test)
            && self.granted.iter().any(&mut test)
            && !self.denied.iter().any(&mut test)
    }

    /// Whether a connection to the host and port may be opened.
    pub fn allows_host(&self, host: &str, port: u16) -> bool {
        self.each(|c| matches!(c, Capability::Network(patterns) if patterns.iter().any(|p| host_matches(p, host, port))))
    }

    pub fn allows_program(&self, program: &str) -> bool {
        self.each(
            |c| matches!(c, Capability::HostExec(names) if names.iter().any(|n| n == "*" || n == program)),
        )
    }

    /// Whether a canonical path may be read; relative grants start at `working_dir`.
    pub fn allows_file(&self, path: &Path, working_dir: &Path) -> bool {
        self.each(|c| {
            matches!(c, Capability::HostFilesRead(roots) if roots.iter().any(|r| {
                r == "*" || working_dir.join(r).canonicalize().is_ok_and(|root| path.starts_with(root))
            }))
        })
    }

    pub fn allows_reveal(&self) -> bool {
        self.each(|c| *c == Capability::SecretsReveal)
    }

    /// Whether the whole of a request is in force.
    pub fn covers(&self, request: &Capability) -> bool {
        let covered = |granted: &[Capability], wildcard: bool| {
            let listed = |item: &String,
                          pick: fn(&Capability) -> Option<&Vec<String>>,
                          cover: fn(&str, &str) -> bool| {
                granted.iter().filter_map(pick).flatten().any(|g| (wildcard && g == "*") || cover(g, item))
            };
            match request {
                Capability::Network(items) => items.iter().all(|i| {
                    listed(i, |c| if let Capability::Network(l) = c { Some(l) } else { None }, host_covers)
                }),
                Capability::HostExec(items) => items.iter().all(|i| {
                    listed(i, |c| if let Capability::HostExec(l) = c { Some(l) } else { None }, |g, i| g == i)
                }),
                Capability::HostFilesRead(items) => items.iter().all(|i| {
                    listed(
                        i,
                        |c| if let Capability::HostFilesRead(l) = c { Some(l) } else { None },
                        |g, i| Path::new(i).starts_with(g),
                    )
                }),
                simple => granted.contains(simple),
            }
        };
        covered(&self.granted, true) && (self.denied.is_empty() || !covered(&self.denied, true))
    }
}

fn host_matches(pattern: &str, host: &str, port: u16) -> bool {
    let (name, wanted) = split_port(pattern);
    if wanted.is_some_and(|p| p != port) {
        return false;
    }
    let host = host.trim_start_matches('[').trim_end_matches([']', '.']);
    match name.strip_prefix("*.") {
        Some(suffix) => {
            host.len() > suffix.len() + 1
                && host.to_ascii_lowercase().ends_with(&format!(".{}", suffix.to_ascii_lowercase()))
        }
        None => name == "*" || name.eq_ignore_ascii_case(host),
    }
}

/// Whether a granted pattern includes all hosts of a requested one.
fn host_covers(granted: &str, requested: &str) -> bool {
    let (granted_name, granted_port) = split_port(granted);
    let (requested_name, requested_port) = split_port(requested);
    if granted_port.is_some() && granted_port != requested_port {
        return false;
    }
    granted_name.eq_ignore_ascii_case(requested_name)
        || host_matches(granted_name, requested_name.trim_start_matches("*."), 0)
            && (granted_name == "*" || requested_name.starts_with("*.") || granted_name.starts_with("*."))
}

fn split_port(pattern: &str) -> (&str, Option<u16>) {
    if let Some(inner) = pattern.strip_prefix('[')
        && let Some((name, rest)) = inner.split_once(']')
    {
        return (name, rest.strip_prefix(':').and_then(|p| p.parse().ok()));
    }
    match pattern.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') => match port.parse() {
            Ok(port) => (name, Some(port)),
            Err(_) => (pattern, None),
        },
        _ => (pattern, None),
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
mod tests {
    use super::*;

    #[test]
    fn requested_and_granted() {
        let mut policy = Policy::new();
        policy.grant("acme/x=network:*.example.org,[::1]:8080").expect("valid");
        policy.grant("acme/x=host-exec:git").expect("valid");
        let requests = [
            Capability::Network(vec!["api.example.org".into(), "::1".into()]),
            Capability::HostExec(vec!["*".into()]),
            Capability::SecretsReveal,
        ];
        let rights = policy.effective("acme/x", "00", &requests);
        assert!(rights.allows_host("api.example.org", 443));
        assert!(!rights.allows_host("www.example.org", 443), "granted but not requested");
        assert!(!rights.allows_host("other.org", 443));
        assert!(rights.allows_program("git"));
        assert!(!rights.allows_program("rm"), "requested but not granted");
        assert!(!rights.allows_reveal());
        assert!(rights.covers(&Capability::Network(vec!["api.example.org".into()])));
        assert!(!rights.covers(&requests[1]));
        assert!(!policy.effective("acme/y", "00", &requests).allows_program("git"));
        policy.deny("acme/x=host-exec").expect("valid");
        assert!(!policy.effective("acme/x", "00", &requests).allows_program("git"));
    }

    #[test]
    fn digests_bind() {
        let digest = "ab".repeat(32);
        let mut policy = Policy::new();
        policy.grant(&format!("x@sha256:{digest}=secrets-reveal")).expect("valid");
        assert!(policy.effective("x", &digest, &[Capability::SecretsReveal]).allows_reveal());
        assert!(!policy.effective("x", &"00".repeat(32), &[Capability::SecretsReveal]).allows_reveal());
    }

    #[test]
    fn wrong_flags_say_what_is_right() {
        for flag in [
            "x",
            "=network:a",
            "x=network",
            "x=network:",
            "x=fly",
            "x@12=secrets-reveal",
            "x=secrets-reveal:y",
        ] {
            let message = Policy::new().grant(flag).expect_err(flag).to_string();
            assert!(message.contains("NAME=network:HOST"), "{message}");
        }
    }

    #[test]
    fn flags_can_be_typed_again() {
        let flag = flag_for("acme/x", &Capability::Network(vec!["a.org".into(), "b.org:80".into()]));
        assert_eq!(flag, "--grant acme/x=network:a.org,b.org:80");
        let mut policy = Policy::new();
        policy.grant(flag.trim_start_matches("--grant ")).expect("valid");
        assert!(
            policy.effective("acme/x", "", &[Capability::Network(vec!["*".into()])]).allows_host("b.org", 80)
        );
    }

    #[test]
    fn reads_a_file() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("grants.json");
        std::fs::write(
            &path,
            r#"{"grants": [{"plugin": "x", "host-exec": ["git"], "secrets-reveal": true}]}"#,
        )
        .expect("written");
        let mut policy = Policy::new();
        policy.add_file(&path).expect("valid");
        assert!(policy.effective("x", "", &[Capability::SecretsReveal]).allows_reveal());
        std::fs::write(&path, r#"{"grants": [{"plugin": "x", "hostexec": ["git"]}]}"#).expect("written");
        let message = policy.add_file(&path).expect_err("misspelt").to_string();
        assert!(message.contains("hostexec") && message.contains("grants.json"), "{message}");
    }
}
