//! A script in one channel: the text travels as the command's input, is written to its path and checked to be whole,
//! run through the command line, and removed; the exit code is the command's.
//!
//! The line is for the login shell, as the command line is too. The command runs in a subshell, so that an `exit` in it
//! cannot skip the removal, and on lines of its own, so that a trailing comment cannot swallow ours. A connection that
//! was cut in the middle of the text leaves fewer bytes than announced, and half a script is not run.

use fornax_core::Secret;
use fornax_core::communicator::Script;

use crate::shell;

/// Exit code of a script that could not be written; its reason stands on stderr.
pub(crate) const NOT_WRITTEN: i32 = 122;

/// The line for a script of `size` bytes.
pub(crate) fn line(script: &Script, size: u64) -> Secret {
    let path = shell::path(&script.path);
    let mode = script.mode & 0o7777;
    let remove = if script.keep { String::new() } else { format!("rm -f {path}; ") };
    Secret::new(format!(
        "(umask 077; cat >{path} && [ $(wc -c <{path}) -eq {size} ] && chmod {mode:o} {path}) || \
         {{ rm -f {path}; exit {NOT_WRITTEN}; }}\n(\n{}\n)\nfornax_code=$?; {remove}exit $fornax_code",
        script.command.expose(),
    ))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command, Stdio};

    use fornax_core::communicator::ScriptContent;

    use super::*;

    fn run(shell: &str, body: &str, command: &str, keep: bool, sent: &str) -> Option<(i32, String, bool)> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("it's a script");
        let script = Script {
            content: ScriptContent::Text(Secret::new(body)),
            path: path.display().to_string(),
            mode: 0o750,
            command: Secret::new(command.replace("PATH", &shell::quote(path.to_str().unwrap()))),
            keep,
            pty: false,
        };
        let line = line(&script, body.len() as u64);
        let mut child = Command::new(shell)
            .args(["-c", line.expose()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .ok()?;
        child.stdin.take().unwrap().write_all(sent.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        Some((output.status.code().unwrap(), said, path.exists()))
    }

    #[test]
    fn the_status_is_exact_and_the_script_is_removed() {
        let body = "#!/bin/sh\necho \"it's $A\"\ncat\nexit 7\n";
        let cases = [
            ("A='x y' PATH", (7, "it's x y\n")),
            ("A=1 PATH # comment", (7, "it's 1\n")),
            ("PATH >/dev/null; exit 3", (3, "")),
            ("false", (1, "")),
            ("exec sh -c 'exit 9'", (9, "")),
        ];
        for shell in ["sh", "bash", "dash", "zsh"] {
            for (command, (code, said)) in &cases {
                let Some(seen) = run(shell, body, command, false, body) else {
                    eprintln!("SKIPPED: {shell} is not installed");
                    break;
                };
                assert_eq!(seen, (*code, (*said).to_owned(), false), "{shell}: {command}");
            }
        }
        assert_eq!(run("sh", body, "PATH >/dev/null", true, body), Some((7, String::new(), true)));
    }

    #[test]
    fn half_a_script_is_not_run() {
        let body = "#!/bin/sh\necho ran\n";
        let seen = run("sh", body, "PATH", false, &body[..body.len() - 2]);
        assert_eq!(seen, Some((NOT_WRITTEN, String::new(), false)));
    }
}
