//! What the operator grants. A right is in force for an extension when its descriptor asks for it and the operator
//! granted it to the plugin, by name and, if wanted, by digest. Third parties get nothing by default; components that
//! are part of the binary get what they ask for of the rights that users take for granted in them. A denial outweighs
//! every grant, theirs included.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use fornax_core::plugin::Capability;
use serde::Deserialize;

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

/// The rights of one extension: asked for, granted, not denied.
#[derive(Clone, Debug, Default)]
pub struct Effective {
    requested: Vec<Capability>,
    granted: Vec<Capability>,
    /// With the words in which they were denied.
    denied: Vec<(Capability, Arc<str>)>,
}

impl Effective {
    fn each(&self, mut test: impl FnMut(&Capability) -> bool) -> bool {
        self.requested.iter().any(&mut test)
            && self.granted.iter().any(&mut test)
            && !self.denied.iter().any(|(denied, _)| test(denied))
    }

    /// Whether a connection to the host and port may be opened.
    pub fn allows_host(&self, host: &str, port: u16) -> bool {
        self.each(|c| matches!(c, Capability::Network(patterns) if patterns.iter().any(|p| host_matches(p, host, port))))
    }

    pub fn allows_program(&self, program: &str) -> bool {
        self.each(
            |c| matches!(c, Capability::HostExec(names) if names.iter().any(|n| n == "*" || n == program)),
        ) && !self.denied.iter().any(|(denied, _)| {
            matches!(denied, Capability::HostExec(names) if names.iter().any(|n| may_be(n, program)))
        })
    }

    /// Whether any program may be run.
    pub fn allows_programs(&self) -> bool {
        self.requested.iter().any(|c| matches!(c, Capability::HostExec(_)) && self.covers_a_part(c))
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

    /// Whether the whole of a request is in force. A request for anything is, if a part of it was denied.
    pub fn covers(&self, request: &Capability) -> bool {
        parts(request)
            .iter()
            .all(|part| self.granted.iter().any(|g| covers(g, part)) && self.denial(part).is_none())
    }

    fn covers_a_part(&self, request: &Capability) -> bool {
        parts(request).iter().any(|part| {
            self.granted.iter().any(|g| covers(g, part) || covers(part, g)) && self.denial(part).is_none()
        })
    }

    /// In which words the operator denied a request or a part of it.
    pub fn denial(&self, request: &Capability) -> Option<&str> {
        parts(request).iter().find_map(|part| {
            self.denied.iter().find(|(denied, _)| covers(denied, part)).map(|(_, told)| told.as_ref())
        })
    }
}

/// A request for each of its values.
fn parts(request: &Capability) -> Vec<Capability> {
    fn each(list: &[String], make: fn(Vec<String>) -> Capability) -> Vec<Capability> {
        list.iter().map(|item| make(vec![item.clone()])).collect()
    }
    match request {
        Capability::Network(list) => each(list, Capability::Network),
        Capability::HostExec(list) => each(list, Capability::HostExec),
        Capability::HostFilesRead(list) => each(list, Capability::HostFilesRead),
        simple => vec![simple.clone()],
    }
}

/// Whether what was granted or denied includes a request for one value.
fn covers(given: &Capability, part: &Capability) -> bool {
    let any = |list: &[String], wanted: &[String], test: fn(&str, &str) -> bool| {
        wanted.iter().all(|w| list.iter().any(|g| g == "*" || test(g, w)))
    };
    match (given, part) {
        (Capability::Network(list), Capability::Network(wanted)) => any(list, wanted, host_covers),
        (Capability::HostExec(list), Capability::HostExec(wanted)) => any(list, wanted, |g, w| g == w),
        (Capability::HostFilesRead(list), Capability::HostFilesRead(wanted)) => {
            any(list, wanted, |g, w| Path::new(w).starts_with(g))
        }
        (given, part) => given == part,
    }
}

/// Whether a program that was denied could be the one that is to be started: `sh` and `/bin/sh` may be the same.
fn may_be(denied: &str, program: &str) -> bool {
    let name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    denied == program || ((!denied.contains('/') || !program.contains('/')) && name(denied) == name(program))
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

    fn id<'a>(name: &'a str, digest: &'a str) -> PluginId<'a> {
        PluginId { name, digest, built_in: false }
    }

    fn built_in(name: &str) -> PluginId<'_> {
        PluginId { name, digest: "", built_in: true }
    }

