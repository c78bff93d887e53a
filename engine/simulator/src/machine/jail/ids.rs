//! Which ids of the host stand for the users of a jail.
//!
//! A jail has 65,536 users. For an unprivileged caller its root is the caller and the others come from `/etc/subuid`,
//! `/etc/subgid`, put in place by `newuidmap`. For root the whole range is one that nothing else on the host uses, so
//! that the jail's root is nobody outside: it can neither write the host's kernel settings nor read its files.

use std::io;
use std::path::PathBuf;

use tokio::process::Command;

use crate::machine::MachineError;

/// Users of a jail.
pub const COUNT: u32 = 65_536;
/// First id on the host when root makes a jail: the last whole slot of the range that is kept for containers.
const ROOT_START: u32 = 0x6FFF_0000;

/// How ids are mapped here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdMap {
    /// The caller is root and writes the map itself.
    Shifted { start: u32 },
    /// The caller's own ids are the jail's root, the rest is delegated.
    Delegated { uid: u32, gid: u32, sub_uid: u32, sub_gid: u32 },
}

impl IdMap {
    /// The map of this process's user, or what it lacks.
    pub fn detect() -> Result<Self, MachineError> {
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        if uid == 0 {
            return Ok(Self::Shifted { start: ROOT_START });
        }
        let name = user_name(uid);
        let range = |file: &str| {
            let text = std::fs::read_to_string(file).unwrap_or_default();
            sub_range(&text, uid, name.as_deref()).ok_or_else(|| MachineError::Unsupported {
                reason: format!("{file} gives user {uid} no range of {COUNT} ids"),
                help: format!(
                    "add a line `{}:100000:{COUNT}` to it (usermod --add-subuids, --add-subgids)",
                    name.as_deref().unwrap_or("USER")
                ),
            })
        };
        let (sub_uid, sub_gid) = (range("/etc/subuid")?, range("/etc/subgid")?);
        if find_program("newuidmap").is_none() {
            return Err(MachineError::Unsupported {
                reason: "newuidmap is not installed, and a jail needs more than one user".to_owned(),
                help: "install it: apt-get install uidmap".to_owned(),
            });
        }
        Ok(Self::Delegated { uid, gid, sub_uid, sub_gid })
    }

    /// Tells folders of different maps apart.
    pub fn label(&self) -> String {
        match self {
            Self::Shifted { start } => format!("r{start:x}"),
            Self::Delegated { uid, sub_uid, .. } => format!("u{uid}-{sub_uid}"),
        }
    }

    /// The owner on the host of what belongs to the jail's root.
    pub fn root(&self) -> (u32, u32) {
        match self {
            Self::Shifted { start } => (*start, *start),
            Self::Delegated { uid, gid, .. } => (*uid, *gid),
        }
    }

    /// Puts the map in place for a process that waits in its new user namespace.
    pub async fn apply(&self, pid: u32) -> io::Result<()> {
        match self {
            Self::Shifted { start } => {
                let line = format!("0 {start} {COUNT}\n");
                std::fs::write(format!("/proc/{pid}/uid_map"), &line)?;
                std::fs::write(format!("/proc/{pid}/gid_map"), &line)
            }
            Self::Delegated { uid, gid, sub_uid, sub_gid } => {
                for (program, own, start) in [("newuidmap", uid, sub_uid), ("newgidmap", gid, sub_gid)] {
                    let rest = COUNT - 1;
                    let arguments = format!("{pid} 0 {own} 1 1 {start} {rest}");
                    let output =
                        Command::new(program).args(arguments.split(' ')).kill_on_drop(true).output().await?;
                    if !output.status.success() {
                        let text = String::from_utf8_lossy(&output.stderr);
                        return Err(io::Error::other(format!("{program}: {}", text.trim())));
                    }
                }
                Ok(())
            }
        }
    }
}

/// A program in the search path, or in the folders of system programs that users often lack there.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/bin", "/sbin", "/bin"].map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

fn user_name(uid: u32) -> Option<String> {
    let passwd = std::fs::read_to_string("/etc/passwd").ok()?;
    let entry = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    };
    passwd.lines().find_map(entry)
}

/// The start of the first range that is large enough.
fn sub_range(text: &str, uid: u32, name: Option<&str>) -> Option<u32> {
    let entry = |line: &str| {
        let mut fields = line.trim().split(':');
        let owner = fields.next()?;
        let (start, count): (u32, u32) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        let ours = Some(owner) == name || owner.parse() == Ok(uid);
        (ours && count >= COUNT - 1).then_some(start)
    };
    text.lines().find_map(entry)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_found_by_name_and_by_number() {
        let text = "other:100000:65536\nann:200000:1000\nann:300000:65536\n1007:400000:65536\n";
        assert_eq!(sub_range(text, 1, Some("ann")), Some(300_000));
        assert_eq!(sub_range(text, 1007, None), Some(400_000));
        assert_eq!(sub_range(text, 5, Some("bob")), None);
    }

    #[test]
    fn the_range_of_root_ends_before_the_reserved_ids() {
        assert_eq!(ROOT_START.checked_add(COUNT), Some(0x7000_0000));
    }
}
