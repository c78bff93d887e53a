//! The recipe of a Debian root file system: the host's release from the host's package sources, by mmdebstrap.
//!
//! Nothing names a server here: mirrors, keyrings, proxies and extra certificate authorities are those that the host's
//! own package manager uses, since they are known to work from where we are.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::helper::{Helper, Progress};
use super::ids::{IdMap, find_program};
use super::wire::Order;
use crate::catalogue::Debootstrap;
use crate::machine::MachineError;

/// Changes when the recipe does, so that root file systems built by an older one are not used.
const RECIPE: u32 = 1;
/// What a machine in the cloud has and the smallest system lacks.
const PACKAGES: [&str; 5] = ["ca-certificates", "netbase", "openssh-server", "sudo", "systemd-sysv"];
/// On a slow mirror; usually it takes less than a minute.
const DEADLINE: Duration = Duration::from_secs(30 * 60);
/// Certificate authorities that the host's administrator added.
const LOCAL_CA: &str = "/usr/local/share/ca-certificates";
/// Archive components of a distribution, as opposed to those of third parties.
const COMPONENTS: [&str; 7] =
    ["main", "contrib", "non-free", "non-free-firmware", "universe", "restricted", "multiverse"];

/// How a root file system is built.
#[derive(Clone, Debug)]
pub struct Recipe {
    suite: String,
    packages: Vec<String>,
    sources: Vec<String>,
    /// `Acquire::…` settings of the host's apt.
    proxies: Vec<String>,
    certificates: Vec<PathBuf>,
}

impl Recipe {
    /// The recipe on this host, or what the host lacks.
    pub fn new(wanted: &Debootstrap) -> Result<Self, MachineError> {
        let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
        let host = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
        let host = host.map(|name| name.trim_matches('"').to_owned());
        let unsupported = |reason: &str| MachineError::Unsupported {
            reason: reason.to_owned(),
            help: "name a root file system as a tarball or a directory in a catalogue".to_owned(),
        };
        let host =
            host.ok_or_else(|| unsupported("the host is no Debian or Ubuntu (no VERSION_CODENAME)"))?;
        let lines = host_sources();
        let own = lines.iter().filter(|source| source.is_of(&host));
        let suite = wanted.suite.clone().unwrap_or_else(|| host.clone());
        let sources: Vec<String> = own.map(|source| source.line(&host, &suite)).collect();
        if sources.is_empty() {
            return Err(unsupported(&format!("the host's apt has no package source of its release {host}")));
        }
        let mut packages: Vec<String> = PACKAGES.iter().map(|name| (*name).to_owned()).collect();
        packages.extend(wanted.packages.iter().cloned());
        packages.sort();
        packages.dedup();
        Ok(Self { suite, packages, sources, proxies: host_proxies(), certificates: host_certificates() })
    }

    /// Tells root file systems apart: the same recipe has the same key.
    pub fn key(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(format!(
            "{RECIPE} {} {:?} {:?} {:?}",
            self.suite, self.packages, self.sources, self.proxies
        ));
        for path in &self.certificates {
            hash.update(fs::read(path).unwrap_or_default());
        }
        let digest: String = hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        format!("{}-{digest}", self.suite)
    }

    /// What it is, in a line.
    pub fn describe(&self) -> String {
        format!(
            "Debian root file system {} built by mmdebstrap with {}",
            self.suite,
            self.packages.join(", ")
        )
    }

    /// Proxies of the host's apt, for use inside.
    pub fn proxies(&self) -> &[String] {
        &self.proxies
    }

    /// Fails where the tool is missing.
    pub fn check_tool() -> Result<PathBuf, MachineError> {
        find_program("mmdebstrap").ok_or_else(|| MachineError::Unsupported {
            reason: "mmdebstrap, which builds the root file system, is not installed".to_owned(),
            help: "install it: apt-get install mmdebstrap uidmap; or name a tarball or a directory in a catalogue"
                .to_owned(),
        })
    }

