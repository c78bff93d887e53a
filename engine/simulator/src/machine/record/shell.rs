//! Answers to the questions that a client asks before it works: `uname`, `id`, `command -v`, `mktemp` and their kin.
//!
//! Only lists of such commands are answered, from the memory file system and the machine's name; whatever contains
//! anything else (a variable, a pipe, an unknown program) is not understood, which the caller answers with exit 0.

use super::files::{FileError, FileSystem, Kind};

/// How a command ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Answer {
    pub stdout: Vec<u8>,
    pub stderr: String,
    pub exit: u32,
}

impl Answer {
    fn exit(exit: u32) -> Self {
        Self { exit, ..Self::default() }
    }

    fn line(text: &str) -> Self {
        Self { stdout: format!("{text}\n").into_bytes(), ..Self::default() }
    }

    fn error(text: String) -> Self {
        Self { stderr: format!("{text}\n"), exit: 1, ..Self::default() }
    }
}

/// Who asks, and on which machine.
pub(super) struct Shell<'a> {
    pub user: &'a str,
    pub hostname: &'a str,
    pub files: &'a mut FileSystem,
}

const OS_RELEASE: &str = "PRETTY_NAME=\"Fornax record machine (executes nothing)\"\nNAME=\"Fornax record machine\"\n\
                          ID=fornax-record\nID_LIKE=debian\nVERSION_ID=\"1\"\n";
/// `sh -c 'sh -c "..."'` is followed so deep.
const DEPTH: u8 = 3;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Join {
    Always,
    And,
    Or,
}

