//! Key pairs of a build, and keys from files.

use std::path::{Path, PathBuf};

use fornax_core::Secret;
use fornax_core::communicator::{ConnectError, KeyKind, KeyPair};
use russh::keys::ssh_key::private::{KeypairData, RsaKeypair};
use russh::keys::ssh_key::{EcdsaCurve, LineEnding};
use russh::keys::{Algorithm, PrivateKey};

/// RSA keys shorter than this are refused by current servers.
const MIN_RSA: usize = 2048;
const MAX_RSA: usize = 8192;

/// Makes a key pair in memory.
pub fn generate(kind: KeyKind, bits: Option<u32>, comment: &str) -> Result<KeyPair, ConnectError> {
    let failed = |e: russh::keys::ssh_key::Error| ConnectError::Config(format!("can't make a key pair: {e}"));
    let mut random = rand::rng();
    let mut key = match kind {
        KeyKind::Rsa => {
            let bits = (bits.unwrap_or(2048) as usize).clamp(MIN_RSA, MAX_RSA);
            let pair = RsaKeypair::random(&mut random, bits).map_err(failed)?;
            PrivateKey::new(KeypairData::from(pair), comment).map_err(failed)?
        }
        other => {
            let algorithm = match other {
                KeyKind::EcdsaP256 => Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
                KeyKind::EcdsaP384 => Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
                KeyKind::EcdsaP521 => Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 },
                _ => Algorithm::Ed25519,
            };
            PrivateKey::random(&mut random, algorithm).map_err(failed)?
        }
    };
    key.set_comment(comment);
    let private = key.to_openssh(LineEnding::LF).map_err(failed)?;
    Ok(KeyPair {
        public_openssh: key.public_key().to_openssh().map_err(failed)?,
        private_pem: Secret::new(private.as_str()),
    })
}

/// `~` is the home folder.
pub fn expand(path: &str) -> PathBuf {
    match (path.strip_prefix("~/"), std::env::home_dir()) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => PathBuf::from(path),
    }
}

/// Reads a private key from a file.
pub fn load(path: &str) -> Result<PrivateKey, ConnectError> {
    let file = expand(path);
    let wrong =
        |why: String| ConnectError::Config(format!("can't use the private key {}: {why}", file.display()));
    let text = std::fs::read_to_string(&file).map_err(|e| wrong(e.to_string()))?;
    parse(&text).map_err(|why| wrong(why))
}

/// Reads a private key from its text.
pub fn parse(text: &str) -> Result<PrivateKey, String> {
    let key = russh::keys::decode_secret_key(text, None).map_err(|e| match e {
        russh::keys::Error::KeyIsEncrypted => {
            "it is protected by a passphrase; load it into an SSH agent and set ssh_agent_auth".to_owned()
        }
        other => other.to_string(),
    })?;
    if key.is_encrypted() {
        return Err(
            "it is protected by a passphrase; load it into an SSH agent and set ssh_agent_auth".to_owned()
        );
    }
    Ok(key)
}

/// The public half of a key file, one line.
pub fn public_of(path: &Path) -> Result<String, ConnectError> {
    let key = load(&path.display().to_string())?;
    key.public_key().to_openssh().map_err(|e| ConnectError::Config(format!("{}: {e}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_each_kind_can_be_read_back() {
        for (kind, prefix) in [
            (KeyKind::Ed25519, "ssh-ed25519 "),
            (KeyKind::EcdsaP256, "ecdsa-sha2-nistp256 "),
            (KeyKind::Rsa, "ssh-rsa "),
        ] {
            let pair = generate(kind, None, "a comment").expect("a key pair");
            assert!(pair.public_openssh.starts_with(prefix), "{}", pair.public_openssh);
            assert!(pair.public_openssh.ends_with(" a comment"));
            parse(pair.private_pem.expose()).expect("the private half is readable");
        }
    }
}
