//! What the agent of a real machine does at its first boot: host name, host key, administrator, custom data.
//!
//! It runs with the machine's root as its own and uses the machine's tools for users and keys, so that their files are
//! what a real machine would have.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, chown};
use std::path::Path;
use std::process::{Command, Stdio};

use super::child::context;
use super::init::PATH;
use super::wire::{Setup, UserSetup};

/// Where the agent keeps its state.
const AGENT: &str = "/var/lib/waagent";

/// Sets the machine up; comes back with what it could not do.
pub fn set_up(setup: &Setup) -> io::Result<Vec<String>> {
    let mut notes = Vec::new();
    fs::create_dir_all("/run/sshd")?;
    fs::create_dir_all("/run/lock")?;
    if let Some(text) = &setup.resolv_conf {
        replace("/etc/resolv.conf", text.as_bytes(), 0o644)?;
    }
    // The temporary folder does not survive a boot, as systemd-tmpfiles has it.
    super::mounts::empty(Path::new("/tmp"))?;
    fs::set_permissions("/tmp", Permissions::from_mode(0o1777))?;
    let Some(user) = &setup.user else { return Ok(notes) };
    replace("/etc/hostname", format!("{}\n", setup.hostname).as_bytes(), 0o644)?;
    hosts(&setup.hostname)?;
    host_key()?;
    administrator(user)?;
    if let Err(error) = agent_state(user) {
        notes.push(format!("the agent's state could not be written: {error}"));
    }
    Ok(notes)
}

/// A new file in place of whatever stands at a path, be it a link.
fn replace(path: &str, content: &[u8], mode: u32) -> io::Result<()> {
    let path = Path::new(path);
    if fs::symlink_metadata(path).is_ok_and(|meta| meta.is_file())
        && fs::read(path).is_ok_and(|is| is == content)
    {
        return Ok(());
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let written = File::options().write(true).create_new(true).mode(mode).open(path).and_then(|mut file| {
        file.set_permissions(Permissions::from_mode(mode))?;
        file.write_all(content)
    });
    written.map_err(|error| context(&path.display().to_string(), error))
}

/// `sudo` complains about a host whose name has no address.
fn hosts(hostname: &str) -> io::Result<()> {
    let text = fs::read_to_string("/etc/hosts").unwrap_or_default();
    let mut lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("127.0.1.1")).collect();
    if !lines.iter().any(|line| line.starts_with("127.0.0.1")) {
        lines.insert(0, "127.0.0.1\tlocalhost");
    }
    let own = format!("127.0.1.1\t{hostname}");
    lines.insert(1, &own);
    replace("/etc/hosts", format!("{}\n", lines.join("\n")).as_bytes(), 0o644)
}

/// New keys for a new machine; one of the quick kind.
fn host_key() -> io::Result<()> {
    for entry in
        fs::read_dir("/etc/ssh").map_err(|error| context("/etc/ssh (is there an SSH server?)", error))?
    {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with("ssh_host_") {
            fs::remove_file(entry.path())?;
        }
    }
    run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", "/etc/ssh/ssh_host_ed25519_key"], "")
}

fn administrator(user: &UserSetup) -> io::Result<()> {
    let passwd = fs::read_to_string("/etc/passwd")?;
    let exists = passwd.lines().any(|line| line.split(':').next() == Some(&user.name));
    // `*` fits no password; without one the account would count as locked, and its keys with it.
    if exists {
        run("usermod", &["-p", "*", &user.name], "")?;
    } else {
        let shell = if Path::new("/bin/bash").exists() { "/bin/bash" } else { "/bin/sh" };
        run("useradd", &["-m", "-U", "-s", shell, "-p", "*", &user.name], "")?;
    }
    if let Some(password) = &user.password {
        run("chpasswd", &[], &format!("{}:{password}\n", user.name))?;
    }
    let passwd = fs::read_to_string("/etc/passwd")?;
    let entry = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>()).find(|f| f[0] == user.name);
    let [_, _, uid, gid, _, home, ..] = *entry.as_deref().unwrap_or_default() else {
        return Err(io::Error::other(format!("{} is not in /etc/passwd", user.name)));
    };
    let (uid, gid) = (uid.parse().map_err(io::Error::other)?, gid.parse().map_err(io::Error::other)?);
    let folder = Path::new(home).join(".ssh");
    fs::create_dir_all(&folder)?;
    fs::set_permissions(&folder, Permissions::from_mode(0o700))?;
    let keys = folder.join("authorized_keys");
    let lines: String = user.authorized_keys.iter().map(|key| format!("{}\n", key.trim())).collect();
    replace(&keys.to_string_lossy(), lines.as_bytes(), 0o600)?;
    for path in [&folder, &keys] {
        chown(path, Some(uid), Some(gid))?;
    }
    if Path::new("/etc/sudoers.d").is_dir() {
        let rule = format!("{} ALL=(ALL) NOPASSWD: ALL\n", user.name);
        replace("/etc/sudoers.d/waagent", rule.as_bytes(), 0o440)?;
    }
    Ok(())
}

/// The environment file that names the user, and the custom data as the agent leaves it: encoded.
fn agent_state(user: &UserSetup) -> io::Result<()> {
    fs::create_dir_all(AGENT)?;
    fs::set_permissions(AGENT, Permissions::from_mode(0o700))?;
    let environment = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<Environment><LinuxProvisioningConfigurationSet><UserName>{}\
         </UserName></LinuxProvisioningConfigurationSet></Environment>\n",
        user.name
    );
    replace(&format!("{AGENT}/ovf-env.xml"), environment.as_bytes(), 0o600)?;
    match &user.custom_data {
        Some(data) => replace(&format!("{AGENT}/CustomData"), data.as_bytes(), 0o600),
        None => Ok(()),
    }
}

/// Runs a tool of the machine. What it is given on its input may be secret; its arguments are not.
fn run(program: &str, arguments: &[&str], input: &str) -> io::Result<()> {
    let failed = |error| context(program, error);
    let mut child = Command::new(program)
        .args(arguments)
        .env_clear()
        .env("PATH", PATH)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes()).map_err(failed)?;
    }
    let output = child.wait_with_output().map_err(failed)?;
    if output.status.success() {
        return Ok(());
    }
    Err(io::Error::other(format!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim())))
}