impl Shell<'_> {
    /// The answer, or none where a part of the command is not one of the questions.
    pub fn ask(&mut self, command: &str) -> Option<Answer> {
        self.list(command, DEPTH, false)
    }

    fn list(&mut self, command: &str, depth: u8, root: bool) -> Option<Answer> {
        let commands = split(command)?;
        if commands.is_empty() || !commands.iter().all(|(_, words)| known(words, depth)) {
            return None;
        }
        let mut total = Answer::default();
        for (join, words) in commands {
            if (join == Join::And && total.exit != 0) || (join == Join::Or && total.exit == 0) {
                continue;
            }
            let leaves = words.first().is_some_and(|word| word == "exit");
            let answer = self.simple(&words, depth, root)?;
            total.stdout.extend(answer.stdout);
            total.stderr.push_str(&answer.stderr);
            total.exit = answer.exit;
            if leaves {
                break;
            }
        }
        Some(total)
    }

    fn simple(&mut self, words: &[String], depth: u8, root: bool) -> Option<Answer> {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        Some(match words.as_slice() {
            ["sudo", rest @ ..] => {
                let rest: Vec<String> = rest
                    .iter()
                    .skip_while(|word| word.starts_with('-'))
                    .map(|word| (*word).to_owned())
                    .collect();
                return if rest.is_empty() { Some(Answer::exit(0)) } else { self.simple(&rest, depth, true) };
            }
            ["sh" | "bash" | "dash" | "/bin/sh" | "/bin/bash", flag, script, ..] if flag.ends_with('c') => {
                return self.list(script, depth.checked_sub(1)?, root);
            }
            ["true" | ":" | "sync", ..] => Answer::exit(0),
            ["false", ..] => Answer::exit(1),
            ["exit"] => Answer::exit(0),
            ["exit", code] => Answer::exit(code.parse().ok()?),
            ["echo", "-n", rest @ ..] => Answer { stdout: rest.join(" ").into_bytes(), ..Answer::default() },
            ["echo", rest @ ..] => Answer::line(&rest.join(" ")),
            ["printf", text] if !text.contains('%') => {
                Answer { stdout: text.replace("\\n", "\n").into_bytes(), ..Answer::default() }
            }
            ["uname"] => Answer::line("Linux"),
            ["uname", flags] => Answer::line(&self.uname(flags)?),
            ["whoami"] | ["id", "-un" | "-gn"] => Answer::line(if root { "root" } else { self.user }),
            ["id", "-u" | "-g"] => Answer::line(if root || self.user == "root" { "0" } else { "1000" }),
            ["hostname", ..] => Answer::line(self.hostname),
            ["pwd"] => Answer::line(self.files.home_path()),
            ["command", "-v", program] | ["which", program] => Answer::line(&format!("/usr/bin/{program}")),
            ["cat", paths @ ..] if !paths.is_empty() => self.cat(paths),
            ["sha256sum", path] => self.sha256sum(path),
            ["mktemp", rest @ ..] => self.mktemp(rest),
            ["mkdir", rest @ ..] => self.mkdir(rest),
            ["test", rest @ ..] | ["[", rest @ .., "]"] => Answer::exit(u32::from(!self.test(rest)?)),
            _ => return None,
        })
    }

    fn uname(&self, flags: &str) -> Option<String> {
        if flags == "-a" {
            return Some(format!("Linux {} 0.0.0-record x86_64 GNU/Linux", self.hostname));
        }
        let part = |(flag, text): (char, &str)| flags.contains(flag).then(|| text.to_owned());
        let parts = [('s', "Linux"), ('n', self.hostname), ('r', "0.0.0-record"), ('m', "x86_64")];
        let text: Vec<String> = parts.into_iter().filter_map(part).collect();
        (text.len() + 1 == flags.len()).then(|| text.join(" "))
    }

    fn cat(&self, paths: &[&str]) -> Answer {
        let mut answer = Answer::default();
        for path in paths {
            match self.files.read(path) {
                Ok(content) => answer.stdout.extend_from_slice(&content),
                Err(FileError::Missing) if *path == "/etc/os-release" => {
                    answer.stdout.extend(OS_RELEASE.bytes())
                }
                Err(error) => {
                    answer.stderr.push_str(&format!("cat: {path}: {error}\n"));
                    answer.exit = 1;
                }
            }
        }
        answer
    }

    fn sha256sum(&self, path: &str) -> Answer {
        match self.files.get(path).map(|node| &node.kind) {
            Some(Kind::File { sha256: Some(digest), .. }) => Answer::line(&format!("{digest}  {path}")),
            _ => Answer::error(format!("sha256sum: {path}: {}", FileError::Missing)),
        }
    }

    fn mktemp(&mut self, words: &[&str]) -> Answer {
        let directory = words.contains(&"-d");
        let template =
            words.iter().rev().find(|word| !word.starts_with('-')).unwrap_or(&"/tmp/tmp.XXXXXXXXXX");
        let stem = template.trim_end_matches('X');
        let random = uuid::Uuid::new_v4().simple().to_string();
        let path = format!("{stem}{}", &random[..(template.len() - stem.len()).min(random.len())]);
        let made = if directory {
            self.files.make_directory(&path)
        } else {
            let writer = self.files.writer();
            self.files.put(&path, 0o600, writer)
        };
        match made {
            Ok(()) => Answer::line(&path),
            Err(error) => Answer::error(format!("mktemp: {path}: {error}")),
        }
    }

    fn mkdir(&mut self, words: &[&str]) -> Answer {
        let mut words = words.iter();
        let mut answer = Answer::default();
        while let Some(word) = words.next() {
            if *word == "-m" {
                words.next();
            } else if !word.starts_with('-')
                && let Err(error) = self.files.make_directory(word)
            {
                answer = Answer::error(format!("mkdir: {word}: {error}"));
            }
        }
        answer
    }

    fn test(&self, words: &[&str]) -> Option<bool> {
        Some(match words {
            ["!", rest @ ..] => !self.test(rest)?,
            ["-d", path] => self.files.is_directory(path),
            ["-f", path] => {
                matches!(self.files.get(path), Some(node) if matches!(node.kind, Kind::File { .. }))
            }
            ["-s", path] => {
                matches!(self.files.get(path), Some(node) if matches!(node.kind, Kind::File { size: 1.., .. }))
            }
            ["-e" | "-r" | "-w" | "-x", path] => self.files.get(path).is_some(),
            ["-n", text] => !text.is_empty(),
            ["-z", text] => text.is_empty(),
            [left, "=", right] => left == right,
            [left, "!=", right] => left != right,
            _ => return None,
        })
    }
}

/// Whether a command is one of the questions, judged before any of a list is answered.
fn known(words: &[String], depth: u8) -> bool {
    match words.first().map(String::as_str) {
        Some("sudo") => {
            let rest: Vec<String> =
                words[1..].iter().skip_while(|word| word.starts_with('-')).cloned().collect();
            rest.is_empty() || known(&rest, depth)
        }
        Some("sh" | "bash" | "dash" | "/bin/sh" | "/bin/bash") => {
            depth > 0
                && words.get(1).is_some_and(|flag| flag.starts_with('-') && flag.ends_with('c'))
                && words
                    .get(2)
                    .and_then(|script| split(script))
                    .is_some_and(|inner| inner.iter().all(|(_, words)| known(words, depth - 1)))
        }
        Some("cat") => words.len() > 1,
        Some(
            "true" | ":" | "sync" | "false" | "exit" | "echo" | "printf" | "uname" | "whoami" | "id"
            | "hostname" | "pwd" | "command" | "which" | "sha256sum" | "mktemp" | "mkdir" | "test" | "[",
        ) => true,
        _ => false,
    }
}

