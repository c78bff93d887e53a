//! A thin layer above every root file system: the agent, and what a system needs to know about running in a jail.
//!
//! It belongs to the base, so none of it is in a captured layer.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Stands in for the Azure Linux agent where the base has none.
const AGENT: &str = include_str!("waagent.sh");
/// Packages ask this before they start a service.
const POLICY: &str = "#!/bin/sh\n# Services are enabled but not started on this simulated machine: it has no init system.\nexit 101\n";
/// The system call does on a process namespace what it does on a machine: everything ends.
const POWER: &str = "#!/bin/sh\n# A simulated machine: the kernel ends all of its processes.\nverb=$(basename \"$0\")\n\
                     for word; do\n  case $word in\n    -r | --reboot) verb=reboot ;;\n    -c) exit 0 ;;\n  esac\ndone\n\
                     [ \"$verb\" = shutdown ] && verb=poweroff\n\
                     SYSTEMD_IGNORE_CHROOT=1 exec /bin/systemctl --force --force \"$verb\"\n";

/// Writes the layer for a root file system into an empty folder.
pub fn write(root: &Path, proxies: &[String], folder: &Path) -> io::Result<()> {
    let put = |path: &str, text: &str, mode: u32| {
        let file = folder.join(path);
        if let Some(parent) = file.parent() {
            make_parents(folder, root, parent)?;
        }
        fs::write(&file, text)?;
        fs::set_permissions(&file, Permissions::from_mode(mode))
    };
    fs::set_permissions(folder, Permissions::from_mode(0o755))?;
    if !root.join("usr/sbin/waagent").exists() {
        put("usr/sbin/waagent", AGENT, 0o755)?;
    }
    put("usr/sbin/policy-rc.d", POLICY, 0o755)?;
    if root.join("usr/bin/systemctl").exists() {
        for name in ["halt", "poweroff", "reboot", "shutdown"] {
            put(&format!("usr/sbin/{name}"), POWER, 0o755)?;
        }
    }
    if !proxies.is_empty() && root.join("etc/apt").is_dir() {
        put("etc/apt/apt.conf.d/90host-proxy", &format!("{}\n", proxies.join("\n")), 0o644)?;
    }
    Ok(())
}

/// Makes folders with the rights of those below them, which they will stand for.
fn make_parents(folder: &Path, root: &Path, wanted: &Path) -> io::Result<()> {
    let relative = wanted.strip_prefix(folder).map_err(io::Error::other)?;
    let mut path = folder.to_owned();
    let mut below = root.to_owned();
    for part in relative {
        path.push(part);
        below.push(part);
        if !path.exists() {
            fs::create_dir(&path)?;
            let mode = fs::metadata(&below).map_or(0o755, |meta| meta.permissions().mode());
            fs::set_permissions(&path, Permissions::from_mode(mode & 0o7777))?;
        }
    }
    Ok(())
}