    fn any_program() -> Capability {
        Capability::HostExec(vec!["*".into()])
    }

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
        let rights = policy.effective(id("acme/x", "00"), &requests);
        assert!(rights.allows_host("api.example.org", 443));
        assert!(!rights.allows_host("www.example.org", 443), "granted but not requested");
        assert!(!rights.allows_host("other.org", 443));
        assert!(rights.allows_program("git"));
        assert!(!rights.allows_program("rm"), "requested but not granted");
        assert!(!rights.allows_reveal());
        assert!(rights.covers(&Capability::Network(vec!["api.example.org".into()])));
        assert!(!rights.covers(&requests[1]));
        assert!(!policy.effective(id("acme/y", "00"), &requests).allows_program("git"));
        policy.deny("acme/x=host-exec").expect("valid");
        assert!(!policy.effective(id("acme/x", "00"), &requests).allows_program("git"));
    }

    #[test]
    fn digests_bind() {
        let digest = "ab".repeat(32);
        let mut policy = Policy::new();
        policy.grant(&format!("x@sha256:{digest}=secrets-reveal")).expect("valid");
        assert!(policy.effective(id("x", &digest), &[Capability::SecretsReveal]).allows_reveal());
        assert!(!policy.effective(id("x", &"00".repeat(32)), &[Capability::SecretsReveal]).allows_reveal());
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
            policy
                .effective(id("acme/x", ""), &[Capability::Network(vec!["*".into()])])
                .allows_host("b.org", 80)
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
        assert!(policy.effective(id("x", ""), &[Capability::SecretsReveal]).allows_reveal());
        std::fs::write(&path, r#"{"grants": [{"plugin": "x", "hostexec": ["git"]}]}"#).expect("written");
        let message = policy.add_file(&path).expect_err("misspelt").to_string();
        assert!(message.contains("hostexec") && message.contains("grants.json"), "{message}");
    }

    #[test]
    fn built_in_components_get_what_users_take_for_granted() {
        let requests = [any_program(), Capability::Network(vec!["*".into()]), Capability::SecretsReveal];
        let rights = Policy::new().effective(built_in("fornax/shell-local"), &requests);
        assert!(rights.allows_program("/bin/sh") && rights.allows_host("example.org", 443));
        assert!(rights.covers(&requests[0]) && rights.covers(&requests[1]));
        assert!(!rights.allows_reveal() && !rights.covers(&requests[2]));
        // What was not asked for is not there either.
        assert!(!Policy::new().effective(built_in("fornax/x"), &[]).allows_program("/bin/sh"));
        // The name alone is worth nothing.
        let stranger = Policy::new().effective(id("fornax/shell-local", ""), &requests);
        assert!(!stranger.allows_program("/bin/sh") && !stranger.allows_programs());
        assert!(!stranger.covers(&requests[0]) && stranger.denial(&requests[0]).is_none());
    }

    #[test]
    fn the_operator_takes_rights_away() {
        let network = Capability::Network(vec!["*".into()]);
        for (flag, programs, hosts) in [
            ("host-exec", false, true),
            ("network", true, false),
            ("all", false, false),
            ("shell-local=host-exec", false, true),
            ("fornax/shell-local=host-exec", false, true),
            ("fornax/shell-local=all", false, false),
            ("*=host-exec:*", false, true),
            ("other=host-exec", true, true),
            ("local=host-exec", true, true),
            ("secrets-reveal", true, true),
        ] {
            let mut policy = Policy::new();
            policy.deny(flag).expect(flag);
            policy.grant("*=host-exec:*").expect("a denial outweighs it");
            let rights = policy.effective(built_in("fornax/shell-local"), &[any_program(), network.clone()]);
            assert_eq!(rights.allows_program("/bin/sh"), programs, "{flag}");
            assert_eq!(rights.allows_programs(), programs, "{flag}");
            assert_eq!(rights.covers(&any_program()), programs, "{flag}");
            assert_eq!(rights.allows_host("example.org", 443), hosts, "{flag}");
            let told = rights.denial(&any_program());
            assert_eq!(told.map(str::to_owned), (!programs).then(|| format!("--deny {flag}")), "{flag}");
        }
    }

    #[test]
    fn a_part_is_taken_away() {
        let mut policy = Policy::new();
        policy.deny("shell-local=host-exec:git,/bin/dash").expect("valid");
        let rights = policy.effective(built_in("fornax/shell-local"), &[any_program()]);
        assert!(rights.covers(&any_program()));
        for (program, allowed) in [
            ("git", false),
            ("/usr/bin/git", false),
            ("/bin/dash", false),
            ("dash", false),
            ("/opt/dash", true),
            ("/bin/sh", true),
        ] {
            assert_eq!(rights.allows_program(program), allowed, "{program}");
        }
        let named = Capability::HostExec(vec!["git".into(), "make".into()]);
        assert!(!policy.effective(built_in("fornax/shell-local"), &[named.clone()]).covers(&named));
    }

    #[test]
    fn wrong_denials_say_what_is_right() {
        for flag in ["", "host-exec:", "fly", "x=fly", "=host-exec", "all:x", "x@12=all", "secrets-reveal:y"]
        {
            let message = Policy::new().deny(flag).expect_err(flag).to_string();
            assert!(message.contains("NAME=host-exec:PROGRAM"), "{message}");
        }
    }

    #[test]
    fn misspelt_names_are_found() {
        let mut policy = Policy::new();
        for flag in ["shel-local=host-exec", "shell-local=all", "acme/x=network", "host-exec"] {
            policy.deny(flag).expect(flag);
        }
        assert_eq!(policy.denied_strangers(&["fornax/shell-local", "acme/x"]), ["shel-local"]);
    }

    #[test]
    fn a_file_takes_away() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("policy.json");
        let rights = |text: &str| {
            std::fs::write(&path, text).expect("written");
            let mut policy = Policy::new();
            policy.add_file(&path)?;
            Ok::<_, PolicyError>(policy.effective(built_in("fornax/shell-local"), &[any_program()]))
        };
        for text in [
            r#"{"deny": ["network", "host-exec"]}"#,
            r#"{"deny": ["all"]}"#,
            r#"{"denials": [{"plugin": "shell-local", "host-exec": ["*"]}]}"#,
        ] {
            let rights = rights(text).expect(text);
            assert!(!rights.allows_program("/bin/sh"), "{text}");
            assert!(rights.denial(&any_program()).is_some_and(|told| told.contains("policy.json")), "{text}");
        }
        assert!(rights(r#"{"deny": ["network"]}"#).expect("valid").allows_program("/bin/sh"));
        let message = rights(r#"{"deny": ["fly"]}"#).expect_err("unknown").to_string();
        assert!(message.contains("policy.json") && message.contains("fly"), "{message}");
    }
}