    /// Builds the root file system as a tar stream.
    pub async fn build(
        &self,
        helper: &Helper,
        output: File,
        scratch: &Path,
        progress: &Progress,
    ) -> Result<(), MachineError> {
        let program = Self::check_tool()?.display().to_string();
        let is_root = matches!(helper.ids, IdMap::Shifted { .. });
        let mut arguments = vec![
            // For root, too: it then mounts in namespaces of its own.
            "--mode=unshare".to_owned(),
            "--variant=minbase".to_owned(),
            "--format=tar".to_owned(),
            format!("--include={}", self.packages.join(",")),
        ];
        arguments.extend(self.proxies.iter().map(|line| format!("--aptopt={line}")));
        if !self.certificates.is_empty() {
            arguments.push(format!("--customize-hook=copy-in {LOCAL_CA} /usr/local/share"));
            arguments.push("--customize-hook=chroot \"$1\" update-ca-certificates".to_owned());
        }
        // A machine makes host keys of its own; the identity of a machine is no part of an image either.
        arguments.push("--customize-hook=rm -f \"$1\"/etc/ssh/ssh_host_*".to_owned());
        arguments.push("--customize-hook=truncate -s 0 \"$1\"/etc/machine-id".to_owned());
        arguments.push(self.suite.clone());
        arguments.push("-".to_owned());
        arguments.extend(self.sources.iter().cloned());
        let mut environment = vec![
            ("PATH".to_owned(), super::init::PATH.to_owned()),
            ("LC_ALL".to_owned(), "C.UTF-8".to_owned()),
        ];
        if is_root {
            environment.push(("TMPDIR".to_owned(), scratch.display().to_string()));
        }
        for name in ["HOME", "http_proxy", "https_proxy", "ftp_proxy", "no_proxy"] {
            environment.extend(std::env::var(name).ok().map(|value| (name.to_owned(), value)));
        }
        let order = Order::Tool { program, arguments, environment };
        helper.run(&order, Some(output), Some(progress.clone()), DEADLINE).await.map_err(|error| match error {
            MachineError::Failed(text) => MachineError::Failed(format!(
                "the root file system could not be built: {text}; is the package mirror of this host reachable \
                 (apt-get update)?"
            )),
            other => other,
        })
    }
}

/// A package source of the host.
#[derive(Debug, PartialEq, Eq)]
struct Source {
    uri: String,
    suite: String,
    components: Vec<String>,
    signed_by: Option<String>,
}

impl Source {
    /// Whether it belongs to the distribution itself, in this release.
    fn is_of(&self, release: &str) -> bool {
        let suffix = self.suite.strip_prefix(release);
        let of_release = suffix.is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '/']));
        of_release
            && self.components.iter().any(|component| component == "main")
            && self.components.iter().all(|component| COMPONENTS.contains(&component.as_str()))
    }

    /// The same source in another release, as a line for apt.
    fn line(&self, host: &str, suite: &str) -> String {
        let options = self.signed_by.as_ref().map_or(String::new(), |key| format!("[signed-by={key}] "));
        let suite = self.suite.replacen(host, suite, 1);
        format!("deb {options}{} {suite} {}", self.uri, self.components.join(" "))
    }
}

fn host_sources() -> Vec<Source> {
    let mut files: Vec<PathBuf> = fs::read_dir("/etc/apt/sources.list.d")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    files.sort();
    files.insert(0, PathBuf::from("/etc/apt/sources.list"));
    let mut sources = Vec::new();
    for file in files {
        let Ok(text) = fs::read_to_string(&file) else { continue };
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("list") => sources.extend(one_line_sources(&text)),
            Some("sources") => sources.extend(stanza_sources(&text)),
            _ => {}
        }
    }
    sources
}

fn one_line_sources(text: &str) -> Vec<Source> {
    let parse = |line: &str| {
        let line = line.split('#').next()?.trim().strip_prefix("deb")?;
        let line = line.strip_prefix([' ', '\t'])?.trim_start();
        let (options, rest) = match line.strip_prefix('[') {
            Some(line) => line.split_once(']')?,
            None => ("", line),
        };
        let signed_by = options.split_whitespace().find_map(|option| option.strip_prefix("signed-by="));
        let mut words = rest.split_whitespace().map(str::to_owned);
        Some(Source {
            uri: words.next()?,
            suite: words.next()?,
            components: words.collect(),
            signed_by: signed_by.map(str::to_owned),
        })
    };
    text.lines().filter_map(parse).collect()
}

