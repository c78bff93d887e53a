//! How SSH is spoken on a connection: algorithms in our order of preference or as the options list them, windows, and
//! keep-alive.

use std::borrow::Cow;

use fornax_core::communicator::SshOptions;
use russh::{Preferred, cipher, client, kex};

use crate::session::Failure;

/// What a channel may have in flight towards us: enough for 100 ms at 1 Gbit/s.
const WINDOW: u32 = 16 << 20;
/// Unanswered keep-alive requests until the connection counts as dead.
const KEEPALIVE_MAX: usize = 3;

/// Fast on both ends with AES instructions; without them the stream cipher comes first.
fn ciphers() -> Vec<cipher::Name> {
    let aes = [cipher::AES_128_GCM, cipher::AES_256_GCM];
    let stream = [cipher::CHACHA20_POLY1305];
    let slow = [cipher::AES_256_CTR, cipher::AES_128_CTR];
    if has_aes() { [&aes[..], &stream, &slow].concat() } else { [&stream[..], &aes, &slow].concat() }
}

#[cfg(target_arch = "x86_64")]
fn has_aes() -> bool {
    std::arch::is_x86_feature_detected!("aes")
}

#[cfg(target_arch = "aarch64")]
fn has_aes() -> bool {
    std::arch::is_aarch64_feature_detected!("aes")
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn has_aes() -> bool {
    false
}

pub(crate) fn config(options: &SshOptions) -> Result<client::Config, Failure> {
    let mut preferred = Preferred { cipher: Cow::Owned(ciphers()), ..Preferred::DEFAULT };
    let unknown = |option: &str, name: &str, known: Vec<&str>| Failure::Never {
        reason: format!("{option} names \"{name}\", which this engine does not speak"),
        help: format!("it speaks {}", known.join(", ")),
    };
    if !options.ciphers.is_empty() {
        let known = cipher::ALL_CIPHERS.iter().filter(|n| !["none", "clear"].contains(&n.as_ref()));
        let mut chosen = Vec::new();
        for name in &options.ciphers {
            // `aes128-gcm` is how people write it; the protocol's name has a suffix.
            let found =
                known.clone().find(|n| n.as_ref() == name || n.as_ref().split('@').next() == Some(name));
            chosen.push(
                **found.ok_or_else(|| {
                    unknown("ssh_ciphers", name, known.clone().map(|n| n.as_ref()).collect())
                })?,
            );
        }
        preferred.cipher = Cow::Owned(chosen);
    }
    if !options.key_exchange_algorithms.is_empty() {
        let known = kex::ALL_KEX_ALGORITHMS.iter().filter(|n| n.as_ref() != "none");
        let mut chosen = Vec::new();
        for name in &options.key_exchange_algorithms {
            let found = known.clone().find(|n| n.as_ref() == name);
            chosen.push(**found.ok_or_else(|| {
                unknown("ssh_key_exchange_algorithms", name, known.clone().map(|n| n.as_ref()).collect())
            })?);
        }
        // The markers of extensions travel in the same list.
        chosen.extend([kex::EXTENSION_SUPPORT_AS_CLIENT, kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT]);
        preferred.kex = Cow::Owned(chosen);
    }
    Ok(client::Config {
        preferred,
        window_size: WINDOW,
        keepalive_interval: options.keep_alive_interval,
        keepalive_max: KEEPALIVE_MAX,
        inactivity_timeout: options.read_write_timeout,
        nodelay: true,
        ..client::Config::default()
    })
}

#[cfg(test)]
mod tests {
    use fornax_core::communicator::options::{CIPHERS, KEY_EXCHANGES, SshDefaults};
    use fornax_core::{Diagnostics, Node, SourceFile, Span, Value};

    use super::*;

    fn options() -> SshOptions {
        let file = SourceFile::new("t", "{}");
        let empty = Node::new(Value::Object(Vec::new()), Span::new(&file, 0..2));
        SshOptions::from_config(&empty, &SshDefaults::default(), &mut Diagnostics::new()).unwrap()
    }

    #[test]
    fn every_algorithm_that_the_options_allow_is_spoken() {
        let mut options = options();
        options.ciphers = CIPHERS.iter().map(|n| (*n).to_owned()).collect();
        options.key_exchange_algorithms = KEY_EXCHANGES.iter().map(|n| (*n).to_owned()).collect();
        let config = config(&options).unwrap();
        assert_eq!(config.preferred.cipher.len(), CIPHERS.len());
        assert_eq!(config.preferred.kex.len(), KEY_EXCHANGES.len() + 2);
        options.ciphers = vec!["none".into()];
        assert!(matches!(super::config(&options), Err(Failure::Never { .. })), "never without encryption");
    }
}
