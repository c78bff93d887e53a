//! What is behind the connection, found out with one command that every shell understands.

use std::sync::Arc;

use fornax_core::communicator::{CommunicatorError, MachineInfo, Shell};

use crate::exec::{self, Finished};
use crate::session::Session;

const MARK: &str = "fornax-machine";

/// Answers in this order, a line each. The quoting test tells POSIX shells (and those close to them) from fish, csh
/// and PowerShell, in whose language we cannot write more than simple commands.
const QUESTIONS: &str = concat!(
    "echo fornax-machine; test 'a\\\\' = \"a\\\\\\\\\" && echo posix; echo fornax-machine; uname -s; uname -m; ",
    "uname -n; id -un; cat /etc/os-release 2>/dev/null"
);

/// `cmd` puts the variable in; PowerShell runs the second command, which `cmd` only prints.
const WINDOWS_SHELL: &str = "echo %OS%; echo fornax-$PID";

fn windows_shell(finished: &Finished) -> Shell {
    let text = String::from_utf8_lossy(&finished.stdout);
    match text.trim() {
        "Windows_NT; echo fornax-$PID" => Shell::Cmd,
        text if text.starts_with("%OS%") && !text.contains('$') => Shell::PowerShell,
        _ => Shell::Unknown,
    }
}

/// The machine, and how one can talk to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Machine {
    pub info: MachineInfo,
    /// The login shell speaks POSIX.
    pub posix: bool,
    /// There is a shell that runs simple commands, `sh` among them.
    pub shell: bool,
}

pub(crate) async fn ask(session: &Arc<Session>) -> Result<Machine, CommunicatorError> {
    let finished = exec::run(session, QUESTIONS.into()).await?;
    let machine = read(&finished);
    if machine.shell {
        return Ok(machine);
    }
    let windows = exec::run(session, "cmd.exe /c ver".into()).await?;
    let text = String::from_utf8_lossy(&windows.stdout).into_owned();
    if !text.contains("Windows") {
        return Ok(machine);
    }
    let version = text.split_once("Version ").map(|(_, v)| v.trim().trim_end_matches(']').to_owned());
    let shell = windows_shell(&exec::run(session, WINDOWS_SHELL.into()).await?);
    let info = MachineInfo {
        family: "windows".into(),
        id: "windows".into(),
        version: version.unwrap_or_default(),
        shell,
        ..MachineInfo::default()
    };
    Ok(Machine { info, posix: false, shell: false })
}

fn read(finished: &Finished) -> Machine {
    let text = String::from_utf8_lossy(&finished.stdout);
    let mut lines = text.lines().map(str::trim_end).skip_while(|line| *line != MARK).skip(1);
    let first = lines.next();
    let posix = first == Some("posix");
    if first != Some(MARK) && lines.next() != Some(MARK) {
        return Machine {
            info: MachineInfo { family: "other".into(), ..MachineInfo::default() },
            ..Machine::default()
        };
    }
    let mut line = || lines.next().unwrap_or_default().to_owned();
    let (system, arch, hostname, user) = (line(), line(), line(), line());
    let mut info = MachineInfo {
        family: match system.as_str() {
            "Linux" => "linux",
            "Darwin" => "macos",
            name if name.ends_with("BSD") || name == "DragonFly" => "bsd",
            _ => "other",
        }
        .into(),
        arch,
        hostname,
        user,
        ..MachineInfo::default()
    };
    for line in lines {
        let Some((key, value)) = line.split_once('=') else { continue };
        let value = value.trim().trim_matches(['"', '\'']).to_owned();
        match key.trim() {
            "ID" => info.id = value,
            "VERSION_ID" => info.version = value,
            _ => {}
        }
    }
    Machine { shell: !system.is_empty(), info, posix }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(stdout: &str) -> Machine {
        read(&Finished { stdout: stdout.into(), ..Finished::default() })
    }

    #[test]
    fn answers_are_read_with_and_without_a_posix_shell() {
        let release = "NAME=\"Debian GNU/Linux\"\nID=debian\nVERSION_ID=\"12\"\n";
        let info = MachineInfo {
            family: "linux".into(),
            id: "debian".into(),
            version: "12".into(),
            arch: "x86_64".into(),
            hostname: "vm".into(),
            user: "packer".into(),
            shell: Shell::Posix,
        };
        let answers = format!("Linux\nx86_64\nvm\npacker\n{release}");
        let posix = from(&format!("motd\nfornax-machine\nposix\nfornax-machine\n{answers}"));
        assert_eq!(posix, Machine { info: info.clone(), posix: true, shell: true });
        let fish = from(&format!("fornax-machine\nfornax-machine\n{answers}"));
        assert_eq!(fish, Machine { info, posix: false, shell: true });
        for nothing in ["", "Microsoft Windows", "This service allows sftp connections only.\n"] {
            let machine = from(nothing);
            assert!(!machine.shell && !machine.posix && machine.info.family == "other", "{nothing}");
        }
    }

    #[test]
    fn shells_of_windows_are_told_apart() {
        for (stdout, shell) in [
            ("Windows_NT; echo fornax-$PID\r\n", Shell::Cmd),
            ("%OS%\r\nfornax-4711\r\n", Shell::PowerShell),
            ("%OS%; echo fornax-$PID\n", Shell::Unknown),
            ("%OS%\nfornax-$PID\n", Shell::Unknown),
            ("", Shell::Unknown),
        ] {
            let finished = Finished { stdout: stdout.into(), ..Finished::default() };
            assert_eq!(windows_shell(&finished), shell, "{stdout:?}");
        }
    }

    #[test]
    fn this_hosts_shells_are_told_apart() {
        for (shell, posix) in [("sh", true), ("bash", true), ("dash", true), ("zsh", true), ("fish", false)] {
            let Ok(output) = std::process::Command::new(shell).args(["-c", QUESTIONS]).output() else {
                eprintln!("SKIPPED: {shell} is not installed");
                continue;
            };
            let machine = read(&Finished { stdout: output.stdout, ..Finished::default() });
            assert!(machine.shell, "{shell}");
            assert_eq!(machine.posix, posix, "{shell}");
        }
    }
}
