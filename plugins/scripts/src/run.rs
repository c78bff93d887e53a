//! Doing things on the machine: names that no other step uses, and trying again while the connection is the problem.

use std::time::Duration;

use fornax_plugin_sdk::prelude::*;
use fornax_plugin_sdk::sleep;

/// Between two tries.
const PAUSE: Duration = Duration::from_secs(2);

/// A random UUID of version 4.
pub fn uuid() -> String {
    uuid_of(&run::random_bytes(16))
}

fn uuid_of(bytes: &[u8]) -> String {
    let mut all = [0; 16];
    for (to, from) in all.iter_mut().zip(bytes) {
        *to = *from;
    }
    all[6] = all[6] & 0x0f | 0x40;
    all[8] = all[8] & 0x3f | 0x80;
    let hex: String = all.iter().map(|byte| format!("{byte:02x}")).collect();
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

/// Tries again, every two seconds, while the connection is the problem and `limit` is not over.
pub fn retrying<T>(limit: Duration, mut action: impl FnMut() -> Result<T>) -> Result<T> {
    let start = run::now_ms();
    loop {
        match action() {
            Err(error) if error.retryable || error.is(ErrorCode::ConnectionLost) => {
                let spent = Duration::from_millis(run::now_ms().saturating_sub(start));
                if spent + PAUSE > limit {
                    return Err(error);
                }
                ui::log(ui::Level::Warn, "trying again", &[("error".into(), error.message)]);
                sleep(PAUSE)?;
            }
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_carry_their_version() {
        assert_eq!(uuid_of(&[0xff; 16]), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(uuid_of(&[]), "00000000-0000-4000-8000-000000000000");
    }
}