fn stanza_sources(text: &str) -> Vec<Source> {
    let text: String =
        text.lines().filter(|line| !line.starts_with('#')).flat_map(|line| [line, "\n"]).collect();
    let mut sources = Vec::new();
    for stanza in text.split("\n\n") {
        let field = |name: &str| {
            let line = stanza.lines().find(|line| {
                line.split_once(':').is_some_and(|(field, _)| field.trim().eq_ignore_ascii_case(name))
            })?;
            line.split_once(':').map(|(_, value)| value.trim().to_owned())
        };
        let words = |name: &str| -> Vec<String> {
            field(name).unwrap_or_default().split_whitespace().map(str::to_owned).collect()
        };
        if field("Enabled").is_some_and(|value| value.eq_ignore_ascii_case("no"))
            || !words("Types").iter().any(|kind| kind == "deb")
        {
            continue;
        }
        // A key that stands in the stanza itself is no path; apt then goes by the keys it trusts anyway.
        let signed_by = field("Signed-By").filter(|path| path.starts_with('/'));
        for uri in words("URIs") {
            for suite in words("Suites") {
                let (uri, signed_by) = (uri.clone(), signed_by.clone());
                sources.push(Source { uri, suite, components: words("Components"), signed_by });
            }
        }
    }
    sources
}

/// Proxy settings of the host's apt.
fn host_proxies() -> Vec<String> {
    let Some(program) = find_program("apt-config") else { return Vec::new() };
    let output = Command::new(program).arg("dump").stdin(Stdio::null()).stderr(Stdio::null()).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let is_proxy = |line: &&str| {
        let name = line.split_whitespace().next().unwrap_or_default();
        name.starts_with("Acquire::")
            && name.to_ascii_lowercase().contains("::proxy")
            && !line.ends_with(" \"\";")
    };
    text.lines().filter(is_proxy).map(str::to_owned).collect()
}

fn host_certificates() -> Vec<PathBuf> {
    let entries = fs::read_dir(LOCAL_CA).into_iter().flatten().flatten();
    let is_certificate = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "crt");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(is_certificate).collect();
    paths.sort();
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_sources_are_read() {
        let lines = "# deb http://old/ x main\ndeb http://m/debian bookworm main contrib # note\n\
                     deb [arch=amd64 signed-by=/k.gpg] http://m/third bookworm stable\ndeb-src http://m/debian bookworm main\n";
        let stanzas = "Types: deb\n# comment\nURIs: http://m/debian\nSuites: bookworm bookworm-updates\nComponents: main\n\
                       Signed-By: /usr/share/keyrings/k.gpg\n\nTypes: deb\nEnabled: no\nURIs: http://off\nSuites: bookworm\n\
                       Components: main\n\nTypes: deb\nURIs: https://node\nSuites: nodistro\nComponents: main\n";
        let mut sources = one_line_sources(lines);
        sources.extend(stanza_sources(stanzas));
        let own: Vec<String> = sources
            .iter()
            .filter(|source| source.is_of("bookworm"))
            .map(|s| s.line("bookworm", "trixie"))
            .collect();
        assert_eq!(
            own,
            [
                "deb http://m/debian trixie main contrib",
                "deb [signed-by=/usr/share/keyrings/k.gpg] http://m/debian trixie main",
                "deb [signed-by=/usr/share/keyrings/k.gpg] http://m/debian trixie-updates main",
            ]
        );
    }

    #[test]
    fn a_release_is_not_taken_for_another_that_begins_the_same() {
        let source =
            &one_line_sources("deb http://m cloud-sdk-bookworm main\ndeb http://m bookwormish main")[..];
        assert!(source.iter().all(|source| !source.is_of("bookworm")));
    }
}
