//! What a captured layer changed, told by the package database and the packed layer itself.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Where dpkg keeps what is installed.
const STATUS: &str = "var/lib/dpkg/status";

/// Packages that one state of a machine has and another has not, as `name=version`.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Packages {
    pub added: Vec<String>,
    pub removed: Vec<String>,
}

/// Compares the package database of a layer with that of the layers below it. Without one nothing was installed.
pub fn packages(layer: &Path, below: &[PathBuf]) -> Packages {
    let Ok(after) = std::fs::read_to_string(layer.join(STATUS)) else { return Packages::default() };
    let before =
        below.iter().find_map(|layer| std::fs::read_to_string(layer.join(STATUS)).ok()).unwrap_or_default();
    compare(&before, &after)
}

fn compare(before: &str, after: &str) -> Packages {
    let (before, after) = (installed(before), installed(after));
    let only = |these: &BTreeMap<&str, &str>, those: &BTreeMap<&str, &str>| {
        let is_new = |(name, version): &(&&str, &&str)| those.get(*name) != Some(*version);
        these.iter().filter(is_new).map(|(name, version)| format!("{name}={version}")).collect()
    };
    Packages { added: only(&after, &before), removed: only(&before, &after) }
}

fn installed(status: &str) -> BTreeMap<&str, &str> {
    fn field<'a>(stanza: &'a str, name: &str) -> Option<&'a str> {
        stanza.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
    let package = |stanza| {
        let is_installed = field(stanza, "Status")?.ends_with(" installed");
        is_installed.then_some((field(stanza, "Package")?, field(stanza, "Version")?))
    };
    status.split("\n\n").filter_map(package).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_compared_by_name_and_version() {
        let stanza = |name: &str, status: &str, version: &str| {
            format!("Package: {name}\nStatus: {status}\nArchitecture: amd64\nVersion: {version}\n\n")
        };
        let ok = "install ok installed";
        let before = stanza("base", ok, "1") + &stanza("sudo", ok, "1") + &stanza("old", ok, "3");
        let after = stanza("base", ok, "1")
            + &stanza("sudo", ok, "2")
            + &stanza("old", "deinstall ok config-files", "3")
            + &stanza("nginx", ok, "1.22-1");
        let expected = Packages {
            added: vec!["nginx=1.22-1".into(), "sudo=2".into()],
            removed: vec!["old=3".into(), "sudo=1".into()],
        };
        assert_eq!(compare(&before, &after), expected);
    }
}
