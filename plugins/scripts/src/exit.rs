//! How a script ended, and whether that is good.

use fornax_plugin_sdk::machine::ExitStatus;
use fornax_plugin_sdk::{Error, Result};

/// Exit code that stands for a lost connection in `valid_exit_codes`.
pub const DISCONNECTED: i64 = 2_300_218;

/// Exit codes that count as success; an empty list counts as unset.
pub fn valid(codes: Option<&[i64]>) -> &[i64] {
    codes.filter(|codes| !codes.is_empty()).unwrap_or(&[0])
}

/// The text for a script that ended with a code that is not allowed.
pub fn message(code: i64, allowed: &[i64]) -> String {
    let allowed: Vec<_> = allowed.iter().map(i64::to_string).collect();
    format!(
        "Script exited with non-zero exit status: {code}. Allowed exit codes are: [{}]",
        allowed.join(" ")
    )
}

/// What a good end means for the steps behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The script ended by itself.
    Done,
    /// It took the connection away, as was expected.
    Disconnected,
}

/// Judges how a script ended.
pub fn judge(status: &ExitStatus, allowed: &[i64]) -> Result<End> {
    if status.disconnected {
        return if allowed.contains(&DISCONNECTED) {
            Ok(End::Disconnected)
        } else {
            Err(Error::command(format!(
                "Script disconnected unexpectedly. If it restarts the machine, add {DISCONNECTED} to valid_exit_codes, \
                 or let windows-restart do it"
            )))
        };
    }
    match status.code.map(i64::from) {
        Some(code) if allowed.contains(&code) => Ok(End::Done),
        Some(code) => Err(Error::command(message(code, allowed))),
        None => Err(Error::command(format!("Script was {}", status.describe()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends() {
        let status = |code: Option<i32>, disconnected| ExitStatus {
            code,
            signal: String::new(),
            disconnected,
            stdout: Vec::new(),
            stderr: Vec::new(),
            truncated: false,
        };
        for (status, allowed, expected) in [
            (status(Some(0), false), &[0][..], Some(End::Done)),
            (status(Some(3010), false), &[0, 3010], Some(End::Done)),
            (status(Some(0), false), &[1], None),
            (status(Some(3), false), &[0], None),
            (status(None, true), &[0], None),
            (status(None, true), &[0, DISCONNECTED], Some(End::Disconnected)),
            (status(None, false), &[0], None),
        ] {
            assert_eq!(judge(&status, allowed).ok(), expected, "{status:?} {allowed:?}");
        }
        let text = judge(&status(Some(3), false), &[0, 2]).unwrap_err().message;
        assert_eq!(text, "Script exited with non-zero exit status: 3. Allowed exit codes are: [0 2]");
        assert_eq!(valid(Some(&[])), [0]);
    }
}
