//! Tells a build's process that lives from one that is gone, by a word that the build leaves in the cloud. The word
//! names the boot of this machine and the process namespace (as a digest), the process id, and when the process
//! started, so that a reused id is not taken for the old process. Where the word is from elsewhere nothing is claimed:
//! another machine, another container, or this machine before its last restart all look the same from here.

use std::io;

use rustix::process::{Pid, test_kill_process};
use sha2::{Digest, Sha256};

/// What is known of the process behind a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Liveness {
    Runs,
    Gone,
    /// It ran elsewhere, or the word says nothing.
    Unknown,
}

/// The word for this process; none where the system does not tell what it is made of.
pub fn word() -> Option<String> {
    let own = std::process::id();
    Some(format!("{}.{own}.{}", place()?, read_stat(own).ok()?.started))
}

/// Whether the process that wrote this word runs.
pub fn liveness(word: &str) -> Liveness {
    let mut parts = word.split('.');
    let (Some(there), Some(id), Some(started), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Liveness::Unknown;
    };
    let (Ok(id), Ok(started)) = (id.parse::<i32>(), started.parse::<u64>()) else { return Liveness::Unknown };
    if place().as_deref() != Some(there) {
        return Liveness::Unknown;
    }
    let Some(pid) = (id > 0).then(|| Pid::from_raw(id)).flatten() else { return Liveness::Unknown };
    match read_stat(id.unsigned_abs()) {
        Ok(stat) if stat.started == started && !stat.ended => Liveness::Runs,
        Ok(_) => Liveness::Gone,
        // A system may hide the processes of other users, but not that they exist.
        Err(_) => match test_kill_process(pid) {
            Err(rustix::io::Errno::SRCH) => Liveness::Gone,
            _ => Liveness::Runs,
        },
    }
}

/// Process ids mean something within one boot and one process namespace only.
fn place() -> Option<String> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let namespace = std::fs::read_link("/proc/self/ns/pid").ok()?;
    let digest = Sha256::digest(format!("{}\n{}", boot.trim(), namespace.display()));
    Some(digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect())
}

struct Stat {
    /// Clock ticks after the boot.
    started: u64,
    /// It has ended, and only its parent has not taken notice yet.
    ended: bool,
}

fn read_stat(id: u32) -> io::Result<Stat> {
    parse_stat(&std::fs::read_to_string(format!("/proc/{id}/stat"))?)
        .ok_or_else(|| io::Error::other("the system describes a process in an unknown way"))
}

/// The name in front is in brackets and may hold anything; after it come the state, and twenty fields on the start.
fn parse_stat(text: &str) -> Option<Stat> {
    let mut fields = text.get(text.rfind(')')? + 1..)?.split_ascii_whitespace();
    let state = fields.next()?;
    Some(Stat { started: fields.nth(18)?.parse().ok()?, ended: matches!(state, "Z" | "X" | "x") })
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    /// The word that a child would have written.
    fn word_of(id: u32) -> String {
        format!("{}.{id}.{}", place().unwrap(), read_stat(id).unwrap().started)
    }

    #[test]
    fn the_living_and_the_dead_are_told_apart() {
        assert_eq!(liveness(&word().unwrap()), Liveness::Runs);
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let word = word_of(child.id());
        assert_eq!(liveness(&word), Liveness::Runs);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(liveness(&word), Liveness::Gone);
    }

    #[test]
    fn a_reused_process_id_is_not_the_old_process() {
        let word = word().unwrap();
        let (rest, started) = word.rsplit_once('.').unwrap();
        let other = started.parse::<u64>().unwrap() - 1;
        assert_eq!(liveness(&format!("{rest}.{other}")), Liveness::Gone);
    }

    #[test]
    fn nothing_is_claimed_of_what_ran_elsewhere() {
        let own = word().unwrap();
        let elsewhere = format!("0123456789abcdef.{}", own.split_once('.').unwrap().1);
        for word in [elsewhere.as_str(), "", "x", "a.b.c", "a.1.2.3", &own.replace('.', "-")] {
            assert_eq!(liveness(word), Liveness::Unknown, "{word}");
        }
        let place = place().unwrap();
        for word in [format!("{place}.0.1"), format!("{place}.-1.1"), format!("{place}.1.-1")] {
            assert_eq!(liveness(&word), Liveness::Unknown, "{word}");
        }
    }

    #[test]
    fn names_with_brackets_do_not_confuse_the_fields() {
        let tail = "1 1 1 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 4242 0 0";
        for (name, state, ended) in [("cat", "S", false), ("a) Z (b", "R", false), ("x", "Z", true)] {
            let stat = parse_stat(&format!("7 ({name}) {state} {tail}")).unwrap();
            assert_eq!((stat.started, stat.ended), (4242, ended), "{name}");
        }
        assert!(parse_stat("7 (x").is_none() && parse_stat("7 (x) S 1").is_none());
    }
}