/// Splits a list of simple commands into words; none where it holds more than quotes, `;`, `&&`, `||` and
/// redirections to nowhere.
fn split(text: &str) -> Option<Vec<(Join, Vec<String>)>> {
    let text = [" 2>/dev/null", " >/dev/null", " 2>&1", " </dev/null", " > /dev/null", " 2> /dev/null"]
        .iter()
        .fold(text.to_owned(), |text, redirection| text.replace(redirection, " "));
    let mut commands = Vec::new();
    let mut join = Join::Always;
    let mut words: Vec<String> = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let next = match c {
            ' ' | '\t' => {
                words.extend(word.take());
                continue;
            }
            ';' | '\n' => Join::Always,
            '&' if chars.next_if_eq(&'&').is_some() => Join::And,
            '|' if chars.next_if_eq(&'|').is_some() => Join::Or,
            '\'' => {
                let text = word.get_or_insert_default();
                loop {
                    match chars.next()? {
                        '\'' => break,
                        c => text.push(c),
                    }
                }
                continue;
            }
            '"' => {
                let text = word.get_or_insert_default();
                loop {
                    match chars.next()? {
                        '"' => break,
                        '\\' => text.push(chars.next()?),
                        '$' | '`' => return None,
                        c => text.push(c),
                    }
                }
                continue;
            }
            '\\' => {
                word.get_or_insert_default().push(chars.next()?);
                continue;
            }
            '$' | '`' | '&' | '|' | '<' | '>' | '(' | ')' | '{' | '}' | '*' | '?' | '#' => return None,
            c => {
                word.get_or_insert_default().push(c);
                continue;
            }
        };
        words.extend(word.take());
        if !words.is_empty() {
            commands.push((join, std::mem::take(&mut words)));
        }
        join = next;
    }
    words.extend(word);
    if !words.is_empty() {
        commands.push((join, words));
    }
    Some(commands)
}

#[cfg(test)]
mod tests {
    use super::super::config::Limits;
    use super::*;

    #[test]
    fn questions_are_answered_and_the_rest_is_not_understood() {
        let mut files = FileSystem::new(Limits::default());
        files.home("azureuser");
        let mut shell = Shell { user: "azureuser", hostname: "vm-1", files: &mut files };
        let cases: [(&str, Option<(&str, u32)>); 22] = [
            ("uname -s", Some(("Linux\n", 0))),
            ("uname -sm", Some(("Linux x86_64\n", 0))),
            ("id -un", Some(("azureuser\n", 0))),
            ("sudo -n id -u", Some(("0\n", 0))),
            ("command -v tar >/dev/null 2>&1 && echo yes || echo no", Some(("/usr/bin/tar\nyes\n", 0))),
            ("echo 'a  b' \"c\\\"d\" e\\ f", Some(("a  b c\"d e f\n", 0))),
            ("echo $HOME", None),
            ("test -d /tmp", Some(("", 0))),
            ("[ -d /nowhere ]", Some(("", 1))),
            ("test -d /nowhere || mkdir -p /nowhere/at/all; test -d /nowhere", Some(("", 0))),
            ("false && echo no", Some(("", 1))),
            ("exit 42; echo no", Some(("", 42))),
            ("cat /nowhere/file", Some(("", 1))),
            ("sh -c 'echo inner; exit 3'", Some(("inner\n", 3))),
            ("echo a | cat", None),
            ("echo 'open", None),
            ("apt-get update && echo done", None),
            ("mkdir /x && apt-get update", None),
            ("", None),
            ("pwd", Some(("/home/azureuser\n", 0))),
            ("sudo true", Some(("", 0))),
            ("sh script.sh", None),
        ];
        for (command, expected) in cases {
            let answer = shell.ask(command);
            let seen = answer.as_ref().map(|answer| (String::from_utf8_lossy(&answer.stdout), answer.exit));
            assert_eq!(seen.as_ref().map(|(out, exit)| (out.as_ref(), *exit)), expected, "{command}");
        }
        assert!(!files.is_directory("/x"), "a list that is not understood has no effect");
    }

    #[test]
    fn a_temporary_file_exists_once_named() {
        let mut files = FileSystem::new(Limits::default());
        let mut shell = Shell { user: "root", hostname: "h", files: &mut files };
        let answer = shell.ask("mktemp /tmp/.p.XXXXXX").unwrap();
        let path = String::from_utf8(answer.stdout).unwrap();
        assert!(path.starts_with("/tmp/.p.") && path.len() == "/tmp/.p.XXXXXX\n".len(), "{path}");
        assert_eq!(files.read(path.trim()).unwrap().len(), 0);
    }
}
